import pMap from 'p-map';
import type { CallOptions, Protectable, Resource, ResourceKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey, ResourceGraph } from './resource-graph.ts';

const BATCH = 1_000;
const CALLS_AT_ONCE = 8;

/** Where discovery begins and whom it asks. */
export interface DiscoverRequest {
  /** What to begin with; each must exist. */
  readonly roots: readonly ResourceKey[];
  /** The plugins by type. */
  readonly protectables: ReadonlyMap<string, Protectable>;
}

/**
 * The graph of the roots and all they depend on. A listing that fails fails the discovery with
 * `DISCOVERY_FAILED`: an error is never taken for "depends on nothing".
 */
export async function discover(request: DiscoverRequest, call: CallOptions): Promise<ResourceGraph> {
  const collected = new Collected();
  let frontier: readonly Resource[] = (await findRoots(request, call)).filter((root) => collected.add(root));
  while (frontier.length > 0) {
    call.signal.throwIfAborted();
    const found: Resource[] = [];
    await pMap(
      batchesByType(frontier),
      async (batch) => {
        const dependencies = await dependenciesOf(batch, request.protectables, call);
        for (const target of dependencies.resources) if (collected.add(target)) found.push(target);
        for (const [from, to] of dependencies.edges) collected.connect(from, to);
      },
      { concurrency: CALLS_AT_ONCE, signal: call.signal },
    );
    frontier = found;
  }
  return collected.toGraph();
}

async function findRoots(request: DiscoverRequest, call: CallOptions): Promise<readonly Resource[]> {
  const roots: Resource[] = [];
  for (const batch of batchesByType(request.roots)) {
    const protectable = protectableFor(batch[0], request.protectables);
    const wanted = new Set(batch.map(({ id }) => id));
    const answer = await asked(`${protectable.type} could not be looked up`, () =>
      protectable.find([...wanted], call),
    );
    if (!Array.isArray(answer)) throw wrongAnswer(protectable.type, 'find returned no list');
    for (const resource of answer) {
      checkResource(resource, protectable.type);
      if (wanted.delete(resource.id)) roots.push(resource);
    }
    const [missing] = wanted;
    if (missing !== undefined) {
      throw new FafnirError(
        'NOT_FOUND',
        `no such resource: ${describeKey({ type: protectable.type, id: missing })}`,
      );
    }
  }
  return roots;
}

type Batch<Key> = readonly [Key, ...Key[]];

function batchesByType<Key extends ResourceKey>(resources: readonly Key[]): Batch<Key>[] {
  const batches: [Key, ...Key[]][] = [];
  const open = new Map<string, [Key, ...Key[]]>();
  for (const resource of resources) {
    const batch = open.get(resource.type);
    if (batch !== undefined && batch.length < BATCH) {
      batch.push(resource);
    } else {
      const fresh: [Key, ...Key[]] = [resource];
      open.set(resource.type, fresh);
      batches.push(fresh);
    }
  }
  return batches;
}

function protectableFor(key: ResourceKey, protectables: ReadonlyMap<string, Protectable>): Protectable {
  const protectable = protectables.get(key.type);
  if (protectable === undefined) {
    throw new FafnirError('UNKNOWN_TYPE', `no plugin protects ${describeKey(key)}`);
  }
  return protectable;
}

