import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as runner from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import { parseTenantId } from '../../../src/core/identity.ts';
import {
  type CallLimits,
  callLimitsSchema,
  limitProvider,
} from '../../../src/core/operations/limited-provider.ts';
import { parseOptions } from '../../../src/core/options.ts';
import { Limiter } from '../../../src/core/policy/limiter.ts';
import type {
  ArrayTarget,
  Protectable,
  Provider,
  Quiescing,
  Resource,
  StorageArray,
} from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { storageArraySuite } from '../../../src/testing/storage-array-suite.ts';
import { registerSuite } from '../../../src/testing/suite.ts';
import { SHOP, temporaryDirectory, writeShop } from '../engine/application.ts';
import type { Tap } from '../engine/taps.ts';
import { all, failure, providersIn } from '../engine/world.ts';
import { KEYS } from '../archive/vaults.ts';

const { describe, expect, it } = runner;
const { signal } = new AbortController();
const call = { signal };
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const key = { type: 'Test::Full', id: '1' };
const CAPABLE = {
  group: true,
  pointInTime: true,
  changeBase: 'none',
  extents: 'map',
  nameLength: 48,
} as const;
const acme = parseTenantId('acme');
const rival = parseTenantId('rival');

/** Who is called, and how many calls are under way at once. */
class Traffic {
  readonly calls: string[] = [];
  most = 0;
  yielded = 0;
  closed = 0;
  #underWay = 0;

