import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import { parseTenantId } from '../../../src/core/identity.ts';
import type { Bank, CheckpointId, Engine, KeyProvider, Session, TenantId } from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { KEYS, vaultOf } from '../archive/vaults.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { all, failure, hastyClock, openWorld, protect } from './world.ts';

const call = { signal: new AbortController().signal };
const LIMIT = { limit: 2 ** 26 };
const SEALED = ['commits', 'graphs', 'artifacts', 'addenda'];
const NAME = 'ledger of the third quarter';

const kindOf = (key: string): string => key.split('/')[1] ?? '';
const keysIn = async (bank: Bank, prefix = ''): Promise<string[]> =>
  (await all(bank.list(prefix, call))).map(({ key }) => key);

const textOf = async (bank: Bank, key: string): Promise<string> =>
  Buffer.from(await bank.get(key, LIMIT, call)).toString('latin1');

/** An engine of its own over the sites of a directory. */
function openEngine(path: string, bank: Bank, keys: KeyProvider): Promise<Engine> {
  const [gold, silver] = ['a', 'b'].map((site) => ({
    name: site === 'a' ? 'gold' : 'silver',
    site,
    parts: [local({ root: join(path, site) })],
    banks: [{ bank, keys, role: 'primary' as const }],
  }));
  if (gold === undefined || silver === undefined) throw new Error('there are two sites');
  const providers = [defineProvider(gold), defineProvider(silver)];
  return createEngine({ store: memoryStore(), providers, clock: hastyClock });
}

async function protectShop(session: Session): Promise<CheckpointId> {
  const plan = await session.plans.create({ name: NAME, provider: 'gold', resources: SHOP });
  return protect({ acme: session, plan });
}

/** Unwraps whatever it is given with a key of its own. */
function impostor(): KeyProvider {
  const own = memoryKeys();
  return {
    contract: 1,
    current: (call) => own.current(call),
    wrap: (...args) => own.wrap(...args),
    unwrap: async ({ bytes }, context, call) =>
      own.unwrap({ by: await own.current(call), bytes }, context, call),
  };
}

describe('a bank without its keys', () => {
  it.each([
    ['another key', memoryKeys(), 'UNKNOWN_KEY'],
    ['another key under the same name', impostor(), 'CORRUPT'],
  ])('shows nothing to one who has %s', async (_, keys, code) => {
    const bank = memoryBank({ name: 'bank' });
    await using world = await openWorld({ bank });
    const checkpoint = await protect(world);
    const before = await keysIn(bank);
    await using engine = await openEngine(world.path, bank, keys);
    const thief = engine.for({ tenant: 'acme', actor: 'thief' });
    const plan = await thief.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const started = [
      () => thief.restore(checkpoint, { to: 'silver' }),
      () => thief.verify(checkpoint),
      () => thief.remove(checkpoint),
      () => thief.protect(plan.id),
    ].map((start) => async () => (await start()).result());
    const calls = [
      () => thief.checkpoints.get(checkpoint),
      () => thief.checkpoints.graph(checkpoint),
      ...started,
    ];
    for (const work of calls) expect((await failure(work)).code).toBe(code);
    if (code === 'UNKNOWN_KEY') {
      expect((await failure(() => all(thief.checkpoints.list()))).code).toBe(code);
    } else {
      const ids = { id: checkpoint, plan: { id: world.plan.id }, bank: 'bank' };
      const [damaged] = await all(thief.checkpoints.list());
      expect(damaged).toEqual({ ...ids, state: 'failed', error: expect.objectContaining({ code }) });
    }
    expect(await keysIn(bank)).toEqual(before);
  });

  it('has no name, attribute or address of a resource or plan in what describes a checkpoint', async () => {
    const bank = memoryBank({ name: 'bank' });
    await using world = await openWorld({ bank });
    const checkpoint = await protectShop(world.acme);
    await (await world.acme.verify(checkpoint)).result();
    const words = [NAME, 'Local::', 'web-root', 'db-data', 'metadata', '10.0.1.10', 'archive'];
    const found: string[] = [];
    const kinds = new Set<string>();
    for (const key of await keysIn(bank)) {
      kinds.add(kindOf(key));
      const text = await textOf(bank, key);
      // Compressed text could not be searched: so what describes the checkpoint must be sealed.
      if (SEALED.includes(kindOf(key)) && !text.startsWith('fafobj1\n')) found.push(`${key} is not sealed`);
      found.push(...words.filter((word) => `${key} ${text}`.includes(word)).map((word) => `${word}: ${key}`));
    }
    expect(found).toEqual([]);
    expect([...kinds]).toEqual(expect.arrayContaining(['keys', ...SEALED]));
    expect(JSON.stringify(await world.acme.checkpoints.get(checkpoint))).toContain(NAME);
  });

  it('has nothing of the bytes of a volume in any object', async () => {
    const bank = memoryBank({ name: 'bank' });
    await using world = await openWorld({ bank });
    await protectShop(world.acme);
    for (const key of await keysIn(bank)) expect(await textOf(bank, key), key).not.toContain('web-root');
  });
});

