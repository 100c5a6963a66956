import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import { wrap } from '../../../src/banks/wrappers/wrap.ts';
import { readOnly } from '../../../src/banks/wrappers/read-only.ts';
import { type Bank, type CheckpointId, type Clock, createEngine, type Job } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { bankOf, contentsOf, overwrite } from '../archive/volume/collecting.ts';
import { keysOf } from '../archive/volumes.ts';
import { changeVolume, readVolume } from './application.ts';
import { direct, Fault, Gate, Recorder, type Tap, tappedBank } from './taps.ts';
import { failure, hastyClock, openWorld, protect, providersIn, VOLUMES, type World } from './world.ts';

const call = { signal: new AbortController().signal };

const collect = async ({ acme }: Pick<World, 'acme'>, preview = false) =>
  (await acme.collect({ provider: 'gold', preview })).result();
const remove = async ({ acme }: World, id: CheckpointId) => (await acme.remove(id)).result();
const verify = async ({ acme }: World, id: CheckpointId) => (await acme.verify(id)).result();
const packsOf = (bank: Bank): Promise<string[]> => keysOf(bank, 'acme/data/');
const stateOf = async ({ acme }: World, job: Job<unknown>) => (await acme.jobs.get(job.id))?.state;

/** A world with two checkpoints of which the first, whose volumes were other, is removed. */
async function withGarbage(
  bank: Bank,
  tap: Tap = direct,
): Promise<{ readonly world: World; readonly first: CheckpointId; readonly second: CheckpointId }> {
  const world = await openWorld({ tap, bank });
  const first = await protect(world);
  for (const id of VOLUMES) await changeVolume(join(world.path, 'a'), id, 2_000_000, `new bytes of ${id}`);
  const second = await protect(world);
  await remove(world, first);
  return { world, first, second };
}

async function expectRestored({ acme, path }: World, id: CheckpointId): Promise<void> {
  await (await acme.restore(id, { to: 'silver' })).result();
  for (const volume of VOLUMES) {
    const [original, restored] = await Promise.all(
      ['a', 'b'].map((site) => readVolume(join(path, site), volume)),
    );
    expect(original?.equals(restored ?? Buffer.of()), `bytes of ${volume}`).toBe(true);
  }
}