  async during<Answer>(name: string, answer: () => Promise<Answer>): Promise<Answer> {
    this.calls.push(name);
    this.#underWay += 1;
    this.most = Math.max(this.most, this.#underWay);
    try {
      await settled();
      return await answer();
    } finally {
      this.#underWay -= 1;
    }
  }

  async *list(name: string, items: number, fails?: Error): AsyncGenerator<Resource> {
    try {
      await this.during(name, async () => undefined);
      while (this.yielded < items) yield { ...key, id: String(this.yielded++), name, attributes: {} };
      if (fails !== undefined) throw fails;
    } finally {
      this.closed += 1;
    }
  }

  /** A plugin of these facts whose methods do nothing but count, and insist on being called as its methods. */
  plugin<Plugin extends object>(
    facts: Partial<Plugin>,
    names: Partial<Record<keyof Plugin & string, string>>,
  ): Plugin {
    const plugin = Object.defineProperties({}, Object.getOwnPropertyDescriptors(facts)) as Plugin;
    for (const [method, name] of Object.entries(names)) {
      const count = (self: unknown): Promise<void> => {
        expect(self).toBe(plugin);
        return this.during(String(name), async () => undefined);
      };
      const value = function (this: unknown) {
        return count(this);
      };
      Object.defineProperty(plugin, method, { get: () => value, enumerable: true });
    }
    return plugin;
  }
}

const BARE_PROTECTABLE = ['find', 'dependencies', 'capture', 'create', 'connect', 'remove'] as const;
const BARE_ARRAY = ['snapshot', 'find', 'remove', 'open'] as const;
const TARGET = ['create', 'openForWrite', 'remove'] as const;
const named = <Name extends string>(names: readonly Name[], prefix = ''): Record<Name, string> =>
  Object.fromEntries(names.map((name) => [name, prefix + name])) as Record<Name, string>;

/** What is listed, and what is answered to a question for capabilities. */
interface Made {
  readonly items?: number;
  readonly fails?: Error;
  readonly capabilities?: StorageArray['capabilities'];
}

/** Two Protectables and two arrays; one of each has every role, the other none. */
function providerOf(
  traffic: Traffic,
  name = 'gold',
  { items = 1, fails, capabilities }: Made = {},
): Provider {
  const shared: Partial<Protectable> = { contract: 1, list: () => traffic.list('list', items, fails) };
  const full: Partial<Protectable> = {
    ...shared,
    groupsVolumes: true,
    quiescing: traffic.plugin<Quiescing>({}, named(['quiesce', 'unquiesce'])),
  };
  Object.defineProperty(full, 'type', { get: () => 'Test::Full', enumerable: true });
  const array: Partial<StorageArray> = {
    contract: 1,
    capabilities: capabilities ?? (async () => ({ ...CAPABLE, concurrency: 100 })),
    async *list() {
      await traffic.during('array.list', async () => undefined);
    },
  };
  return defineProvider({
    name,
    site: 'a',
    parts: [
      {
        contract: 1,
        name: 'test',
        protectables: [
          traffic.plugin<Protectable>(full, named([...BARE_PROTECTABLE, 'volumes'])),
          traffic.plugin<Protectable>({ ...shared, type: 'Test::Bare' }, named(BARE_PROTECTABLE)),
        ],
        arrays: [
          traffic.plugin<StorageArray>(
            { ...array, name: 'full', target: traffic.plugin<ArrayTarget>({}, named(TARGET, 'target.')) },
            named([...BARE_ARRAY, 'clone', 'isGroup', 'revert'], 'array.'),
          ),
          traffic.plugin<StorageArray>({ ...array, name: 'bare' }, named(BARE_ARRAY, 'array.')),
        ],
      },
    ],
    banks: [{ bank: memoryBank({ name: 'bank' }), keys: KEYS, role: 'primary' }],
  });
}

type Plugins = ReturnType<typeof pluginsOf>;

function limited(
  traffic: Traffic,
  of: Made & {
    readonly limits?: CallLimits;
    readonly tenant?: typeof acme;
    readonly limiter?: Limiter;
    readonly concurrency?: number;
    readonly name?: string;
    readonly urgent?: boolean;
  } = {},
): Plugins {
  const { limits = {}, tenant = acme, limiter = new Limiter(), concurrency = 100, name, urgent } = of;
  const capabilities = async () => ({ ...CAPABLE, concurrency });
  const provider = providerOf(traffic, name, { capabilities, ...of });
  return pluginsOf(limitProvider(provider, limiter, { tenant, limits, ...(urgent && { urgent }) }));
}

function pluginsOf({ protectables, arrays }: Provider) {
  const protectable = protectables.get('Test::Full') ?? expect.fail();
  const { quiescing = expect.fail(), volumes = expect.fail() } = protectable;
  const array = arrays.get('full') ?? expect.fail();
  const { target = expect.fail(), clone = expect.fail(), revert = expect.fail() } = array;
  const { isGroup = expect.fail() } = array;
  return { protectable, quiescing, volumes, array, isGroup, target, clone, revert };
}

const volume = { array: 'full', id: '1', size: 1 };
const snapshot = { name: 'name', volume, reference: {}, takenAt: '' };
const pause = { token: '0'.repeat(32), deadline: 0 };
const connecting = { token: '', description: {}, resolve: () => key, address: String };

/** Every limited method of a Protectable, once. */
const protectableCalls = ({ protectable, quiescing, volumes }: Plugins) => [
  all(protectable.list(call)),
  protectable.find(['1'], call),
  protectable.dependencies([], call),
  protectable.capture(key, call),
  protectable.create({}, { token: '' }, call),
  protectable.connect(key, connecting, call),
  protectable.remove({ token: '' }, call),
  volumes(key, call),
  quiescing.quiesce(key, pause, call),
];
const PROTECTABLE = ['list', 'volumes', 'quiesce', ...BARE_PROTECTABLE];

/** Every limited method of an array, once. */
const arrayCalls = ({ array, isGroup, target, clone, revert }: Plugins) => [
  array.snapshot([volume], 'name', call),
  array.find('name', call),
  isGroup([volume], call),
  all(array.list('', call)),
  array.remove(snapshot, call),
  array.open(snapshot, {}, call),
  target.create({ name: 'name', size: 1 }, call),
  target.openForWrite(volume, call),
  target.remove(volume, call),
  clone(snapshot, 'name', call),
  revert(snapshot, call),
];
const ARRAY = [
  ...['array.list', 'array.clone', 'array.isGroup', 'array.revert'],
  ...BARE_ARRAY.map((name) => `array.${name}`),
  ...TARGET.map((name) => `target.${name}`),
];

describe('a limited provider', () => {
  it.each([
    ['no limits', {}, 9],
    ['a limit for each type', { perType: 2 }, 2],
    ['a limit for this type', { perType: 2, types: { 'Test::Full': 3 } }, 3],
    ['a limit for another type', { types: { 'Test::Bare': 1 } }, 9],
    ['a limit that no type was given', { types: Object.create({ 'Test::Full': 1 }) }, 9],
    ['a limit for each tenant', { perTenant: 1 }, 1],
  ])('makes every call to a Protectable, with %s', async (_, limits, most) => {
    const traffic = new Traffic();
    await Promise.all(protectableCalls(limited(traffic, { limits })));
    expect([...new Set(traffic.calls)].toSorted()).toEqual(PROTECTABLE.toSorted());
    expect(traffic.most).toBe(most);
  });

  it.each([
    ['the concurrency of the array', 3, {}, 3],
    ['a lower one of the tenant', 3, { perTenant: 2 }, 2],
    ['no limits that bind', 100, { perTenant: 100, perType: 1 }, 11],
  ])('makes every call to an array, with %s', async (_, concurrency, limits, most) => {
    const traffic = new Traffic();
    await Promise.all(arrayCalls(limited(traffic, { concurrency, limits })));
    expect([...new Set(traffic.calls)].toSorted()).toEqual(ARRAY.toSorted());
    expect(traffic.most).toBe(most);
  });

  it('counts a tenant over its providers, and a type over its tenants', async () => {
    const limiter = new Limiter();
    const inTenant = new Traffic();
    const limits = { perTenant: 2 };
    const mine = ['gold', 'silver'].map((name) => limited(inTenant, { limits, limiter, name }));
    await Promise.all(mine.flatMap((plugins) => [...protectableCalls(plugins), ...arrayCalls(plugins)]));
    expect(inTenant.most).toBe(2);

    const inType = new Traffic();
    const tenants = [acme, rival].map((tenant) =>
      limited(inType, { limits: { perType: 2 }, limiter, tenant }),
    );
    await Promise.all(tenants.flatMap(protectableCalls));
    expect(inType.most).toBe(2);

    const onArray = new Traffic();
    const both = [acme, rival].map((tenant) => limited(onArray, { concurrency: 3, limiter, tenant }));
    await Promise.all(both.flatMap(arrayCalls));
    expect(onArray.most).toBe(3);
    expect(limiter.size).toBe(0);
  });

  it.each([
    [true, PROTECTABLE.length + ARRAY.length],
    [false, 0],
  ])('makes every call before those that are not urgent, if it is itself: %s', async (urgent, before) => {
    const traffic = new Traffic();
    const limiter = new Limiter();
    const plugins = limited(traffic, { limits: { perTenant: 1 }, limiter, urgent });
    const ofTenant = [{ name: 'tenant:acme', limit: 1 }];
    const held = Promise.withResolvers<void>();
    const holding = limiter.run(ofTenant, () => held.promise, call);
    const ordinary = limiter.run(ofTenant, async () => traffic.calls.length, call);
    const calls = [...protectableCalls(plugins), ...arrayCalls(plugins)];
    await settled();
    held.resolve();
    expect(await ordinary).toBe(before);
    await Promise.all([holding, ...calls]);
    expect(traffic.calls.toSorted()).toEqual([...PROTECTABLE, ...ARRAY].toSorted());
    expect(traffic.most).toBe(1);
  });

  it('ends a pause and tells capabilities without waiting', async () => {
    const traffic = new Traffic();
    const limiter = new Limiter();
    const limits = { perTenant: 1, perType: 1 };
    const { array, quiescing, protectable } = limited(traffic, { limits, limiter, concurrency: 1 });
    const held = Promise.withResolvers<void>();
    const holding = limiter.run([{ name: 'tenant:acme', limit: 1 }], () => held.promise, call);
    const waiting = protectable.find(['1'], call);
    await quiescing.unquiesce(pause.token, call);
    expect((await array.capabilities(call)).concurrency).toBe(1);
    expect(traffic.calls).toEqual(['unquiesce']);
    held.resolve();
    await Promise.all([holding, waiting]);
    expect(traffic.calls).toEqual(['unquiesce', 'find']);
  });

  it('asks an array how many calls it takes until it answers, and then no more', async () => {
    const answers = [new Error('not now'), { ...CAPABLE, concurrency: 2 }];
    const capabilities = async () => {
      const answer = answers.shift() ?? expect.fail('was asked again');
      if (answer instanceof Error) throw answer;
      return answer;
    };
    const { array } = limited(new Traffic(), { capabilities });
    await expect(array.find('name', call)).rejects.toThrow('not now');
    await array.find('name', call);
    await array.find('name', call);
    expect(answers).toEqual([]);
  });

  it('lets every question for capabilities through, and learns from the answer', async () => {
    const answers = [1, 2].map((at) => ({ ...CAPABLE, concurrency: 2, nameLength: 48 + at }));
    const capabilities = async () => answers.shift() ?? expect.fail('was asked again');
    const { array } = limited(new Traffic(), { capabilities });
    expect(await array.capabilities(call)).toMatchObject({ nameLength: 49 });
    expect(await array.capabilities(call)).toMatchObject({ nameLength: 50 });
    await array.find('name', call);
  });

  it('shares what an array said with all that limit the same one', async () => {
    const answers = [1, 3].map((concurrency) => ({ ...CAPABLE, concurrency }));
    const capabilities = async () => answers.shift() ?? expect.fail('was asked again');
    const traffic = new Traffic();
    const raw = providerOf(traffic, 'gold', { capabilities });
    const limiter = new Limiter();
    const [mine, theirs, urgent] = [
      { tenant: acme, limits: {} },
      { tenant: rival, limits: {} },
      { tenant: acme, limits: {}, urgent: true },
    ].map((options) => pluginsOf(limitProvider(raw, limiter, options)));
    const most = async (...of: readonly (Plugins | undefined)[]): Promise<number> => {
      traffic.most = 0;
      await Promise.all(of.flatMap((plugins) => arrayCalls(plugins ?? expect.fail())));
      return traffic.most;
    };
    await mine?.array.find('name', call);
    expect(answers).toHaveLength(1);
    expect(await most(mine, theirs, urgent)).toBe(1);
    await theirs?.array.capabilities(call);
    expect(await most(mine, theirs, urgent)).toBe(3);
  });

  it('leaves the queue when the call is aborted, and makes no call', async () => {
    const traffic = new Traffic();
    const limiter = new Limiter();
    const { protectable } = limited(traffic, { limiter, limits: { perType: 1 } });
    const aborting = new AbortController();
    const first = protectable.find(['1'], call);
    const calls = [
      protectable.capture(key, { signal: aborting.signal }),
      all(protectable.list({ signal: aborting.signal })),
    ];
    const outcome = Promise.allSettled(calls);
    aborting.abort('no longer wanted');
    const rejected = { status: 'rejected', reason: 'no longer wanted' };
    expect(await outcome).toEqual([rejected, rejected]);
    await first;
    expect(traffic.calls).toEqual(['find']);
    expect(limiter.size).toBe(0);
  });

  it('keeps facts, roles and their absence, and is frozen', () => {
    const original = providerOf(new Traffic());
    const provider = limitProvider(original, new Limiter(), { tenant: acme, limits: {} });
    expect(provider).toMatchObject({ name: 'gold', site: 'a' });
    expect(provider.bank).toBe(original.bank);
    expect(provider.keys).toBe(original.keys);
    expect(provider.strategies).toBe(original.strategies);
    expect([...provider.protectables.keys()]).toEqual(['Test::Full', 'Test::Bare']);
    expect([...provider.arrays.keys()]).toEqual(['full', 'bare']);
    const full = pluginsOf(provider);
    expect(full.protectable).toMatchObject({ contract: 1, type: 'Test::Full', groupsVolumes: true });
    expect(full.array).toMatchObject({ contract: 1, name: 'full' });
    const bareOf = ({ protectables, arrays }: Provider): readonly object[] => [
      protectables.get('Test::Bare') ?? expect.fail(),
      arrays.get('bare') ?? expect.fail(),
    ];
    const bare = bareOf(provider);
    const keys = (one: object): readonly string[] => Object.keys(one).toSorted();
    expect(bare.map(keys)).toEqual(bareOf(original).map(keys));
    for (const one of [provider, full.protectable, full.quiescing, full.array, full.target, ...bare]) {
      expect(Object.isFrozen(one)).toBe(true);
    }
  });

  it.each([true, false])('is not limited again, urgent or not', async (urgent) => {
    const limiter = new Limiter();
    const provider = limitProvider(providerOf(new Traffic()), limiter, { tenant: acme, limits: {}, urgent });
    for (const again of [true, false]) {
      const options = { tenant: rival, limits: {}, urgent: again };
      expect(await failure(() => limitProvider(provider, limiter, options))).toMatchObject({
        code: 'INVALID_OPTIONS',
      });
    }
  });
});

describe('limits from outside', () => {
  const parse = (value: unknown): CallLimits => parseOptions('limits', callLimitsSchema, value);

  it.each<CallLimits>([
    {},
    { perTenant: 1 },
    { perTenant: 8, perType: Number.MAX_SAFE_INTEGER, types: {} },
    { types: { 'Test::Full': 1, constructor: 2 } },
  ])('are taken as they are: %j', (limits) => {
    expect(parse(limits)).toEqual(limits);
  });

  it.each([
    ['perTenant', { perTenant: 0 }],
    ['perTenant', { perTenant: -1 }],
    ['perTenant', { perTenant: undefined }],
    ['perType', { perType: 1.5 }],
    ['perType', { perType: Number.POSITIVE_INFINITY }],
    ['perType', { perType: '2' }],
    ['types.Test::Full', { types: { 'Test::Full': 0 } }],
    ['types.Test::Bare', { types: { 'Test::Full': 1, 'Test::Bare': 2 ** 53 } }],
    ['types.', { types: { '': 1 } }],
    ['types: must be an object', { types: JSON.parse('{ "__proto__": 1, "Test::Full": 1 }') }],
    ['types: must be an object', { types: null }],
    ['types', { types: new Map([['Test::Full', 1]]) }],
    ['types', { types: [1] }],
    ['unknown option perArray; the valid options are perTenant, perType, types', { perArray: 1 }],
    ['limits', null],
    ['limits', 4],
  ])('are refused at %s: %j', async (where, limits) => {
    expect(await failure(() => parse(limits))).toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringContaining(where),
    });
  });
});

