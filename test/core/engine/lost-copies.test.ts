import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { putAddendum } from '../../../src/core/archive/checkpoint.ts';
import { parseJobId } from '../../../src/core/identity.ts';
import {
  type CheckpointId,
  createEngine,
  type OpenCheckpoint,
  type VerifyResult,
} from '../../../src/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { INSTANT } from '../archive/checkpoints.ts';
import { vaultOf } from '../archive/vaults.ts';
import { readVolume, SHOP, temporaryDirectory, writeShop } from './application.ts';
import { DAMAGES, objectFiles, recordOf } from './damage.ts';
import { fails } from './refusals.ts';
import { direct, Gate, type Tap } from './taps.ts';
import { failure, hastyClock, openWorld, protect, providersIn, VOLUMES, type World } from './world.ts';

type Of = Pick<World, 'acme' | 'path'>;

const call = { signal: new AbortController().signal };
const flip = DAMAGES['one bit is flipped'] ?? Buffer.from;

const verify = async ({ acme }: Pick<World, 'acme'>, id: CheckpointId) => (await acme.verify(id)).result();
const opened = ({ acme }: Pick<World, 'acme'>, id: CheckpointId): Promise<OpenCheckpoint> =>
  acme.checkpoints.get(id);

/** The file of an object of the bank, the last of its kind. */
async function fileOf({ path }: Pick<World, 'path'>, kind: string): Promise<string> {
  return (await objectFiles(join(path, 'bank'), `acme/${kind}/`)).at(-1) ?? '';
}

async function damage(file: string): Promise<() => Promise<void>> {
  const intact = await readFile(file);
  await writeFile(file, await flip(intact, file));
  return () => writeFile(file, intact);
}

async function expectLost(world: Of, id: CheckpointId): Promise<void> {
  const job = await world.acme.verify(id);
  expect((await failure(() => job.result())).code).toBe('CORRUPT');
  expect(await opened(world, id)).toMatchObject({ state: 'partial', lost: [{ copy: { kind: 'archive' } }] });
}

async function expectRestored({ acme, path }: Of, id: CheckpointId): Promise<void> {
  const job = await acme.restore(id, { to: 'silver' });
  expect(await job.result()).toMatchObject({ volumes: 3 });
  for (const volume of VOLUMES) {
    const [original, restored] = await Promise.all(
      ['a', 'b'].map((site) => readVolume(join(path, site), volume)),
    );
    expect(original?.equals(restored ?? Buffer.of()), `bytes of ${volume}`).toBe(true);
  }
}

/** What the addenda of a kind say. */
async function addenda({ path }: Of, kind: string): Promise<Awaited<ReturnType<typeof recordOf>>[]> {
  const bank = join(path, 'bank');
  const files = await objectFiles(bank, 'acme/addenda/');
  const ofKind = files.filter((file) => file.includes(`/${kind}.`));
  return Promise.all(ofKind.map(async (file) => recordOf(bank, file, await readFile(file))));
}

/** Calls an archive of the checkpoint lost, as another verify would. */
async function callLost({ path }: Pick<World, 'path'>, id: CheckpointId, volume: string): Promise<void> {
  const bank = filesystemBank(join(path, 'bank'));
  const copy = { kind: 'archive', location: bank.name } as const;
  const about = { volume: { array: 'files', id: volume }, copy, reason: 'gone' };
  await putAddendum(
    vaultOf(bank),
    id,
    { kind: 'copy-lost', job: parseJobId('other'), at: INSTANT, ...about },
    call,
  );
}

