import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { AttachedPathOptions, ConnectVolume } from '../../../src/arrays/cinder.ts';
import type {
  CallOptions,
  SequentialSource,
  StorageArray,
  VolumeRef,
  VolumeSource,
} from '../../../src/core/contracts/index.ts';
import { cinderBackups } from '../../../src/strategies/cinder-backup.ts';
import { collect, pattern, snapshotOne, targetOf } from '../../../src/testing/storage-array/helpers.ts';
import type { AttachingOrder } from './attaching.ts';
import { CinderProject, startOf } from './cinder.ts';
import { again, killAt } from './killing.ts';
import { openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const call: CallOptions = { signal: new AbortController().signal };
const GIB = 2 ** 30;
const ONE_VOLUME = [expect.stringMatching(/^volumes\/(?!fafnir-temporary)/)];

if (openstack === undefined)
  describe.skip(`Cinder by attached volumes (${skipped})`, () => test('needs the lab', () => undefined));
else {
  const project = await CinderProject.create(openstack);
  afterAll(() => project.remove());
  describe('Cinder by attached volumes', () => suite(project, openstack.rbd !== undefined));
}

function suite(project: CinderProject, hasRbd: boolean): void {
  /** An array of a process of its own, which knows nothing of what another one has attached. */
  const mover = (more: Partial<AttachedPathOptions> = {}, volumeType = 'file'): StorageArray =>
    project.array({ volumeType, paths: [{ kind: 'attached', connector: { host: 'mover' }, ...more }] });
  const make = (array: StorageArray = project.array()): Promise<VolumeRef> =>
    targetOf(array).create({ name: randomUUID(), size: GIB }, call);
  afterEach(() => project.clear());
  /** Never closed, as by a process that died; kept, for Node closes what is forgotten. */
  const abandoned: AsyncDisposable[] = [];

  test('reads what the backend has, for all that read it, and leaves nothing', async () => {
    const [array, volume] = [mover(), await make()];
    await project.write(volume, 4_096, pattern(100_000, 1));
    const taken = await snapshotOne(array, volume, 'snap');
    expect(taken.reference).toMatchObject({ path: 'attached' });
    await project.write(volume, 4_096, pattern(100_000, 2));
    const before = await project.left();
    {
      await using source = randomOf(await array.open(taken, {}, call));
      expect(source.size).toBe(GIB);
      expect(await startOf(array, taken)).toEqual(await startOf(project.array(), taken));
      const back = Buffer.alloc(100_000);
      await source.readInto(4_096, back, call);
      expect(back.equals(pattern(100_000, 1))).toBe(true);
      const data = (await collect(source.extents(call))).filter(({ kind }) => kind === 'data');
      expect(data).toEqual([{ offset: 0, length: 131_072, kind: 'data' }]);
      const added = (await project.left()).filter((one) => !before.includes(one));
      expect(added).toEqual([
        expect.stringMatching(/^attachments\//),
        `volumes/fafnir-temporary-${taken.reference.id}`,
      ]);
    }
    expect(await project.left()).toEqual(before);
  });

  test('what a process that died had attached to read goes, and its host is disconnected by its next one', async () => {
    const told: string[] = [];
    const connectAs =
      (host: string): ConnectVolume =>
      async ({ type, data }) => {
        told.push(`${host} has ${type}`);
        return {
          path: String(data.device_path),
          [Symbol.asyncDispose]: async () => {
            told.push(`${host} had ${type}`);
          },
        };
      };
    const by = (host: string) => mover({ connector: { host }, connect: connectAs(host) });
    const volume = await make();
    await project.write(volume, 0, pattern(4_096, 1));
    const taken = await snapshotOne(by('a'), volume, 'snap');
    abandoned.push(await by('a').open(taken, {}, call));
    expect((await startOf(by('a'), taken)).subarray(0, 4_096).equals(pattern(4_096, 1))).toBe(true);
    expect(told).toEqual(['a has local', 'a has local', 'a had local', 'a has local', 'a had local']);
    told.length = 0;
    abandoned.push(await by('a').open(taken, {}, call));
    await by('b').remove(taken, call);
    expect(told).toEqual(['a has local']);
    expect(await project.left()).toEqual(ONE_VOLUME);
  });

  test('writes a volume that nobody else gets meanwhile, and reads it back', async () => {
    const array = mover();
    const volume = await make(array);
    {
      await using target = await targetOf(array).openForWrite(volume, call);
      expect(target.blank).toBe(false);
      await target.write(4_096, pattern(100_000, 1), call);
      await target.write(GIB - 512, pattern(512, 2), call);
      await target.zero(50_000, 1_000, call);
      await target.flush(call);
      const back = Buffer.alloc(512);
      await target.readInto(GIB - 512, back, call);
      expect(back.equals(pattern(512, 2))).toBe(true);
      expect(await project.show(volume)).toMatchObject({ status: 'in-use' });
      await expect(project.attach(volume, { instance_uuid: randomUUID() })).rejects.toThrow(
        'must be available',
      );
      await expect(targetOf(array).openForWrite(volume, call)).rejects.toMatchObject({ code: 'BUSY' });
    }
    const expected = Buffer.from(pattern(100_000, 1)).fill(0, 45_904, 46_904);
    expect((await project.read(volume, 4_096, 100_000)).equals(expected)).toBe(true);
    expect((await project.read(volume, GIB - 512, 512)).equals(pattern(512, 2))).toBe(true);
    const shown = await project.show(volume);
    expect(shown).toMatchObject({ status: 'available' });
    expect(JSON.stringify(shown)).not.toMatch(/fafnir-(mover|attachment)/);
    expect(await project.left()).toEqual(ONE_VOLUME);
  });

  test.each<[string, (volume: VolumeRef) => Promise<void>]>([
    [
      'marked the volume',
      async (volume) => {
        await project.mark(volume, { 'fafnir-mover': 'mover', 'fafnir-attachment': '' });
      },
    ],
    [
      'reserved it',
      async (volume) => {
        await project.mark(volume, { 'fafnir-mover': 'mover', 'fafnir-attachment': '' });
        await project.attach(volume, {});
      },
    ],
    [
      'had it attached',
      async (volume) => {
        abandoned.push(await targetOf(mover()).openForWrite(volume, call));
      },
    ],
    [
      'had detached it',
      async (volume) => {
        await project.mark(volume, { 'fafnir-mover': 'mover', 'fafnir-attachment': randomUUID() });
      },
    ],
  ])(
    'of a writer that %s when it died, nothing stays for the next one, and for a removal',
    async (_, die) => {
      const volume = await make();
      await die(volume);
      await (await targetOf(mover({ connector: { host: 'other' } })).openForWrite(volume, call)).close();
      expect(await project.show(volume)).toMatchObject({
        status: 'available',
        metadata: { 'fafnir-name': expect.any(String) },
      });
      expect(await project.left()).toEqual(ONE_VOLUME);
      await die(volume);
      await targetOf(mover()).remove(volume, call);
      expect(await project.left()).toEqual([]);
    },
  );

  test('nothing stays of processes that are killed at any moment, for one that comes after', async () => {
    const volume = await make();
    const snapshot = await snapshotOne(mover(), volume, 'snap');
    const before = await project.left();
    for (const milliseconds of [40, 160, 360, 640, 1_000, 1_440]) {
      await killAt(
        'attaching.ts',
        { cloud: project.options, snapshot } satisfies AttachingOrder,
        milliseconds,
      );
      const next = mover({ connector: { host: 'other' } });
      // What a dead process asked for may come while the next one is at it, who then tries again.
      await again(async () => (await targetOf(next).openForWrite(volume, call)).close());
      await again(async () => (await next.open(snapshot, {}, call)).close());
      expect(await project.left()).toEqual(before);
      expect(JSON.stringify(await project.show(volume))).not.toMatch(/fafnir-(mover|attachment)/);
    }
  });

  test('what a process that died compared a backup with goes with the backup', async () => {
    const [name, array] = [randomUUID(), mover()];
    const id = await project.volume({ name: `${name}-restored`, volume_type: 'file' });
    abandoned.push(await targetOf(array).openForWrite({ array: array.name, id, size: GIB }, call));
    const { client } = project;
    const store = cinderBackups({ name: 'backups', client, array: mover(), volumeType: 'file' });
    expect(await store.removeMade(name, call)).toEqual([expect.stringContaining(id)]);
    expect(await project.left()).toEqual([]);
  });

  test('a volume that a server has is busy, whatever its metadata says, and stays attached', async () => {
    const [array, volume] = [mover(), await make()];
    const server = { instance_uuid: randomUUID() };
    const attachment = await project.attach(volume, server);
    for (const marked of [undefined, '', attachment]) {
      if (marked !== undefined) {
        await project.mark(volume, { 'fafnir-mover': 'mover', 'fafnir-attachment': marked });
      }
      await expect(targetOf(array).openForWrite(volume, call)).rejects.toMatchObject({
        code: 'BUSY',
        message: `volume ${volume.id} is in the state reserved, and cannot be written to`,
      });
      expect(await project.left()).toContain(`attachments/${attachment}`);
    }
  });

  test.skipIf(!hasRbd)(
    'what this host cannot connect is refused by name and without secrets, and detached',
    async () => {
      const array = mover({}, 'rbd');
      const volume = await make(array);
      const refused = await targetOf(array)
        .openForWrite(volume, call)
        .catch((error: unknown) => error);
      expect(refused).toMatchObject({
        code: 'UNSUPPORTED',
        message: `the backend connects volumes by rbd, and the path has no connect`,
        hint: expect.stringContaining('connect'),
      });
      expect(inspect(refused)).not.toMatch(/secret_uuid|auth_username|keyring|ceph/);
      expect(await project.show(volume)).toMatchObject({ status: 'available' });
      expect(await project.left()).toEqual(ONE_VOLUME);
    },
  );
}

const randomOf = (source: SequentialSource | VolumeSource): VolumeSource =>
  source.access === 'random' ? source : expect.fail('not to be read at random');
