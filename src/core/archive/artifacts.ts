import * as z from 'zod';
import type {
  CallOptions,
  CheckpointId,
  ErrorRecord,
  JsonObject,
  Proof,
  ResourceKey,
  SnapshotCopy,
  VolumeRef,
} from '../contracts/index.ts';
import { bankKeys } from './keys.ts';
import { getRecord, putRecord } from './records.ts';
import {
  count,
  errorRecord,
  jsonObject,
  proof,
  type RecordPointer,
  resourceKey,
  snapshotCopy,
  text,
  volumeRef,
} from './schema-parts.ts';
import type { Vault } from './vault.ts';

/**
 * What the instant of a volume's copies is worth. `none`: copied while writes may have gone on. `crash`: one instant
 * of this volume. `group`: one instant of all volumes of its consistency group. `application`: taken while the
 * application was paused, having written out what it held.
 */
export type Consistency = 'none' | 'crash' | 'group' | 'application';

/** Which strategy decided for a volume. */
export type StrategyChoice = {
  /** The strategy's name. */
  readonly name: string;
  /** Why it took the volume on. */
  readonly reason: string;
};

/** A volume in a checkpoint. */
export type ProtectedVolume = {
  /** The volume that was protected. */
  readonly volume: VolumeRef;
  /** The strategy that decided. */
  readonly strategy: StrategyChoice;
  /** What was achieved. */
  readonly consistency: Consistency;
  /** From the first to the last instant of the volumes that belong together, in milliseconds, by their arrays' clocks. */
  readonly skewMilliseconds?: number;
  /** How long the application was paused, in milliseconds; null where it was not. */
  readonly pauseMilliseconds: number | null;
  /**
   * What is to become of the array copy. `change-base`: it is kept only so that the next archive can ask what
   * changed since, and goes when the next checkpoint of the plan is committed. `removed`: it goes once this one is.
   */
  readonly arrayCopy: 'kept' | 'change-base' | 'removed';
  /** It stays longer: as long as the checkpoint is among so many of the plan's newest whose archives are proven. */
  readonly keep?: number;
  /** The archive is made after the commit, and must reach this proof before it counts for the array copy. */
  readonly background?: Proof;
  /** The copies: as committed, or as they have become since. */
  readonly copies: readonly SnapshotCopy[];
};

/** What one resource left in a checkpoint. */
export type Artifact = {
  /** The resource. */
  readonly resource: ResourceKey;
  /** As captured. */
  readonly description: JsonObject;
  /** Its volume; null for resources without data. */
  readonly volume: ProtectedVolume | null;
};

/** A resource that a checkpoint has nothing of, because it, or something that it depends on, failed. */
export type MissingResource = {
  /** The resource. */
  readonly resource: ResourceKey;
  /** Whose failure it was: the resource's own, or that of another. */
  readonly cause: ResourceKey;
  /** The failure. */
  readonly error: ErrorRecord;
};

/** What a checkpoint consists of. */
export type CheckpointContents = {
  /** What each resource left. */
  readonly artifacts: readonly Artifact[];
  /** The other resources of the graph. */
  readonly missing: readonly MissingResource[];
};

const artifactsSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal('artifacts'),
  artifacts: z.array(
    z.strictObject({
      resource: resourceKey,
      description: jsonObject,
      volume: z
        .strictObject({
          volume: volumeRef,
          strategy: z.strictObject({ name: text, reason: text }),
          consistency: z.enum(['none', 'crash', 'group', 'application']),
          skewMilliseconds: count.exactOptional(),
          pauseMilliseconds: count.nullable(),
          arrayCopy: z.enum(['kept', 'change-base', 'removed']),
          keep: z.int().min(1).exactOptional(),
          background: proof.exactOptional(),
          copies: z.array(snapshotCopy).min(1),
        })
        .nullable(),
    }),
  ),
  missing: z.array(z.strictObject({ resource: resourceKey, cause: resourceKey, error: errorRecord })),
});

/** Stores the artifacts of a checkpoint that is being made. */
export async function putArtifacts(
  vault: Vault,
  checkpoint: CheckpointId,
  { artifacts, missing }: CheckpointContents,
  call: CallOptions,
): Promise<RecordPointer> {
  const keyOf = (digest: string): string => bankKeys.artifacts(vault.tenant, checkpoint, digest);
  const digest = await putRecord(vault, keyOf, { format: 1, kind: 'artifacts', artifacts, missing }, call);
  const pointer = { digest, count: artifacts.length };
  // A commit must never name what cannot be read back.
  await vault.shown(() => getArtifacts(vault, checkpoint, pointer, call), call);
  return pointer;
}

/** Reads the artifacts that a commit points to. */
export async function getArtifacts(
  vault: Vault,
  checkpoint: CheckpointId,
  { digest }: RecordPointer,
  call: CallOptions,
): Promise<CheckpointContents> {
  const key = bankKeys.artifacts(vault.tenant, checkpoint, digest);
  const { artifacts, missing } = await getRecord(vault, key, artifactsSchema, call);
  return { artifacts, missing };
}