describe('collect', () => {
  it('gives back what removed checkpoints needed alone, as its preview says, and changes nothing in one', async () => {
    const bank = memoryBank({ name: 'bank' });
    const { world, second } = await withGarbage(bank);
    await using _ = world;
    const before = await contentsOf(bank);
    const foretold = await collect(world, true);
    expect(await contentsOf(bank)).toEqual(before);
    const done = await collect(world);
    expect(done).toEqual({ ...foretold, corrected: 0 });
    expect(done.packs).toBeGreaterThan(0);
    const sizes = [...before].filter(([key]) => key.startsWith('acme/data/')).map(([, { length }]) => length);
    const left = [...(await contentsOf(bank))].filter(([key]) => key.startsWith('acme/data/'));
    const bytes = (lengths: readonly number[]) => lengths.reduce((sum, length) => sum + length, 0);
    expect(done.bytes).toBe(bytes(sizes) - bytes(left.map(([, { length }]) => length)));
    expect(await collect(world)).toEqual({ bank: 'bank', archives: 0, packs: 0, bytes: 0, corrected: 0 });
    await verify(world, second);
    await expectRestored(world, second);
  });

  it('leaves no pack, index or manifest where every checkpoint is removed', async () => {
    const bank = memoryBank({ name: 'bank' });
    const { world, second } = await withGarbage(bank);
    await using _ = world;
    await remove(world, second);
    await collect(world);
    const left = await keysOf(bank, '');
    expect(left.filter((key) => /\/(data|index|manifests|damage)\//.test(key))).toEqual([]);
    const third = await protect(world);
    await verify(world, third);
    await expectRestored(world, third);
  });

  it('takes what a failed protect left', async () => {
    const bank = memoryBank({ name: 'bank' });
    const fault = new Fault({ matches: (what) => what.startsWith('bank.put acme/artifacts'), lasting: true });
    await using world = await openWorld({ bank, tap: fault.tap });
    await failure(() => protect(world));
    expect((await packsOf(bank)).length).toBeGreaterThan(0);
    expect(await collect(world)).toMatchObject({ archives: 3 });
    expect(await packsOf(bank)).toEqual([]);
  });

  it('keeps what a partial checkpoint has', async () => {
    const bank = memoryBank({ name: 'bank' });
    const fault = new Fault({
      matches: (what, ids) => what === 'array.open' && ids.includes('db-data'),
      lasting: true,
    });
    await using world = await openWorld({ bank, tap: fault.tap });
    const plan = await world.acme.plans.create({
      name: 'partial',
      provider: 'gold',
      resources: [{ type: 'Local::Application', id: 'shop' }],
      onFailure: 'continue',
    });
    const { checkpoint, state } = await (await world.acme.protect(plan.id)).result();
    expect(state).toBe('partial');
    await collect(world);
    expect((await packsOf(bank)).length).toBeGreaterThan(0);
    await verify(world, checkpoint);
  });

  it('ends the same where the bank fails at any call, is tried again, and is repeated', async () => {
    const bank = memoryBank({ name: 'bank' });
    const { world, second } = await withGarbage(bank);
    await using _ = world;
    const contents = await contentsOf(bank);
    const recorder = new Recorder();
    const restart = async (over: Bank) => {
      const engine = await createEngine({
        store: memoryStore(),
        providers: [providersIn(world.path, undefined, over).gold],
        clock: hastyClock,
      });
      return { engine, acme: engine.for({ tenant: 'acme', actor: 'test' }) };
    };
    const clean = await bankOf(contents);
    const first = await restart(tappedBank(clean, recorder.tap));
    const wanted = await collect(first);
    await first.engine.close();
    const packs = await packsOf(clean);
    for (let at = 1; at <= recorder.calls.length; at += 7) {
      const copy = await bankOf(contents);
      const fault = new Fault({ at, lasting: true, time: at % 2 === 0 ? 'before' : 'after' });
      const dying = await restart(tappedBank(copy, fault.tap));
      await collect(dying).catch(() => undefined);
      await dying.engine.close();
      const fresh = await restart(copy);
      const done = await collect(fresh);
      expect(done.packs).toBeLessThanOrEqual(wanted.packs);
      expect(await packsOf(copy), `killed at call ${at}`).toEqual(packs);
      await (await fresh.acme.verify(second)).result();
      await fresh.engine.close();
    }
  });

  it('is refused for a provider that there is not, and for options that there are not', async () => {
    await using world = await openWorld();
    expect(await failure(() => world.acme.collect({ provider: 'lead' }))).toMatchObject({
      code: 'UNKNOWN_PROVIDER',
    });
    const wrong = { provider: 'gold', force: true };
    expect(await failure(() => world.acme.collect(wrong))).toMatchObject({ code: 'INVALID_OPTIONS' });
  });

  it('of a tenant without anything finds nothing', async () => {
    const bank = memoryBank({ name: 'bank' });
    await using world = await openWorld({ bank });
    expect(await collect(world)).toEqual({ bank: 'bank', archives: 0, packs: 0, bytes: 0, corrected: 0 });
    expect(await keysOf(bank, '')).toEqual([]);
  });

  it('of a bank that is read-only previews, and otherwise fails with what the bank says', async () => {
    await using world = await openWorld();
    const bank = filesystemBank(join(world.path, 'bank'));
    await remove(world, await protect(world));
    await using engine = await createEngine({
      store: memoryStore(),
      providers: [providersIn(world.path, undefined, readOnly(bank)).gold],
      clock: hastyClock,
    });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const before = await keysOf(bank, '');
    expect((await collect({ acme }, true)).packs).toBeGreaterThan(0);
    expect(await failure(() => collect({ acme }))).toMatchObject({ code: 'ACCESS_DENIED' });
    expect(await keysOf(bank, '')).toEqual(before);
  });
});

describe('collect in a damaged bank', () => {
  it.each(['commits', 'artifacts', 'manifests'])('removes nothing where %s cannot be read', async (kind) => {
    const bank = memoryBank({ name: 'bank' });
    const { world, second } = await withGarbage(bank);
    await using _ = world;
    const contents = await contentsOf(bank);
    const isOfSecond = (key: string) =>
      kind === 'manifests' ? true : key.startsWith(`acme/${kind}/${second}`);
    for (const key of [...contents.keys()].filter(
      (one) => one.startsWith(`acme/${kind}/`) && isOfSecond(one),
    )) {
      await overwrite(bank, key, (contents.get(key) ?? new Uint8Array()).slice(0, 90));
      const before = await keysOf(bank, '');
      expect(await failure(() => collect(world))).toMatchObject({ code: 'CORRUPT' });
      expect(await keysOf(bank, '')).toEqual(before);
      await overwrite(bank, key, contents.get(key) ?? new Uint8Array());
    }
    await collect(world);
    await verify(world, second);
  });

  it('still collects what a removed checkpoint needed whose records are gone', async () => {
    const bank = memoryBank({ name: 'bank' });
    const { world, first, second } = await withGarbage(bank);
    await using _ = world;
    for (const kind of ['artifacts', 'graphs'])
      await bank.remove(await keysOf(bank, `acme/${kind}/${first}`), call);
    expect((await collect(world)).packs).toBeGreaterThan(0);
    await verify(world, second);
  });

  it('collects nothing of a copy that was found lost and may hold something still', async () => {
    const bank = memoryBank({ name: 'bank' });
    await using world = await openWorld({ bank });
    const id = await protect(world);
    const [pack = ''] = await packsOf(bank);
    await overwrite(bank, pack, new Uint8Array(20));
    await failure(() => verify(world, id));
    const before = await packsOf(bank);
    const outcome = await collect(world).catch((error: unknown) => error);
    // Where the damage is in a page, nobody knows what the archive needs.
    if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'CORRUPT' });
    expect(await packsOf(bank)).toEqual(before);
  });

  // A copy that is recorded as lost holds nobody to anything.
  it('gives space back beside a copy that was found lost since its manifest is gone', async () => {
    const bank = memoryBank({ name: 'bank' });
    const { world, second } = await withGarbage(bank);
    await using _ = world;
    const third = await protect(world);
    const [manifest = ''] = (await keysOf(bank, 'acme/manifests/')).slice(-1);
    await bank.remove([manifest], call);
    for (const id of [second, third]) await verify(world, id).catch(() => undefined);
    expect((await collect(world)).packs).toBeGreaterThan(0);
  });
});

