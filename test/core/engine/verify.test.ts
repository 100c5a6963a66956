import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type { CheckpointId, Provider, Session } from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { readVolume, SHOP, temporaryDirectory, writeShop } from './application.ts';
import { objectFiles } from './damage.ts';
import { all, arraySnapshots, failure, filesBelow, openWorld, protect, VOLUMES } from './world.ts';
import { KEYS } from '../archive/vaults.ts';

/** A provider of site `a`; with `keeps`, its array's snapshots are kept as change bases. */
function providerOf(
  path: string,
  name: string,
  options: { readonly array?: string; readonly keeps?: true } = {},
): Provider {
  const { array: arrayName = 'files', keeps } = options;
  const root = join(path, 'a');
  const array = createFilesArray({ name: arrayName, root }, {});
  const changeBase = keeps ? 'snapshot' : 'none';
  return defineProvider({
    name,
    site: 'a',
    parts: [
      {
        ...local({ root, array: arrayName }),
        arrays: [
          { ...array, capabilities: async (call) => ({ ...(await array.capabilities(call)), changeBase }) },
        ],
      },
    ],
    banks: [{ bank: filesystemBank(join(path, 'bank')), keys: KEYS, role: 'primary' }],
  });
}

/** Works with an engine of its own, which knows of nothing but these providers. */
async function within<Value>(
  providers: readonly Provider[],
  work: (acme: Session) => Promise<Value>,
): Promise<Value> {
  await using engine = await createEngine({ store: memoryStore(), providers });
  return await work(engine.for({ tenant: 'acme', actor: 'test' }));
}