describe('a tenant of a bank', () => {
  it('has data keys of its own, under which no other tenant opens anything', async () => {
    const bank = memoryBank({ name: 'bank' });
    await using world = await openWorld({ bank });
    const tenants = ['acme', 'rival'];
    for (const tenant of tenants) await protectShop(world.engine.for({ tenant, actor: 'test' }));
    const [acme = '', rival = ''] = (
      await Promise.all(tenants.map((one) => keysIn(bank, `${one}/keys/`)))
    ).flat();
    const idOf = (key: string): string => /([0-9a-f]{16})=/.exec(key)?.[1] ?? '';
    expect(idOf(acme)).toMatch(/./);
    expect(idOf(acme)).not.toBe(idOf(rival));
    // Neither by an object of the other's, nor by all of them with the keys.
    const target = 'victim' as TenantId;
    for (const from of await keysIn(bank, 'acme/')) {
      const to = from.replace(/^acme/, target);
      await bank.put(to, await bank.get(from, LIMIT, call), { ifAbsent: true, ...call });
    }
    const session = world.engine.for({ tenant: target, actor: 'test' });
    for (const { state } of await all(session.checkpoints.list())) expect(state).toBe('failed');
    expect(await all(session.checkpoints.list())).toHaveLength(1);
  });

  it('whom two engines protect at once for the first time is protected by both', async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await writeShop(join(path, 'a'));
    // Banks of their own, as in two processes.
    const open = (): Promise<Engine> => openEngine(path, filesystemBank(join(path, 'bank')), KEYS);
    await using one = await open();
    await using other = await open();
    const sessions = [one, other].map((engine) => engine.for({ tenant: 'acme', actor: 'test' }));
    const made = await Promise.all(sessions.map(protectShop));
    await using later = await open();
    for (const session of [...sessions, later.for({ tenant: 'acme', actor: 'test' })]) {
      const listed = (await all(session.checkpoints.list())).map(({ id, state }) => `${id} ${state}`);
      expect(listed.sort()).toEqual(made.map((id) => `${id} available`).sort());
      for (const id of made)
        expect(await (await session.verify(id)).result()).toMatchObject({ unreachable: 0 });
    }
    const [restored = '' as CheckpointId] = made;
    const [first] = sessions;
    expect(await (await first?.restore(restored, { to: 'silver' }))?.result()).toMatchObject({ volumes: 3 });
  });
});

describe('an object in the place of another of its kind', () => {
  it('is refused, whichever two they are', async () => {
    const bank = memoryBank({ name: 'bank' });
    await using world = await openWorld({ bank });
    const rival = world.engine.for({ tenant: 'rival', actor: 'test' });
    for (const session of [world.acme, rival]) {
      const first = await protectShop(session);
      await (await session.verify(first)).result();
    }
    const second = await protect(world);
    await (await world.acme.verify(second)).result();
    const objects = new Map<string, Uint8Array>();
    for (const key of await keysIn(bank)) objects.set(key, await bank.get(key, LIMIT, call));
    const accepted: string[] = [];
    for (const kind of SEALED) {
      const keys = [...objects.keys()].filter((key) => kindOf(key) === kind);
      expect(keys.length, kind).toBeGreaterThan(2);
      for (const to of keys) {
        const vault = vaultOf(bank, parseTenantId(to.split('/')[0] ?? ''));
        for (const from of keys) {
          await bank.put(to, objects.get(from) ?? Buffer.of(), { ifAbsent: false, ...call });
          const outcome = await vault.get(to, 2 ** 26, call).catch((error: { code: string }) => error.code);
          if ((outcome === 'CORRUPT') === (from === to)) accepted.push(`${from} as ${to}`);
        }
        await bank.put(to, objects.get(to) ?? Buffer.of(), { ifAbsent: false, ...call });
      }
    }
    expect(accepted).toEqual([]);
  });
});