describe('collect beside a copy that was lost and proven since', () => {
  it('removes nothing where its manifest is gone again', async () => {
    const bank = memoryBank({ name: 'bank' });
    const { world, second } = await withGarbage(bank);
    await using _ = world;
    const [manifest = ''] = (await keysOf(bank, 'acme/manifests/')).slice(-1);
    const bytes = await bank.get(manifest, { limit: 1_000_000 }, call);
    await bank.remove([manifest], call);
    await failure(() => verify(world, second));
    await overwrite(bank, manifest, bytes);
    await verify(world, second);
    await bank.remove([manifest], call);
    const before = await packsOf(bank);
    expect(await failure(() => collect(world))).toMatchObject({ code: 'CORRUPT' });
    expect(await packsOf(bank)).toEqual(before);
  });
});

describe('collect beside other jobs', () => {
  const atData = () => new Gate((what) => what.startsWith('bank.put acme/data/'));

  it('waits for a protect of the tenant, and then takes nothing of it', async () => {
    const gate = atData();
    await using world = await openWorld({ bank: memoryBank({ name: 'bank' }), tap: gate.tap });
    const protecting = await world.acme.protect(world.plan.id);
    await gate.reached;
    const refused = await world.acme.collect({ provider: 'gold', whenBusy: 'refuse' });
    expect(await failure(() => refused.result())).toMatchObject({ code: 'BUSY' });
    const collecting = await world.acme.collect({ provider: 'gold' });
    await expect.poll(() => stateOf(world, collecting)).toBe('queued');
    expect(await stateOf(world, protecting)).toBe('running');
    gate.open();
    const { checkpoint } = await protecting.result();
    expect(await collecting.result()).toMatchObject({ archives: 0, packs: 0 });
    await verify(world, checkpoint);
  });

  it('makes a protect of the tenant wait', async () => {
    const gate = new Gate((what) => what === 'bank.list acme/manifests/');
    await using world = await openWorld({ bank: memoryBank({ name: 'bank' }), tap: gate.tap });
    const collecting = await world.acme.collect({ provider: 'gold' });
    await gate.reached;
    const refused = await world.acme.protect(world.plan.id, { whenBusy: 'refuse' });
    expect(await failure(() => refused.result())).toMatchObject({ code: 'BUSY' });
    const protecting = await world.acme.protect(world.plan.id, { whenBusy: 'wait' });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await protecting.cancel()).toBe(true);
    const again = await world.acme.protect(world.plan.id);
    await expect.poll(() => stateOf(world, again)).toBe('queued');
    gate.open();
    await collecting.result();
    await verify(world, (await again.result()).checkpoint);
  });

  it('goes one after the other with another of the tenant, and beside those of other tenants', async () => {
    const gate = new Gate((what) => what === 'bank.list acme/manifests/');
    await using world = await openWorld({ bank: memoryBank({ name: 'bank' }), tap: gate.tap });
    const other = world.engine.for({ tenant: 'other', actor: 'test' });
    const plan = await other.plans.create({
      name: 'shop',
      provider: 'gold',
      resources: [{ type: 'Local::Application', id: 'shop' }],
    });
    const collecting = await world.acme.collect({ provider: 'gold' });
    await gate.reached;
    const second = await world.acme.collect({ provider: 'gold', whenBusy: 'refuse' });
    expect(await failure(() => second.result())).toMatchObject({ code: 'BUSY' });
    const { checkpoint } = await (await other.protect(plan.id)).result();
    await collect({ acme: other });
    await (await other.verify(checkpoint)).result();
    expect(await stateOf(world, collecting)).toBe('running');
    gate.open();
    await collecting.result();
    await (await other.verify(checkpoint)).result();
  });

  it('does not disturb a verify or a restore that is under way', async () => {
    const bank = memoryBank({ name: 'bank' });
    const gate = new Gate((what) => what.startsWith('bank.get acme/data/') && armed);
    let armed = false;
    const { world, second } = await withGarbage(bank, gate.tap);
    await using _ = world;
    armed = true;
    const verifying = await world.acme.verify(second);
    await gate.reached;
    armed = false;
    const restoring = world.acme.restore(second, { to: 'silver' });
    await collect(world);
    gate.open();
    await verifying.result();
    await (await restoring).result();
    expect(await keysOf(bank, 'acme/damage/')).toEqual([]);
  });

  it('that is cancelled leaves what is live', async () => {
    const gate = new Gate((what) => what === 'bank.remove' && armed);
    let armed = false;
    const { world, second } = await withGarbage(memoryBank({ name: 'bank' }), gate.tap);
    await using _ = world;
    armed = true;
    const collecting = await world.acme.collect({ provider: 'gold' });
    await gate.reached;
    await collecting.cancel();
    await expect(collecting.result()).rejects.toMatchObject({ code: 'CANCELLED' });
    await verify(world, second);
    armed = false;
    expect((await collect(world)).packs).toBeGreaterThanOrEqual(0);
    await expectRestored(world, second);
  });
});

describe('collect in a bank that lists late', () => {
  it('keeps the archives of a checkpoint that is listed after as long as the bank says', async () => {
    const sound = memoryBank({ name: 'bank' });
    const listingDelay = 3_600_000;
    let waited = listingDelay;
    const bank = wrap(sound, {
      capabilities: { ...sound.capabilities, listingDelay },
      async *list(prefix, options) {
        for await (const object of sound.list(prefix, options)) {
          if (waited >= listingDelay || !object.key.startsWith('acme/commits/')) yield object;
        }
      },
    });
    const clock: Clock = {
      ...hastyClock,
      sleep: async (milliseconds, call) => {
        if (milliseconds < listingDelay) await hastyClock.sleep(milliseconds, call);
        else waited = milliseconds;
      },
    };
    await using world = await openWorld({ bank, options: { clock } });
    const checkpoint = await protect(world);
    waited = 0;
    await collect(world);
    expect(waited).toBe(listingDelay);
    await verify(world, checkpoint);
  });
});