/** A shop that was protected by an array that keeps its snapshots as change bases: each volume has two copies. */
async function withChangeBases(): Promise<{ path: string; checkpoint: CheckpointId } & AsyncDisposable> {
  const directory = await temporaryDirectory();
  const { path } = directory;
  await writeShop(join(path, 'a'));
  const checkpoint = await within([providerOf(path, 'gold', { keeps: true })], async (acme) => {
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    return protect({ acme, plan });
  });
  expect(await arraySnapshots(directory)).toHaveLength(3);
  return { path, checkpoint, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

const dropSnapshots = (path: string): Promise<void> => rm(join(path, 'a', 'snapshots'), { recursive: true });

async function damageChunks(path: string): Promise<void> {
  for (const file of await objectFiles(join(path, 'bank'), 'acme/data/')) await writeFile(file, 'damaged');
}

describe('verifying', () => {
  it('counts the copies, and the bytes that were read back', async () => {
    await using world = await openWorld();
    const { checkpoint, bytes } = await (await world.acme.protect(world.plan.id)).result();
    const result = await (await world.acme.verify(checkpoint)).result();
    expect(result).toEqual({ checkpoint, copies: 3, unreachable: 0, bytes, confidence: 1, damaged: [] });
  });

  it('does not fail for lost snapshots that were kept as change bases only', async () => {
    await using made = await withChangeBases();
    const { path, checkpoint } = made;
    await dropSnapshots(path);
    await within([providerOf(path, 'gold', { keeps: true })], async (acme) => {
      expect(await (await acme.verify(checkpoint)).result()).toMatchObject({ copies: 3, unreachable: 0 });
      const { state, artifacts } = await acme.checkpoints.get(checkpoint);
      expect(state).toBe('available');
      const kinds = artifacts.flatMap(({ volume }) => volume?.copies.map(({ kind }) => kind) ?? []);
      expect(kinds).toEqual(['archive', 'archive', 'archive']);
    });
  });

  it('counts snapshots again that were not found for a while', async () => {
    await using made = await withChangeBases();
    const { path, checkpoint } = made;
    const [snapshots, away] = [join(path, 'a', 'snapshots'), join(path, 'away')];
    await rename(snapshots, away);
    await within([providerOf(path, 'gold', { keeps: true })], async (acme) => {
      await (await acme.verify(checkpoint)).result();
      expect((await acme.checkpoints.get(checkpoint)).lost).toHaveLength(3);
      await rename(away, snapshots);
      expect(await (await acme.verify(checkpoint)).result()).toMatchObject({ copies: 6 });
      expect(await acme.checkpoints.get(checkpoint)).toMatchObject({ state: 'available', lost: [] });
    });
  });

  it.each([
    ['array', (path: string) => [providerOf(path, 'gold', { array: 'others' })]],
    ['provider', (path: string) => [providerOf(path, 'silver')]],
  ])('calls no copy lost of which this engine lacks the %s', async (_, providersOf) => {
    await using made = await withChangeBases();
    const { path, checkpoint } = made;
    await within(providersOf(path), async (acme) => {
      expect(await (await acme.verify(checkpoint)).result()).toMatchObject({ copies: 3, unreachable: 3 });
      const { artifacts } = await acme.checkpoints.get(checkpoint);
      expect(artifacts.flatMap(({ volume }) => volume?.copies ?? [])).toHaveLength(6);
    });
  });

  it('fails where no copy of a volume can be reached, and loses none', async () => {
    await using world = await openWorld({ provider: 'bronze' });
    const checkpoint = await protect(world);
    const before = await filesBelow(join(world.path, 'bank'));
    await within([providerOf(world.path, 'gold')], async (acme) => {
      const job = await acme.verify(checkpoint);
      expect((await failure(() => job.result())).code).toBe('NOT_AVAILABLE');
      expect((await acme.checkpoints.get(checkpoint)).state).toBe('available');
    });
    expect(await filesBelow(join(world.path, 'bank'))).toEqual(before);
  });
});

describe('restoring a volume of several copies', () => {
  it('uses another where the archive is damaged', async () => {
    await using made = await withChangeBases();
    const { path, checkpoint } = made;
    await damageChunks(path);
    await within([providerOf(path, 'gold', { keeps: true })], async (acme) => {
      const job = await acme.restore(checkpoint, { to: 'gold' });
      expect(await job.result()).toMatchObject({ volumes: 3 });
      const standIns = await all(acme.jobs.standIns(job.id));
      for (const id of VOLUMES) {
        const restored =
          standIns.find(({ from }) => from.type === 'Local::Volume' && from.id === id)?.to.id ?? '';
        const [before, after] = await Promise.all(
          [id, restored].map((one) => readVolume(join(path, 'a'), one)),
        );
        expect(after?.equals(before ?? Buffer.of()), `bytes of ${id}`).toBe(true);
      }
    });
  });

  it('fails with the error of the one that was tried first', async () => {
    await using made = await withChangeBases();
    const { path, checkpoint } = made;
    await damageChunks(path);
    await dropSnapshots(path);
    const before = await filesBelow(join(path, 'a'));
    await within([providerOf(path, 'gold', { keeps: true })], async (acme) => {
      const job = await acme.restore(checkpoint, { to: 'gold' });
      expect((await failure(() => job.result())).code).toBe('CORRUPT');
    });
    expect(await filesBelow(join(path, 'a'))).toEqual(before);
  });
});

describe('removing a checkpoint', () => {
  it('removes also copies that were given up before, as they were committed', async () => {
    await using made = await withChangeBases();
    const { path, checkpoint } = made;
    await damageChunks(path);
    await within([providerOf(path, 'gold', { keeps: true })], async (acme) => {
      // Gives the archives up: they are no longer counted, and still there.
      const verify = await acme.verify(checkpoint);
      expect((await failure(() => verify.result())).code).toBe('CORRUPT');
      expect(await objectFiles(join(path, 'bank'), 'acme/manifests/')).toHaveLength(3);
      expect(await (await acme.remove(checkpoint)).result()).toEqual({ checkpoint });
    });
    expect(await objectFiles(join(path, 'bank'), 'acme/manifests/')).toEqual([]);
    expect(await arraySnapshots(made)).toEqual([]);
  });
});

describe('a volume of a checkpoint', () => {
  const call = { signal: new AbortController().signal };

  it('is read at random from its archive', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const original = await readVolume(join(world.path, 'a'), 'db-data');
    await using volume = await world.acme.checkpoints.open(checkpoint, { array: 'files', id: 'db-data' });
    expect(volume.size).toBe(original.length);
    for (const [offset, length] of [
      [0, 10],
      [original.length - 7, 7],
      [1_000, original.length - 2_000],
    ] as const) {
      const into = new Uint8Array(length);
      await volume.readInto(offset, into, call);
      expect(Buffer.compare(into, original.subarray(offset, offset + length))).toBe(0);
    }
  });

  it('is refused where there is none, where it was removed, and where its bytes are damaged', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const { checkpoints } = world.acme;
    const disk = { array: 'files', id: 'db-data' };
    const none = await failure(() => checkpoints.open(checkpoint, { array: 'files', id: 'none' }));
    expect(none.code).toBe('NOT_FOUND');
    await using volume = await checkpoints.open(checkpoint, disk);
    await damageChunks(world.path);
    expect((await failure(() => volume.readInto(0, new Uint8Array(10), call))).code).toBe('CORRUPT');
    await (await world.acme.remove(checkpoint)).result();
    expect((await failure(() => checkpoints.open(checkpoint, disk))).code).toBe('NOT_AVAILABLE');
  });
});
