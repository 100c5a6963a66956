import * as z from 'zod';
import type {
  ArrayCapabilities,
  ArrayTarget,
  CallOptions,
  Protectable,
  Provider,
  Quiescing,
  StorageArray,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { joinParts } from '../identity.ts';
import { currentMeter } from '../meter.ts';
import { strictOptions } from '../options.ts';
import type { CallLimit, Limiter } from '../policy/limiter.ts';
import { mapValues, pluginOf } from './plugin.ts';

/** How many calls to plugins an engine has under way at once, over all its jobs; what is left out has no limit. */
export interface CallLimits {
  /** Calls for one tenant, to all plugins that are limited. */
  readonly perTenant?: number;
  /** Calls to the Protectable of one type, for all tenants. */
  readonly perType?: number;
  /** The same for single types, instead of `perType`. */
  readonly types?: Readonly<Record<string, number>>;
}

const limitSchema = z.int().min(1);

/** {@link CallLimits} from outside. */
export const callLimitsSchema: z.ZodType<CallLimits> = strictOptions({
  perTenant: limitSchema.exactOptional(),
  perType: limitSchema.exactOptional(),
  // A record schema drops this one name without a word, and its type would have no limit.
  types: z
    .custom<object>(
      (value) => typeof value === 'object' && value !== null && !Object.hasOwn(value, '__proto__'),
      'must be an object, without a member __proto__',
    )
    .pipe(z.record(z.string().min(1), limitSchema))
    .exactOptional(),
});

/** Makes a call when its limits have room. */
type Gate = <Result>(call: CallOptions, make: () => Promise<Result>) => Promise<Result>;

const LARGEST_TURN = 256;
const limited = new WeakSet<Provider>();
// What arrays said, which holds for as long as the process lives.
const concurrencies = new WeakMap<StorageArray, number>();

/**
 * A provider whose plugins are called for one tenant (or, where that is null, for the engine) and within limits: each call of a Protectable, of its quiescing
 * role and of a storage array waits by itself until all its limits have room. Nothing is held between calls: what an
 * array opened is not counted, and a list takes its items in turns that are calls of their own. With `urgent`, its calls
 * stand before those of limited providers that are not: for a job that has paused applications.
 *
 * Not limited: `unquiesce`, because a pause must end; an array's `capabilities`, which say how many calls it takes;
 * reads and writes of open volumes; the bank and its keys.
 *
 * A provider that is limited already is refused with `INVALID_OPTIONS`: its calls would hold places and wait for more.
 */
export function limitProvider(
  provider: Provider,
  limiter: Limiter,
  options: { readonly tenant: TenantId | null; readonly limits: CallLimits; readonly urgent?: boolean },
): Provider {
  const { tenant, limits, urgent = false } = options;
  if (limited.has(provider)) {
    throw new FafnirError('INVALID_OPTIONS', `limitProvider: provider ${provider.name} is limited already`);
  }
  const ofTenant = tenant === null ? [] : limitsOf(`tenant:${tenant}`, limits.perTenant);
  const gateOf = (protectable: Protectable): Gate => {
    const name = `type:${joinParts(provider.name, protectable.type)}`;
    const all = [...limitsOf(name, ofType(limits, protectable.type)), ...ofTenant];
    return ({ signal }, make) => limiter.run(all, make, { signal, urgent });
  };
  const limitArray = (array: StorageArray): StorageArray => {
    const name = `array:${joinParts(provider.name, array.name)}`;
    const capabilities = async (call: CallOptions): Promise<ArrayCapabilities> => {
      const answer = await array.capabilities(call);
      concurrencies.set(array, answer.concurrency);
      return answer;
    };
    return limitedArray(array, capabilities, async (call, make) => {
      const meter = currentMeter();
      if (meter !== undefined) meter.arrayCalls += 1;
      const limit = concurrencies.get(array) ?? (await capabilities(call)).concurrency;
      return limiter.run([{ name, limit }, ...ofTenant], make, { signal: call.signal, urgent });
    });
  };
  const made = pluginOf<Provider>({
    name: provider.name,
    site: provider.site,
    protectables: mapValues(provider.protectables, (one) => limitedProtectable(one, gateOf(one))),
    arrays: mapValues(provider.arrays, limitArray),
    copyStores: provider.copyStores,
    hooks: provider.hooks,
    probes: provider.probes,
    strategies: provider.strategies,
    bank: provider.bank,
    keys: provider.keys,
    policy: provider.policy,
    tenantPolicy: provider.tenantPolicy,
  });
  limited.add(made);
  return made;
}

const limitsOf = (name: string, limit: number | undefined): readonly CallLimit[] =>
  limit === undefined ? [] : [{ name, limit }];

const ofType = ({ types = {}, perType }: CallLimits, type: string): number | undefined =>
  Object.hasOwn(types, type) ? types[type] : perType;

function limitedProtectable(protectable: Protectable, gate: Gate): Protectable {
  const { quiescing } = protectable;
  const gaps = protectable.gaps?.bind(protectable);
  const probe = protectable.probe?.bind(protectable);
  const volumes = protectable.volumes?.bind(protectable);
  return pluginOf<Protectable>({
    contract: protectable.contract,
    type: protectable.type,
    groupsVolumes: protectable.groupsVolumes,
    renames: protectable.renames,
    clones: protectable.clones,
    joined: protectable.joined,
    maps: protectable.maps,
    quiescing: quiescing && limitedQuiescing(quiescing, gate),
    list: (call) => inTurns(gate, call, () => protectable.list(call)),
    find: (ids, call) => gate(call, () => protectable.find(ids, call)),
    dependencies: (resources, call) => gate(call, () => protectable.dependencies(resources, call)),
    capture: (resource, call) => gate(call, () => protectable.capture(resource, call)),
    create: (description, request, call) => gate(call, () => protectable.create(description, request, call)),
    connect: (resource, request, call) => gate(call, () => protectable.connect(resource, request, call)),
    remove: (request, call) => gate(call, () => protectable.remove(request, call)),
    gaps: gaps && ((requests, call) => gate(call, () => gaps(requests, call))),
    probe: probe && ((resource, request, call) => gate(call, () => probe(resource, request, call))),
    volumes: volumes && ((resource, call) => gate(call, () => volumes(resource, call))),
  });
}

const limitedQuiescing = (quiescing: Quiescing, gate: Gate): Quiescing =>
  pluginOf<Quiescing>({
    quiesce: (resource, pause, call) => gate(call, () => quiescing.quiesce(resource, pause, call)),
    unquiesce: (token, call) => quiescing.unquiesce(token, call),
  });

function limitedArray(
  array: StorageArray,
  capabilities: StorageArray['capabilities'],
  gate: Gate,
): StorageArray {
  const { target } = array;
  const clone = array.clone?.bind(array);
  const revert = array.revert?.bind(array);
  const isGroup = array.isGroup?.bind(array);
  const endReading = array.endReading?.bind(array);
  return pluginOf<StorageArray>({
    contract: array.contract,
    name: array.name,
    capabilities,
    snapshot: (volumes, name, call) => gate(call, () => array.snapshot(volumes, name, call)),
    find: (name, call) => gate(call, () => array.find(name, call)),
    list: (prefix, call) => inTurns(gate, call, () => array.list(prefix, call)),
    remove: (snapshot, call) => gate(call, () => array.remove(snapshot, call)),
    open: (snapshot, options, call) => gate(call, () => array.open(snapshot, options, call)),
    endReading: endReading && ((token, call) => gate(call, () => endReading(token, call))),
    isGroup: isGroup && ((volumes, call) => gate(call, () => isGroup(volumes, call))),
    target: target && limitedTarget(target, gate),
    clone: clone && ((snapshot, name, call) => gate(call, () => clone(snapshot, name, call))),
    revert: revert && ((snapshot, call) => gate(call, () => revert(snapshot, call))),
  });
}

const limitedTarget = (target: ArrayTarget, gate: Gate): ArrayTarget =>
  pluginOf<ArrayTarget>({
    create: (request, call) => gate(call, () => target.create(request, call)),
    openForWrite: (volume, call) => gate(call, () => target.openForWrite(volume, call)),
    remove: (volume, call) => gate(call, () => target.remove(volume, call)),
  });

/**
 * A list whose items are taken in turns of 1, 2, 4… up to 256, each a call within the limits. Held for the whole list,
 * a place would last as long as the consumer likes, who may make calls in the loop; and if each item were a call, a
 * long list would queue for each. So the list is read ahead of its consumer by no more items than it has had already.
 */
async function* inTurns<Item>(
  gate: Gate,
  call: CallOptions,
  start: () => AsyncIterable<Item>,
): AsyncGenerator<Item> {
  let iterator: AsyncIterator<Item> | undefined;
  // An iterator that has ended or thrown is not to be closed.
  let open = true;
  try {
    for (let most = 1; open; most = Math.min(2 * most, LARGEST_TURN)) {
      const items: Item[] = [];
      const take = async (): Promise<void> => {
        iterator ??= start()[Symbol.asyncIterator]();
        do {
          open = false;
          const next = await iterator.next();
          if (next.done === true) return;
          open = true;
          items.push(next.value);
        } while (items.length < most);
      };
      try {
        await gate(call, take);
      } catch (error) {
        yield* items;
        throw error;
      }
      yield* items;
    }
  } finally {
    if (open) await iterator?.return?.();
  }
}
