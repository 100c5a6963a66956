import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ConnectRequest, Probe, ResourceKey } from '../../../src/index.ts';
import { createEngine, defineProvider, FafnirError } from '../../../src/index.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { KEYS } from '../archive/vaults.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { all, failure, filesBelow, hastyClock } from './world.ts';

const [APPLICATION, NETWORK, SERVER] = ['Local::Application', 'Local::Network', 'Local::Server'];

type Asked = { readonly what: string; readonly resource: ResourceKey; readonly request: ConnectRequest };

/** A checkpoint of a shop, and another site, whose servers have the plugin's probe and whose applications the host's. */
async function prepared(
  of: { server?: () => Promise<void>; application?: Probe['probe']; probes?: readonly Probe[] } = {},
) {
  const directory = await temporaryDirectory();
  const [a, b] = [join(directory.path, 'a'), join(directory.path, 'b')];
  await writeShop(a);
  const asked: Asked[] = [];
  const part = local({ root: b });
  const protectables = part.protectables?.map((one) =>
    one.type !== SERVER
      ? one
      : {
          ...one,
          async probe(resource: ResourceKey, request: ConnectRequest): Promise<void> {
            asked.push({ what: 'plugin', resource, request });
            await of.server?.();
          },
        },
  );
  const probe: Probe['probe'] = async (resource, request, call) => {
    asked.push({ what: 'host', resource, request });
    await of.application?.(resource, request, call);
  };
  const banks = [
    { bank: filesystemBank(join(directory.path, 'bank')), keys: KEYS, role: 'primary' as const },
  ];
  const parts = [{ ...part, protectables: protectables ?? [] }];
  const probes = of.probes ?? [
    { type: APPLICATION, probe },
    { type: SERVER, probe },
  ];
  const engine = await createEngine({
    store: memoryStore(),
    clock: hastyClock,
    stepPolicies: { probe: { timeoutMilliseconds: 2_000 } },
    providers: [
      defineProvider({ name: 'gold', site: 'a', parts: [local({ root: a })], banks }),
      defineProvider({ name: 'silver', site: 'b', parts, banks, probes }),
    ],
  });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  const { checkpoint } = await (await acme.protect(plan.id)).result();
  return {
    b,
    acme,
    checkpoint,
    asked,
    async [Symbol.asyncDispose]() {
      await engine.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

describe('a restore', () => {
  it('has succeeded when all that has a probe serves, the plugin’s before the host’s', async () => {
    await using world = await prepared();
    const { acme, checkpoint, asked } = world;
    const job = await acme.restore(checkpoint, { to: 'silver' });
    expect(await job.result()).toMatchObject({ resources: 8, probed: 3 });
    const standIns = new Map((await all(acme.jobs.standIns(job.id))).map(({ from, to }) => [to.id, from]));
    const said = asked.map(({ what, resource }) => `${what} ${standIns.get(resource.id)?.id}`);
    // What the application depends on is asked first.
    expect(said.slice(0, 4).toSorted()).toEqual(['host db', 'host web', 'plugin db', 'plugin web']);
    expect(said.slice(4)).toEqual(['host shop']);
    expect(said.indexOf('plugin web')).toBeLessThan(said.indexOf('host web'));
    const { request } = asked.find(({ resource }) => standIns.get(resource.id)?.id === 'web') ?? {};
    expect(request?.description).toMatchObject({ name: 'web' });
    const there = request?.resolve({ type: NETWORK, id: 'back' });
    expect(standIns.get(there?.id ?? '')).toEqual({ type: NETWORK, id: 'back' });
  });

  it('asks when all is connected, and of nothing that was there before', async () => {
    let records: string[] = [];
    const world = await prepared({
      server: async () => {
        records = Object.keys(await filesBelow(world.b)).filter((path) => path.endsWith('.json'));
      },
    });
    await using _ = world;
    await (await world.acme.restore(world.checkpoint, { to: 'silver' })).result();
    expect(records).toHaveLength(8);
    const to = (await all(world.acme.resources('silver', SERVER))).find(({ name }) => name === 'db');
    const map = { resources: [{ from: { type: SERVER, id: 'db' }, to: { type: SERVER, id: to?.id ?? '' } }] };
    const preview = await world.acme.preview.restore(world.checkpoint, { to: 'silver', map });
    const probed = preview.resources.filter(({ probed }) => probed).map(({ id }) => id);
    expect(probed.toSorted()).toEqual(['shop', 'web']);
    expect(await (await world.acme.run(preview)).result()).toMatchObject({ probed: 2 });
  });

  it('fails where one does not serve, and is undone', async () => {
    const probe = async (): Promise<never> => {
      throw new Error('the page shows an error');
    };
    await using world = await prepared({ application: probe });
    const job = await world.acme.restore(world.checkpoint, { to: 'silver' });
    expect(await failure(() => job.result())).toMatchObject({
      code: 'NOT_SERVING',
      retryable: false,
      message: expect.stringMatching(/^what stands for Local::\w+\/\w+ does not serve: .*the page shows/),
    });
    expect(Object.keys(await filesBelow(world.b))).toEqual([]);
  });

  it('keeps what does not serve where it is told to', async () => {
    const probe = async (): Promise<never> => {
      throw new FafnirError('NOT_FOUND', 'no page');
    };
    await using world = await prepared({ application: probe });
    const job = await world.acme.restore(world.checkpoint, { to: 'silver', onFailure: 'keep' });
    expect(await failure(() => job.result())).toMatchObject({
      code: 'NOT_SERVING',
      message: expect.stringContaining('kept as far as it was made'),
    });
    expect(await all(world.acme.jobs.standIns(job.id))).toHaveLength(8);
  });

  it('asks again where that may help, and not for longer than it may take', async () => {
    let count = 0;
    await using world = await prepared({
      async server() {
        count += 1;
        if (count === 1) throw new FafnirError('UNAVAILABLE', 'not yet');
      },
    });
    expect(await (await world.acme.restore(world.checkpoint, { to: 'silver' })).result()).toMatchObject({
      probed: 3,
    });
    expect(count).toBe(3);

    const probe: Probe['probe'] = (_resource, _request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    await using slow = await prepared({ application: probe });
    const job = await slow.acme.restore(slow.checkpoint, { to: 'silver' });
    expect(await failure(() => job.result())).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/probe\/Local::\w+\/\w+ took longer than 2000 ms/),
    });
    expect(Object.keys(await filesBelow(slow.b))).toEqual([]);
  });
});

describe('a provider', () => {
  const probe = async (): Promise<void> => undefined;
  it.each([
    ['of an unknown type', [{ type: 'Other::Thing', probe }], 'UNKNOWN_TYPE'],
    ['twice for a type', [SERVER, SERVER].map((type = '') => ({ type, probe })), 'DUPLICATE_NAME'],
    ['without a function', [{ type: SERVER, probe: 'ping' }], 'INVALID_OPTIONS'],
  ])('takes no probe %s', async (_, probes, code) => {
    expect(await failure(() => prepared({ probes: probes as Probe[] }))).toMatchObject({ code });
  });
});