describe('a copy that was found lost', () => {
  it.each(['manifests', 'data'])(
    'counts again once its %s are back and a verify has read it, and restores',
    async (kind) => {
      await using world = await openWorld();
      const id = await protect(world);
      const file = await fileOf(world, kind);
      const away = join(world.path, 'away');
      await rename(file, away);
      await expectLost(world, id);
      await rename(away, file);
      expect((await opened(world, id)).state).toBe('partial');
      await fails(world, () => world.acme.restore(id, { to: 'silver' }), 'NOT_AVAILABLE');
      expect(await verify(world, id)).toMatchObject({ copies: 3, unreachable: 0 });
      expect(await opened(world, id)).toMatchObject({ state: 'available', lost: [] });
      await expectRestored(world, id);
    },
  );

  it('stays lost while it is, and every verify fails', async () => {
    await using world = await openWorld();
    const id = await protect(world);
    await rm(await fileOf(world, 'manifests'));
    for (let verified = 0; verified < 3; verified += 1) await expectLost(world, id);
    expect(await addenda(world, 'copy-lost')).toHaveLength(3);
  });

  it('counts again by one proof, which names all that called it lost before, and is lost again after it', async () => {
    await using world = await openWorld();
    const id = await protect(world);
    const repair = await damage(await fileOf(world, 'manifests'));
    for (let verified = 0; verified < 2; verified += 1) await expectLost(world, id);
    const names = (await opened(world, id)).lost.flatMap(({ losses }) => losses);
    expect(names).toHaveLength(2);
    await repair();
    await verify(world, id);
    expect((await opened(world, id)).state).toBe('available');
    const named = (await addenda(world, 'copy-proven')).flatMap(({ supersedes }) => supersedes ?? []);
    expect(named).toEqual(names);
    await verify(world, id);
    expect(
      (await addenda(world, 'copy-proven')).filter(({ supersedes }) => supersedes !== undefined),
    ).toHaveLength(1);
    await damage(await fileOf(world, 'manifests'));
    await expectLost(world, id);
  });

  it('counts again where a later archive has stored anew what was missing', async () => {
    await using world = await openWorld();
    const first = await protect(world);
    const file = await fileOf(world, 'data');
    await rm(file);
    await expectLost(world, first);
    await protect(world);
    // It is still the missing pack that the copy's own index names.
    expect((await verify(world, first)).damaged).toMatchObject([{ objects: 1 }]);
    expect((await opened(world, first)).state).toBe('available');
    await expectRestored(world, first);
  });

  it.each([{ level: 'tags' }, { sample: 0.5 }] as const)(
    'is passed over by a verify of %o, which cannot show that it is whole',
    async (options) => {
      await using world = await openWorld();
      const id = await protect(world);
      const repair = await damage(await fileOf(world, 'manifests'));
      await expectLost(world, id);
      await repair();
      const job = await world.acme.verify(id, options);
      expect((await failure(() => job.result())).code).toBe('NOT_AVAILABLE');
      expect((await opened(world, id)).state).toBe('partial');
    },
  );

  it('stays lost to what called it so while a verify was reading it', async () => {
    const gate = new Gate((what) => what.startsWith('bank.put acme/addenda/') && isArmed);
    let isArmed = false;
    await using world = await openWorld({ tap: gate.tap });
    const id = await protect(world);
    await callLost(world, id, 'db-data');
    isArmed = true;
    const verifying = await world.acme.verify(id);
    await gate.reached;
    await callLost(world, id, 'db-data');
    gate.open();
    expect(await verifying.result()).toMatchObject({ copies: 3 });
    expect((await opened(world, id)).state).toBe('partial');
    await verify(world, id);
    expect((await opened(world, id)).state).toBe('available');
  });

  it('is read anew by a verify that goes on, whatever that had proved before the loss', async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await writeShop(join(path, 'a'));
    const gate = new Gate((what) => what.startsWith('bank.put acme/addenda/') && isArmed);
    let isArmed = false;
    const open = (tap: Tap) =>
      createEngine({
        store: sqliteStore(join(path, 'fafnir.db')),
        providers: Object.values(providersIn(path, tap)),
        clock: hastyClock,
      });
    const first = await open(gate.tap);
    const acme = first.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const checkpoint = await protect({ acme, plan });
    isArmed = true;
    const { id: job } = await acme.verify(checkpoint);
    await gate.reached;
    await expect.poll(() => objectFiles(join(path, 'bank'), 'acme/proofs/')).not.toEqual([]);
    await first.close();

    const [proof = ''] = await objectFiles(join(path, 'bank'), 'acme/proofs/');
    const { packs } = await recordOf(join(path, 'bank'), proof, await readFile(proof));
    const files = (await objectFiles(join(path, 'bank'), 'acme/data/')).filter((file) =>
      (packs as readonly string[]).some((pack) => file.endsWith(pack)),
    );
    const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
    // The largest has chunks. The others have pages, which are read in any case.
    await damage(files[sizes.indexOf(Math.max(...sizes))] ?? '');
    for (const volume of VOLUMES) await callLost({ path }, checkpoint, volume);

    await using second = await open(direct);
    const again = second.for({ tenant: 'acme', actor: 'test' });
    const result = again.jobs.handle<VerifyResult>(job).result();
    expect((await failure(() => result)).code).toBe('CORRUPT');
    expect((await again.jobs.get(job))?.epoch).toBe(2);
    expect(await opened({ acme: again }, checkpoint)).toMatchObject({ state: 'partial', lost: [{}] });
  });
});

describe('damage that loses nothing', () => {
  it('is told by the verify that finds it, copy by copy', async () => {
    await using world = await openWorld();
    const id = await protect(world);
    expect(await verify(world, id)).toMatchObject({ damaged: [] });
    const file = await fileOf(world, 'data');
    const bytes = await readFile(file);
    // The end of a pack repeats what indexes tell.
    await writeFile(file, bytes.fill(0, bytes.length - 8));
    const { copies, damaged } = await verify(world, id);
    expect(copies).toBe(3);
    expect(damaged.length).toBeGreaterThan(0);
    for (const one of damaged) {
      expect(one).toEqual({
        volume: { array: 'files', id: expect.any(String) },
        copy: { kind: 'archive', location: filesystemBank(join(world.path, 'bank')).name },
        objects: 1,
      });
    }
    expect((await opened(world, id)).state).toBe('available');
    await expectRestored(world, id);
  });
});
