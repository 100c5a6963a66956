import * as z from 'zod';
import { FafnirError } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { parseOptions, strictOptions } from '../options.ts';
import type { RestoreInput } from '../operations/restore-input.ts';
import type { RestoreMap } from '../operations/restore-plan.ts';
import type { ResourceKey } from '../contracts/index.ts';

/** Where a checkpoint is to be restored, and how. */
export interface RestoreOptions {
  /** The provider to restore to; may be the one that was protected. */
  readonly to: string;
  /** What to restore of the checkpoint, with all that it depends on; everything where it is left out. */
  readonly resources?: readonly ResourceKey[];
  /** How originals become what they are there; nothing is mapped where it is left out. */
  readonly map?: RestoreMap;
  /**
   * What becomes of what was made, where the restore fails. `undo`, the default: it is removed again. `keep`: it stays as
   * far as it was made, and `jobs.standIns` tells what it is. A restore that is cancelled is always undone.
   */
  readonly onFailure?: 'undo' | 'keep';
}

const resourceKey = strictOptions({ type: z.string().min(1), id: z.string().min(1) });
const restoreOptionsSchema = strictOptions({
  to: z.string(),
  resources: z.array(resourceKey).min(1, 'choose a resource, or leave it out').exactOptional(),
  map: strictOptions({
    resources: z.array(strictOptions({ from: resourceKey, to: resourceKey })).exactOptional(),
    addresses: z.record(z.string(), z.string()).exactOptional(),
  }).exactOptional(),
  onFailure: z.enum(['undo', 'keep']).exactOptional(),
}) satisfies z.ZodType<RestoreOptions>;

/** The part of a restore's input that a host asks for. */
export type AskedRestore = Omit<RestoreInput, 'checkpoint' | 'whenBusy'>;

/** Checks what a host asks for. */
export function parseRestoreOptions(options: unknown): AskedRestore {
  const { to, resources, map, onFailure = 'undo' } = parseOptions('restore', restoreOptionsSchema, options);
  const originals = (map?.resources ?? []).map(({ from }) => describeKey(from));
  const twice = originals.find((original, at) => originals.indexOf(original) !== at);
  if (twice !== undefined) throw new FafnirError('INVALID_OPTIONS', `restore: ${twice} is mapped twice`);
  return { to, resources: resources ?? null, map: map ?? {}, onFailure };
}
