import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type { Bank, CheckpointId, Job, Part, PlanId, ProtectResult, Session } from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { KEYS } from '../archive/vaults.ts';

/** A bank whose objects under a part of the key can be held back. */
function gatedBank(bank: Bank): { bank: Bank; close(part: string): Promise<void>; open(): void } {
  let closed: { part: string; reached: () => void; opened: Promise<void> } | undefined;
  let release = (): void => undefined;
  const pass = async (key: string): Promise<void> => {
    if (closed === undefined || !key.includes(closed.part)) return;
    closed.reached();
    await closed.opened;
  };
  return {
    bank: {
      contract: 1,
      name: bank.name,
      capabilities: bank.capabilities,
      put: async (key, body, options) => {
        await pass(key);
        return bank.put(key, body, options);
      },
      get: async (key, read, call) => {
        await pass(key);
        return bank.get(key, read, call);
      },
      head: (key, call) => bank.head(key, call),
      list: (prefix, options) => bank.list(prefix, options),
      remove: (keys, call) => bank.remove(keys, call),
    },
    close: (part) =>
      new Promise((reached) => {
        const opened = new Promise<void>((resolve) => {
          release = resolve;
        });
        closed = { part, reached, opened };
      }),
    open: () => {
      closed = undefined;
      release();
    },
  };
}

interface World {
  readonly session: Session;
  readonly gate: ReturnType<typeof gatedBank>;
  plan(name: string): Promise<PlanId>;
}

async function withWorld(test: (world: World) => Promise<void>): Promise<void> {
  await using directory = await temporaryDirectory();
  await writeShop(join(directory.path, 'a'));
  const gate = gatedBank(filesystemBank(join(directory.path, 'bank')));
  const banks = [{ bank: gate.bank, keys: KEYS, role: 'primary' as const }];
  const provider = (name: string, part: Part) => defineProvider({ name, site: name, parts: [part], banks });
  const gold = provider('gold', local({ root: join(directory.path, 'a') }));
  const silver = provider('silver', local({ root: join(directory.path, 'b') }));
  await using engine = await createEngine({ store: memoryStore(), providers: [gold, silver] });
  const session = engine.for({ tenant: 'acme', actor: 'test' });
  const plan = async (name: string): Promise<PlanId> =>
    (await session.plans.create({ name, provider: 'gold', resources: SHOP })).id;
  await test({ session, gate, plan });
}

async function protect({ session, plan }: World): Promise<CheckpointId> {
  return (await (await session.protect(await plan('first'))).result()).checkpoint;
}

/** A plan whose protect job stands still, and another plan of the same volumes. */
async function busy({ session, gate, plan }: World): Promise<{ first: Job<ProtectResult>; two: PlanId }> {
  const [one, two] = [await plan('one'), await plan('two')];
  const reached = gate.close('/data/');
  const first = await session.protect(one);
  await reached;
  return { first, two };
}

describe('two plans on one volume', () => {
  it('are protected one after the other', () =>
    withWorld(async (world) => {
      const { session, gate } = world;
      const { first, two } = await busy(world);
      const second = await session.protect(two);
      await expect.poll(async () => (await session.jobs.get(second.id))?.state).toBe('queued');
      expect((await session.jobs.get(first.id))?.state).toBe('running');
      gate.open();
      await Promise.all([first.result(), second.result()]);
      expect((await session.jobs.get(second.id))?.epoch).toBeGreaterThan(1);
    }));

  it('can be refused, or waited for', () =>
    withWorld(async (world) => {
      const { session, gate } = world;
      const { first, two } = await busy(world);
      const refused = await session.protect(two, { whenBusy: 'refuse' });
      await expect(refused.result()).rejects.toMatchObject({ code: 'BUSY', retryable: true });
      const waiting = await session.protect(two, { whenBusy: 'wait' });
      gate.open();
      await Promise.all([first.result(), waiting.result()]);
      expect((await session.jobs.get(waiting.id))?.epoch).toBe(1);
    }));

  it('that queues can be cancelled at once', () =>
    withWorld(async (world) => {
      const { session, gate } = world;
      const { first, two } = await busy(world);
      const second = await session.protect(two);
      await expect.poll(async () => (await session.jobs.get(second.id))?.state).toBe('queued');
      expect(await second.cancel()).toBe(true);
      expect((await session.jobs.get(second.id))?.state).toBe('cancelled');
      gate.open();
      await first.result();
    }));
});

describe('a checkpoint', () => {
  it('is not removed while it is restored, and then no longer restored', () =>
    withWorld(async (world) => {
      const { session, gate } = world;
      const checkpoint = await protect(world);
      const reached = gate.close('/data/');
      const restore = await session.restore(checkpoint, { to: 'silver' });
      await reached;
      const remove = await session.remove(checkpoint);
      await expect.poll(async () => (await session.jobs.get(remove.id))?.state).toBe('queued');
      expect((await session.checkpoints.get(checkpoint)).state).toBe('available');
      gate.open();
      await Promise.all([restore.result(), remove.result()]);
      const again = await session.restore(checkpoint, { to: 'silver' });
      await expect(again.result()).rejects.toMatchObject({ code: 'NOT_AVAILABLE' });
    }));

  it('is read by several at once', () =>
    withWorld(async (world) => {
      const { session, gate } = world;
      const checkpoint = await protect(world);
      const reached = gate.close('/data/');
      const first = await session.verify(checkpoint);
      await reached;
      const second = await session.verify(checkpoint, { whenBusy: 'refuse' });
      gate.open();
      await Promise.all([first.result(), second.result()]);
    }));
});
