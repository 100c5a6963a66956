import * as z from 'zod';
import { FafnirError } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { parseOptions, strictOptions } from '../options.ts';
import type { RestoreInput } from '../operations/restore-input.ts';
import type { ConflictPolicy } from '../operations/restore-conflicts.ts';
import type { RestoreMap } from '../operations/restore-plan.ts';
import type { ResourceKey } from '../contracts/index.ts';

/** Where a checkpoint is to be restored, and how. */
export interface RestoreOptions {
  /** The provider to restore to; may be the one that was protected. */
  readonly to: string;
  /** What to restore of the checkpoint, with all that it depends on; everything where it is left out. */
  readonly resources?: readonly ResourceKey[];
  /** The array or bank whose copies are to serve, by its name; whichever serve best where it is left out. */
  readonly location?: string;
  /** How originals become what they are there; nothing is mapped where it is left out. */
  readonly map?: RestoreMap;
  /**
   * `new`, the default: resources are created beside whatever is there. `existing`: only data is restored, over the volumes
   * that the map names, or over the originals themselves where it names none and they are on the destination's site.
   */
  readonly into?: 'new' | 'existing';
  /**
   * What becomes of a resource that is to be created where the destination has one of its type and name. `fail`: the restore
   * is refused before its first effect. `skip`: the one that is there stands for it. `rename`: it gets a name of its own.
   * `replace`: the one that is there stands for it, and its volumes take the data; nothing else of it changes. Where it is
   * left out, names are not looked at: they need not be unique.
   */
  readonly conflict?: ConflictPolicy;
  /**
   * Whether volumes are protected before they are overwritten. `checkpoint`, the default: by a checkpoint that the result
   * names and a failure goes back to. Only where volumes that exist may be overwritten: `into` them, or by `replace`.
   */
  readonly safety?: 'checkpoint' | 'none';
  /**
   * What becomes of what was made, where the restore fails. `undo`, the default: what was created is removed again, and what
   * was overwritten holds again what the safety checkpoint has. `keep`: it stays as far as the restore got, and
   * `jobs.standIns` tells what it is. A restore that is cancelled is always undone.
   */
  readonly onFailure?: 'undo' | 'keep';
}

const resourceKey = strictOptions({ type: z.string().min(1), id: z.string().min(1) });
const restoreOptionsSchema = strictOptions({
  to: z.string(),
  resources: z.array(resourceKey).min(1, 'choose a resource, or leave it out').exactOptional(),
  location: z.string().min(1).exactOptional(),
  map: strictOptions({
    resources: z.array(strictOptions({ from: resourceKey, to: resourceKey })).exactOptional(),
    addresses: z.record(z.string(), z.string()).exactOptional(),
    names: z.record(z.string().min(1), z.record(z.string(), z.string())).exactOptional(),
  }).exactOptional(),
  into: z.enum(['new', 'existing']).exactOptional(),
  conflict: z.enum(['fail', 'skip', 'rename', 'replace']).exactOptional(),
  safety: z.enum(['checkpoint', 'none']).exactOptional(),
  onFailure: z.enum(['undo', 'keep']).exactOptional(),
}) satisfies z.ZodType<RestoreOptions>;

/** The part of a restore's input that a host asks for. */
export type AskedRestore = Omit<RestoreInput, 'checkpoint' | 'whenBusy'>;

/** Whether a restore that is asked for so may write to volumes that exist. */
export const mayOverwrite = ({ into, conflict }: Pick<RestoreInput, 'into' | 'conflict'>): boolean =>
  into === 'existing' || conflict === 'replace';

/** Checks what a host asks for; `where` begins what is said of it. */
export function parseRestoreOptions(options: unknown, where: string = 'restore'): AskedRestore {
  const asked = parseOptions(where, restoreOptionsSchema, options);
  const { to, resources, location = null, map, into = 'new', conflict = null, onFailure = 'undo' } = asked;
  const { safety = mayOverwrite({ into, conflict }) ? 'checkpoint' : 'none' } = asked;
  if (!mayOverwrite({ into, conflict }) && asked.safety !== undefined)
    throw new FafnirError(
      'INVALID_OPTIONS',
      `${where}: safety is for volumes that exist: into or conflict must say so`,
    );
  if (into === 'existing' && conflict !== null)
    throw new FafnirError('INVALID_OPTIONS', `${where}: conflict is for resources that are created`);
  for (const words of ['addresses', 'names'] as const) {
    if (into === 'existing' && map?.[words] !== undefined)
      throw new FafnirError('INVALID_OPTIONS', `${where}: map.${words} means nothing to existing volumes`);
  }
  const originals = (map?.resources ?? []).map(({ from }) => describeKey(from));
  const twice = originals.find((original, at) => originals.indexOf(original) !== at);
  if (twice !== undefined) throw new FafnirError('INVALID_OPTIONS', `${where}: ${twice} is mapped twice`);
  return { to, resources: resources ?? null, location, map: map ?? {}, into, conflict, safety, onFailure };
}