describe('a limited list', () => {
  const listed = (items: number, fails?: Error) => {
    const traffic = new Traffic();
    const limiter = new Limiter();
    const limits = { perTenant: 1, perType: 1 };
    const plugins = limited(traffic, { limiter, limits, items, ...(fails && { fails }) });
    return { ...plugins, limiter, traffic };
  };

  it('gives every item in order, and lets its consumer make calls in the loop', async () => {
    const { protectable, limiter, traffic } = listed(1_000);
    const seen: string[] = [];
    for await (const { id } of protectable.list(call)) {
      expect(limiter.size).toBe(0);
      if (seen.push(id) % 100 === 0) await protectable.find([id], call);
      expect(traffic.yielded).toBeLessThanOrEqual(2 * seen.length);
    }
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, at) => String(at)));
    expect(traffic.closed).toBe(1);
  });

  it('is empty where there is nothing', async () => {
    expect(await all(listed(0).protectable.list(call))).toEqual([]);
  });

  it('is closed when its consumer leaves, without waiting', async () => {
    const { protectable, limiter, traffic } = listed(100);
    const held = Promise.withResolvers<void>();
    let holding: Promise<void> | undefined;
    for await (const { id } of protectable.list(call)) {
      if (id !== '3') continue;
      holding = limiter.run([{ name: 'tenant:acme', limit: 1 }], () => held.promise, call);
      break;
    }
    expect(traffic.closed).toBe(1);
    expect(traffic.yielded).toBeLessThan(10);
    held.resolve();
    await holding;
    expect(limiter.size).toBe(0);
  });

  it('gives what came before an error, then the error', async () => {
    const { protectable } = listed(6, new Error('out of order'));
    const seen: string[] = [];
    const reading = async (): Promise<void> => {
      for await (const { id } of protectable.list(call)) seen.push(id);
    };
    await expect(reading()).rejects.toThrow('out of order');
    expect(seen).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  it('is closed when it is aborted between two turns', async () => {
    const { protectable, traffic } = listed(100);
    const aborting = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const { id } of protectable.list(aborting)) {
        if (id === '2') aborting.abort(new Error('no longer wanted'));
      }
    };
    await expect(reading()).rejects.toThrow('no longer wanted');
    expect(traffic).toMatchObject({ yielded: 3, closed: 1 });
  });
});