async function dependenciesOf(
  batch: Batch<Resource>,
  protectables: ReadonlyMap<string, Protectable>,
  call: CallOptions,
): Promise<{ resources: readonly Resource[]; edges: readonly (readonly [Resource, Resource])[] }> {
  const protectable = protectableFor(batch[0], protectables);
  const answer = await asked(`the dependencies of ${protectable.type} could not be read`, () =>
    protectable.dependencies(batch, call),
  );
  const { resources, edges: columns, failures } = answer ?? {};
  if (
    !Array.isArray(resources) ||
    !Array.isArray(failures) ||
    columns?.from === undefined ||
    columns.to === undefined
  )
    throw wrongAnswer(protectable.type, 'dependencies returned something else');
  const [failure] = answer.failures;
  if (failure !== undefined) {
    const at = batch[failure.at] ?? batch[0];
    const reason = failure.error instanceof Error ? failure.error.message : String(failure.error);
    throw new FafnirError(
      'DISCOVERY_FAILED',
      `the dependencies of ${describeKey(at)} could not be read: ${reason}`,
      {
        cause: failure.error,
        retryable: FafnirError.is(failure.error) && failure.error.retryable,
      },
    );
  }
  for (const resource of answer.resources) {
    checkResource(
      resource,
      protectables.has(resource?.type) ? resource.type : (resource?.type ?? protectable.type),
    );
    protectableFor(resource, protectables);
  }
  const { from, to } = answer.edges;
  if (from.length !== to.length) throw wrongAnswer(protectable.type, 'its edge columns differ in length');
  const edges = Array.from(from, (position, edge): [Resource, Resource] => {
    const source = batch[position];
    const target = answer.resources[to[edge] ?? -1];
    if (source === undefined || target === undefined)
      throw wrongAnswer(protectable.type, 'an edge points nowhere');
    return [source, target];
  });
  return { resources: answer.resources, edges };
}

function checkResource(resource: Resource, type: string = resource?.type): void {
  const valid =
    typeof resource === 'object' &&
    resource !== null &&
    typeof resource.attributes === 'object' &&
    resource.attributes !== null &&
    resource.id?.length <= 1_024 &&
    typeof resource.id === 'string' &&
    resource.id !== '' &&
    typeof resource.name === 'string' &&
    resource.type === type;
  if (!valid) throw wrongAnswer(String(type), 'it returned something that is not a resource of the type');
}

async function asked<Answer>(what: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    throw new FafnirError('DISCOVERY_FAILED', what, {
      cause: error,
      retryable: FafnirError.is(error) && error.retryable,
    });
  }
}

function wrongAnswer(type: string, what: string): FafnirError {
  return new FafnirError('WRONG_ANSWER', `the plugin for ${type} broke its contract: ${what}`);
}

/** Resources and edges as they come in, each once. */
class Collected {
  readonly #byType = new Map<string, Map<string, number>>();
  readonly #resources: Resource[] = [];
  readonly #from: number[] = [];
  readonly #to: number[] = [];

  /** True when the resource is new. */
  add(resource: Resource): boolean {
    const ids = this.#byType.get(resource.type) ?? new Map<string, number>();
    this.#byType.set(resource.type, ids);
    if (ids.has(resource.id)) return false;
    ids.set(resource.id, this.#resources.length);
    this.#resources.push(resource);
    return true;
  }

  connect(from: ResourceKey, to: ResourceKey): void {
    this.#from.push(this.#position(from));
    this.#to.push(this.#position(to));
  }

  #position(key: ResourceKey): number {
    return this.#byType.get(key.type)?.get(key.id) ?? -1;
  }

  toGraph(): ResourceGraph {
    const sorted = this.#resources
      .map((resource, position) => ({ resource, position }))
      .sort((a, b) => compare(a.resource.type, b.resource.type) || compare(a.resource.id, b.resource.id));
    const moved = new Uint32Array(sorted.length);
    sorted.forEach(({ position }, at) => {
      moved[position] = at;
    });
    const edges = this.#from
      .map((from, edge) => [moved[from] ?? 0, moved[this.#to[edge] ?? 0] ?? 0] as const)
      .sort(([fromA, toA], [fromB, toB]) => fromA - fromB || toA - toB)
      .filter(
        ([from, to], edge, all) => edge === 0 || from !== all[edge - 1]?.[0] || to !== all[edge - 1]?.[1],
      );
    return new ResourceGraph(
      sorted.map(({ resource }) => resource),
      { from: Uint32Array.from(edges, ([from]) => from), to: Uint32Array.from(edges, ([, to]) => to) },
    );
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
