import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import type { Gap, Protectable, ResourceKey } from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { KEYS } from '../archive/vaults.ts';
import { readVolume, SHOP, temporaryDirectory, writeShop } from './application.ts';
import { failure, filesBelow, VOLUMES } from './world.ts';

const WEB: ResourceKey = { type: 'Local::Server', id: 'web' };

/** A shop that is protected, and a destination whose servers are made as `change` says. */
async function prepared(change: (server: Protectable, root: string) => Partial<Protectable>) {
  const directory = await temporaryDirectory();
  const [a, b] = ['a', 'b'].map((site) => join(directory.path, site)) as [string, string];
  await writeShop(a);
  const part = local({ root: b });
  const protectables = part.protectables?.map((one) =>
    one.type === WEB.type ? { ...one, ...change(one, b) } : one,
  );
  const banks = [{ bank: memoryBank({ name: 'bank' }), keys: KEYS, role: 'primary' as const }];
  const parts = [{ ...part, protectables: protectables ?? [] }];
  const engine = await createEngine({
    store: memoryStore(),
    providers: [
      defineProvider({ name: 'gold', site: 'a', parts: [local({ root: a })], banks }),
      defineProvider({ name: 'silver', site: 'b', parts, banks }),
    ],
  });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  const { checkpoint } = await (await acme.protect(plan.id)).result();
  return {
    a,
    b,
    acme,
    checkpoint,
    async [Symbol.asyncDispose]() {
      await engine.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

describe('a type that is joined', () => {
  it('is created when what it depends on is whole and filled, and is told what that is', async () => {
    const seen: Record<string, unknown>[] = [];
    const joined = (server: Protectable, root: string): Partial<Protectable> => ({
      joined: true,
      async create(description, request, call) {
        const { surroundings, names } = request;
        const volumes = description.volumes as { volume: string }[];
        const held = volumes.map(async ({ volume }) => {
          const now = surroundings?.resolve({ type: 'Local::Volume', id: volume });
          return [volume, await readVolume(root, now?.id ?? '')] as const;
        });
        seen.push({
          name: description.name,
          held: Object.fromEntries(await Promise.all(held)),
          network: surroundings?.resolve({ type: 'Local::Network', id: 'back' }),
          address: surroundings?.address('10.0.1.10'),
          names,
        });
        return await server.create(description, request, call);
      },
    });
    await using world = await prepared(joined);
    const { acme, checkpoint } = world;
    const map = { addresses: { '10.0.1.10': '10.0.1.11' } };
    const { resources } = await (await acme.restore(checkpoint, { to: 'silver', map })).result();
    expect(resources).toBe(8);
    const bytes = async (id: string) => [id, await readVolume(world.a, id)] as const;
    const shown = { network: { type: 'Local::Network', id: expect.any(String) }, address: '10.0.1.11' };
    const held = async (...ids: string[]) => Object.fromEntries(await Promise.all(ids.map(bytes)));
    expect(seen.toSorted((one, other) => String(one.name).localeCompare(String(other.name)))).toEqual([
      { name: 'db', held: await held('db-root', 'db-data'), ...shown, names: undefined },
      { name: 'web', held: await held('web-root'), ...shown, names: undefined },
    ]);
    const files = Object.keys(await filesBelow(world.b));
    expect(files.filter((path) => path.endsWith('.json'))).toHaveLength(8);
    expect(files.filter((path) => path.endsWith('.raw'))).toHaveLength(VOLUMES.length);
  });

  it('is undone with the rest where one cannot be created', async () => {
    const refusing = (server: Protectable): Partial<Protectable> => ({
      joined: true,
      async create(description, request, call) {
        const made = await server.create(description, request, call);
        if (description.name === 'db') throw new Error('no host is left');
        return made;
      },
    });
    await using world = await prepared(refusing);
    const job = await world.acme.restore(world.checkpoint, { to: 'silver' });
    expect((await failure(() => job.result())).message).toContain('no host is left');
    expect(Object.keys(await filesBelow(world.b))).toEqual([]);
  });

  it('is asked for, as any other, in a preview', async () => {
    await using world = await prepared(() => ({ joined: true }));
    const preview = await world.acme.preview.restore(world.checkpoint, { to: 'silver' });
    expect(preview.gaps).toEqual([]);
    expect(await (await world.acme.run(preview)).result()).toMatchObject({ resources: 8 });
  });

  it('cannot have volumes', async () => {
    const volumes = { joined: true, volumes: async () => [] } as const;
    const error = await failure(() => prepared(() => volumes));
    expect(error).toMatchObject({ code: 'INVALID_OPTIONS' });
    expect(error.message).toContain('Local::Server is joined, and has volumes');
  });
});

const REASON = 'no flavor of 1 CPU';

/** Servers whose size is a name, and who are told of what is not there. */
const flavored =
  (asked: string[] = []) =>
  (server: Protectable): Partial<Protectable> => ({
    maps: ['flavor', 'zone'],
    async gaps(requests) {
      return requests.flatMap(({ description, names }, at): readonly Gap[] => {
        const { cpus } = description.size as { cpus: number };
        return names?.of('flavor', String(cpus)) === '1' ? [{ at, reason: REASON }] : [];
      });
    },
    async create(description, request, call) {
      asked.push(request.names?.of('flavor', '1') ?? '', request.names?.of('zone', 'constructor') ?? '');
      return await server.create(description, request, call);
    },
  });

describe('gaps that a plugin tells', () => {
  it('are in the preview, and refuse the restore before its first effect', async () => {
    await using world = await prepared(flavored());
    const { acme, checkpoint } = world;
    const { gaps } = await acme.preview.restore(checkpoint, { to: 'silver' });
    expect(gaps).toEqual([`Local::Server/web: ${REASON}`]);
    const job = await acme.restore(checkpoint, { to: 'silver' });
    expect(await failure(() => job.result())).toMatchObject({
      code: 'MAPPING_GAP',
      message: `Local::Server/web: ${REASON}`,
    });
    expect(Object.keys(await filesBelow(world.b))).toEqual([]);
  });

  it('close when the name is mapped, which the creation is told too', async () => {
    const asked: string[] = [];
    await using world = await prepared(flavored(asked));
    const options = { to: 'silver', map: { names: { flavor: { '1': 'small' } } } };
    const preview = await world.acme.preview.restore(world.checkpoint, options);
    expect(preview.gaps).toEqual([]);
    await (await world.acme.run(preview)).result();
    expect(asked).toEqual(['small', 'constructor', 'small', 'constructor']);
  });

  it('are not asked of what is mapped', async () => {
    await using world = await prepared(flavored());
    const to = { type: WEB.type, id: 'none' };
    const options = { to: 'silver', map: { resources: [{ from: WEB, to }] } };
    const { gaps } = await world.acme.preview.restore(world.checkpoint, options);
    expect(gaps).toEqual(['Local::Server/web is mapped to Local::Server/none, which silver does not have']);
  });

  it('include names that nobody asks for', async () => {
    await using world = await prepared(flavored());
    const names = { flavor: { '1': 'small' }, flavour: { '1': 'small' } };
    const { gaps } = await world.acme.preview.restore(world.checkpoint, { to: 'silver', map: { names } });
    expect(gaps).toEqual(['names of flavour are mapped, and no plugin of silver asks for them']);
  });

  it('are refused where they are of nothing that was asked about', async () => {
    await using world = await prepared(() => ({ gaps: async () => [{ at: 2, reason: REASON }] }));
    const error = await failure(() => world.acme.preview.restore(world.checkpoint, { to: 'silver' }));
    expect(error).toMatchObject({ code: 'WRONG_ANSWER', message: expect.stringContaining('the gaps') });
  });

  it('cannot hide behind kinds of names that the plugin did not tell of', async () => {
    const sly = (server: Protectable): Partial<Protectable> => ({ ...flavored()(server), maps: ['zone'] });
    await using world = await prepared(sly);
    const error = await failure(() => world.acme.preview.restore(world.checkpoint, { to: 'silver' }));
    expect(error).toMatchObject({
      code: 'WRONG_ANSWER',
      message: expect.stringContaining('a name of flavor'),
    });
  });
});

describe('names', () => {
  it('mean nothing to volumes that exist', async () => {
    await using world = await prepared(() => ({}));
    const options = { to: 'gold', into: 'existing', map: { names: {} } } as const;
    expect(await failure(() => world.acme.restore(world.checkpoint, options))).toMatchObject({
      code: 'INVALID_OPTIONS',
    });
  });
});