it('jobs side by side succeed where one call at a time is allowed', async () => {
  await using directory = await temporaryDirectory();
  await writeShop(join(directory.path, 'a'));
  const traffic = new Traffic();
  const tap: Tap = (what, run) => (/^bank|capabilities/.test(what) ? run() : traffic.during(what, run));
  const { gold, silver, bronze } = providersIn(directory.path, tap);
  const providers = [gold, silver, bronze];
  await using engine = await createEngine({ store: memoryStore(), providers, limits: { perTenant: 1 } });
  const session = engine.for({ tenant: 'acme', actor: 'test' });
  const plan = await session.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  const { checkpoint } = await (await session.protect(plan.id)).result();
  const jobs = [
    await session.restore(checkpoint, { to: 'silver' }),
    await session.verify(checkpoint),
    await session.protect(plan.id),
  ];
  expect(await Promise.all(jobs.map((job) => job.result()))).toHaveLength(3);
  expect(traffic.most).toBe(1);
});

const create = async () => {
  const root = await mkdtemp(join(tmpdir(), 'fafnir-test-'));
  const files = createFilesArray({ name: 'files', root }, {});
  const provider = defineProvider({
    name: 'gold',
    site: 'a',
    parts: [{ contract: 1, name: 'files', arrays: [files] }],
    banks: [{ bank: memoryBank({ name: 'bank' }), keys: KEYS, role: 'primary' }],
  });
  const { arrays } = limitProvider(provider, new Limiter(), { tenant: acme, limits: { perTenant: 1 } });
  const array = arrays.get('files') ?? expect.fail();
  let made = 0;
  const createVolume = async (size: number) =>
    (await array.target?.create({ name: `volume-${made++}`, size }, call)) ?? expect.fail();
  const write = async ({ id }: { id: string }, offset: number, data: Uint8Array) => {
    await using file = await open(join(root, 'volumes', `${id}.raw`), 'r+');
    await file.write(data, 0, data.length, offset);
  };
  return { array, createVolume, write, dispose: () => rm(root, { recursive: true, force: true }) };
};
registerSuite(await storageArraySuite({ name: 'files within limits', create }), runner);
