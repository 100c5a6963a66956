import type {
  CallOptions,
  Dependencies,
  Protectable,
  Resource,
  ResourceKey,
} from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/** What finds the resources of one type. */
export type Finder = Pick<Protectable, 'type' | 'find'>;

/** Finds one resource by its key; `NOT_FOUND` naming who asks where it is gone, `MAPPING_GAP` for another type. */
export async function findReferenced(
  finders: readonly Finder[],
  { type, id }: ResourceKey,
  referrer: ResourceKey,
  call: CallOptions,
): Promise<Resource> {
  const by = `${referrer.type} ${referrer.id}`;
  const finder = finders.find((candidate) => candidate.type === type);
  if (finder === undefined) throw new FafnirError('MAPPING_GAP', `${by} cannot be joined to ${type} ${id}`);
  const [found] = await finder.find([id], call);
  if (found === undefined)
    throw new FafnirError('NOT_FOUND', `${by} refers to ${type} ${id}, which does not exist`);
  return found;
}

/**
 * The dependencies of a batch. A resource with a target that cannot be read is a failure, and keeps the edges to
 * those that can.
 */
export async function collectDependencies(
  batch: readonly Resource[],
  finders: readonly Finder[],
  referencesOf: (resource: Resource) => Promise<readonly ResourceKey[]>,
  call: CallOptions,
): Promise<Dependencies> {
  const resources: Resource[] = [];
  const from: number[] = [];
  const to: number[] = [];
  const failures = new Map<number, unknown>();
  const positions = new Map<string, number>();

  const positionOf = async (target: ResourceKey, referrer: Resource): Promise<number> => {
    const key = `${target.type}/${target.id}`;
    const known = positions.get(key);
    if (known !== undefined) return known;
    const position = resources.push(await findReferenced(finders, target, referrer, call)) - 1;
    positions.set(key, position);
    return position;
  };

  for (const [at, resource] of batch.entries()) {
    // The first failure of a resource is the one reported; an abort ends the whole batch.
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      call.signal.throwIfAborted();
      try {
        await work();
      } catch (error) {
        if (!failures.has(at)) failures.set(at, error);
      }
    };
    const targets = new Set<number>();
    await attempt(async () => {
      for (const target of await referencesOf(resource)) {
        await attempt(async () => void targets.add(await positionOf(target, resource)));
      }
    });
    for (const target of targets) {
      from.push(at);
      to.push(target);
    }
  }
  call.signal.throwIfAborted();
  return { resources, edges: { from, to }, failures: Array.from(failures, ([at, error]) => ({ at, error })) };
}
