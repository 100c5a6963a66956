import * as z from 'zod';
import type { RetentionPolicy, SnapshotPolicyWish } from '../contracts/index.ts';
import type { GraphDifference } from '../graph/difference.ts';
import { strictOptions } from '../options.ts';
import { reasonSchema } from './auditing.ts';
import type { AdoptionRequest } from './adopt-options.ts';
import { type JobOptions, jobOptions } from './submit.ts';

/** What a call that verifies may say. */
export interface VerifyOptions extends JobOptions {
  /**
   * `deep` (default): every chunk is opened, decompressed and compared with its id. `tags`: every byte is proven to be as
   * it was stored, which costs about a third.
   */
  readonly level?: 'tags' | 'deep';
  /** The share of each archive to read, above 0 and up to 1, picked by chance; the result says what that is worth. Default 1. */
  readonly sample?: number;
}

/** What a call that archives may say. */
export interface ArchiveCheckpointOptions extends JobOptions {
  /** The snapshots go from their arrays once the archives are proven, also where they were to be kept. Default false. */
  readonly removeSnapshots?: boolean;
}

/** What a call that sets or lifts a hold says. */
export interface HoldOptions extends JobOptions {
  /** Why, for people, also in the checkpoint; up to 1,000 characters. */
  readonly reason: string;
}

/** What a call that retains may say. */
export interface RetainOptions extends JobOptions {
  /** How long checkpoints stay, where that differs from what the plan says. */
  readonly policy?: RetentionPolicy;
}

/** What a call that collects says. */
export interface CollectOptions extends JobOptions {
  /** The provider in whose bank space is given back. */
  readonly provider: string;
  /** Only tells what would go. Default false. */
  readonly preview?: boolean;
}

/** What a call that protects may say. */
export interface ProtectOptions extends JobOptions {
  /** How long an application may be paused for its snapshot, in milliseconds. Default 10,000. */
  readonly pauseMilliseconds?: number;
  /** What becomes of the snapshots, where that differs from what the plan says. */
  readonly policy?: SnapshotPolicyWish;
}

/** What a run of a previewed protect may say. */
export interface RunProtectOptions extends Omit<ProtectOptions, 'policy'> {
  /**
   * Asked where the application is no longer as previewed, with what became of it since. True: it is protected as it
   * was found just now. Without it, or where the answer is anything else, the run is refused with `DRIFTED`.
   */
  readonly accept?: (drift: GraphDifference) => boolean | Promise<boolean>;
}

/** What a call that adopts says. */
export interface AdoptOptions extends JobOptions, AdoptionRequest {}

/** What a run of a previewed adoption may say. */
export interface RunAdoptOptions extends Omit<RunProtectOptions, 'pauseMilliseconds'> {}

/** How long an application may be paused, in milliseconds. */
export const pauseSchema: z.ZodType<number> = z.int().min(100).max(600_000);
/** Options of `verify`, from outside. */
export const verifySchema: z.ZodType<VerifyOptions> = strictOptions({
  ...jobOptions,
  level: z.enum(['tags', 'deep']).exactOptional(),
  sample: z.number().positive().max(1).exactOptional(),
});
/** Options of `archive`, from outside. */
export const archiveSchema: z.ZodType<ArchiveCheckpointOptions> = strictOptions({
  ...jobOptions,
  removeSnapshots: z.boolean().exactOptional(),
});
/** Options of `hold` and `lift`, from outside. */
export const holdSchema: z.ZodType<HoldOptions> = strictOptions({
  ...jobOptions,
  reason: reasonSchema,
});
/** Options of `collect`, from outside. */
export const collectSchema: z.ZodType<CollectOptions> = strictOptions({
  ...jobOptions,
  provider: z.string(),
  preview: z.boolean().exactOptional(),
});
/** Options of the run of a previewed protect, from outside. */
export const runProtectSchema: z.ZodType<RunProtectOptions> = strictOptions({
  ...jobOptions,
  pauseMilliseconds: pauseSchema.exactOptional(),
  accept: z
    .custom<NonNullable<RunProtectOptions['accept']>>(
      (value) => typeof value === 'function',
      'must be a function',
    )
    .exactOptional(),
});
