import * as z from 'zod';
import type {
  Bank,
  ExternalCopies,
  KeyProvider,
  Part,
  Probe,
  Protectable,
  Provider,
  ProviderBank,
  SnapshotHooks,
  SnapshotPolicyRules,
  SnapshotStrategy,
  StorageArray,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { isId } from '../identity.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { assertLockable } from '../policy/cascade.ts';
import { parsePolicyRules } from '../policy/policy-schema.ts';

/** What a provider is put together from. */
export interface ProviderOptions {
  /** Unique within an engine; recorded in plans and checkpoints. 1 to 120 of A-Z a-z 0-9 . _ -. */
  readonly name: string;
  /** Where the parts are; the same form as `name`. */
  readonly site: string;
  /** What vendor packages gave; no two may have a plugin for the same type or an array of the same name. */
  readonly parts: readonly Part[];
  /** In order of preference; where not given, the strategies of the parts in their order. */
  readonly strategies?: readonly SnapshotStrategy[];
  /** What the host does around the snapshots of its resources; for a type once. */
  readonly hooks?: readonly SnapshotHooks[];
  /** What the host asks of what a restore has made, beside what the plugins do; for a type once. */
  readonly probes?: readonly Probe[];
  /** Where checkpoints go; exactly one is `primary`. */
  readonly banks: readonly ProviderBank[];
  /** Defaults, bounds and locks of the policy of snapshots. Default: none. */
  readonly policy?: SnapshotPolicyRules;
  /**
   * Those of a tenant, within the provider's. Asked whenever a policy is resolved, so it answers at once, from what the
   * host holds. Default: none.
   */
  readonly tenantPolicy?: (tenant: TenantId) => SnapshotPolicyRules | undefined;
}

const name = z.string().refine(isId, 'must be 1 to 120 of A-Z a-z 0-9 . _ -, the first a letter or digit');
const plugin = <Plugin extends { readonly contract: 1 }>(what: string): z.ZodType<Plugin> =>
  z.custom<Plugin>(
    (value) => typeof value === 'object' && value !== null && 'contract' in value && value.contract === 1,
    `must be a ${what} of contract version 1`,
  );

const method = <Method>(): z.ZodType<Method> =>
  z.custom<Method>((value) => typeof value === 'function', 'must be a function');

const optionsSchema = strictOptions({
  name,
  site: name,
  parts: z.array(plugin<Part>('part')).min(1),
  strategies: z.array(plugin<SnapshotStrategy>('strategy')).min(1).exactOptional(),
  hooks: z
    .array(
      strictOptions({
        type: z.string().min(1),
        before: method<SnapshotHooks['before']>(),
        after: method<SnapshotHooks['after']>(),
        beforeMilliseconds: z.int().min(1).max(600_000).exactOptional(),
      }),
    )
    .exactOptional(),
  probes: z
    .array(strictOptions({ type: z.string().min(1), probe: method<Probe['probe']>() }))
    .exactOptional(),
  banks: z
    .array(
      strictOptions({
        bank: plugin<Bank>('bank'),
        keys: plugin<KeyProvider>('key provider'),
        role: z.literal('primary'),
      }),
    )
    .length(1, 'exactly one bank is primary'),
  policy: z.custom<SnapshotPolicyRules>().exactOptional(),
  tenantPolicy: z
    .custom<NonNullable<ProviderOptions['tenantPolicy']>>(
      (value) => typeof value === 'function',
      'must be a function',
    )
    .exactOptional(),
}) satisfies z.ZodType<ProviderOptions>;

/**
 * Joins parts, strategies, a bank and a policy into what a tenant picks; `DUPLICATE_NAME` where two parts collide,
 * `UNSUPPORTED` where the policy locks and the bank has no locks.
 * What `tenantPolicy` answers is checked each time.
 */
export function defineProvider(options: ProviderOptions): Provider {
  const {
    parts,
    strategies,
    hooks = [],
    probes = [],
    banks,
    policy: given = {},
    tenantPolicy,
    ...names
  } = parseOptions('defineProvider', optionsSchema, options);
  const [primary] = banks;
  if (primary === undefined) throw new FafnirError('INVALID_OPTIONS', 'defineProvider: a bank is needed');
  const where = `provider ${names.name}`;
  const policy = parsePolicyRules('defineProvider: policy', given);
  assertLockable({ value: policy.lock?.default ?? 0, origin: 'provider' }, primary.bank);
  const protectables = byName<Protectable>(
    where,
    parts,
    ({ protectables }) => protectables,
    ({ type }) => type,
  );
  for (const { type, joined, volumes } of protectables.values()) {
    // Its volume would have to be filled before it is there.
    if (joined === true && volumes !== undefined)
      throw new FafnirError('INVALID_OPTIONS', `${where}: ${type} is joined, and has volumes`);
  }
  return Object.freeze({
    ...names,
    protectables,
    hooks: byType(where, 'hooks', hooks, protectables),
    probes: byType(where, 'probes', probes, protectables),
    arrays: byName<StorageArray>(
      where,
      parts,
      ({ arrays }) => arrays,
      (array) => array.name,
    ),
    copyStores: byName<ExternalCopies>(
      where,
      parts,
      ({ copyStores }) => copyStores,
      (store) => store.name,
    ),
    strategies: Object.freeze([...(strategies ?? parts.flatMap((part) => part.strategies ?? []))]),
    bank: primary.bank,
    keys: primary.keys,
    policy,
    ...(tenantPolicy && { tenantPolicy: checkedTenantPolicy(where, tenantPolicy, policy) }),
  });
}

function byType<One extends Pick<Probe, 'type'>>(
  where: string,
  what: string,
  given: readonly One[],
  protectables: Provider['protectables'],
): ReadonlyMap<string, One> {
  const named = new Map<string, One>();
  for (const one of given) {
    if (!protectables.has(one.type)) {
      throw new FafnirError('UNKNOWN_TYPE', `${where} has ${what} for ${one.type}, but no plugin`);
    }
    if (named.has(one.type))
      throw new FafnirError('DUPLICATE_NAME', `${where} has ${what} for ${one.type} twice`);
    named.set(one.type, Object.freeze(one));
  }
  return named;
}

function checkedTenantPolicy(
  where: string,
  tenantPolicy: NonNullable<ProviderOptions['tenantPolicy']>,
  above: SnapshotPolicyRules,
): NonNullable<Provider['tenantPolicy']> {
  return (tenant) => {
    const asked = `${where}: tenantPolicy of ${tenant}`;
    let answer: SnapshotPolicyRules | undefined;
    try {
      answer = tenantPolicy(tenant);
    } catch (error) {
      throw FafnirError.from(error, 'PLUGIN_FAILED', asked);
    }
    return answer === undefined ? undefined : parsePolicyRules(asked, answer, above);
  };
}

function byName<Plugin>(
  where: string,
  parts: readonly Part[],
  pluginsOf: (part: Part) => readonly Plugin[] | undefined,
  nameOf: (plugin: Plugin) => string,
): ReadonlyMap<string, Plugin> {
  const plugins = new Map<string, Plugin>();
  for (const part of parts) {
    for (const plugin of pluginsOf(part) ?? []) {
      const named = nameOf(plugin);
      if (plugins.has(named)) {
        throw new FafnirError(
          'DUPLICATE_NAME',
          `two parts of ${where} bring ${named}; the second is ${part.name}`,
        );
      }
      plugins.set(named, plugin);
    }
  }
  return plugins;
}
