import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { CallOptions, JsonObject, StorageArray, VolumeRef } from '../../../src/core/contracts/index.ts';
import { collect, pattern, snapshotOne, targetOf } from '../../../src/testing/storage-array/helpers.ts';
import { CinderProject, readStart, startOf } from './cinder.ts';
import { openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const call: CallOptions = { signal: new AbortController().signal };
const GIB = 2 ** 30;
const MIB = 2 ** 20;

if (openstack === undefined)
  describe.skip(`Cinder as an array (${skipped})`, () => test('needs the lab', () => undefined));
else {
  const project = await CinderProject.create(openstack);
  afterAll(() => project.remove());
  describe('Cinder as an array', () => suite(project));
}

function suite(project: CinderProject): void {
  const array = project.array();
  afterEach(() => project.clear());
  const make = (of: StorageArray = array, name: string = randomUUID()): Promise<VolumeRef> =>
    targetOf(of).create({ name, size: GIB }, call);
  const attempt = (id: string, state: string) => ({ 'fafnir-attempt': id, 'fafnir-state': state });

  test('refuses sizes that Cinder has no volumes of, and volumes of another type', async () => {
    await expect(targetOf(array).create({ name: 'odd', size: GIB + MIB }, call)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: `volume odd cannot have ${GIB + MIB} bytes: Cinder counts in whole GiB`,
    });
    const volume = await make();
    const other = project.array({ volumeType: 'nfs' });
    await expect(other.snapshot([volume], 'snap', call)).rejects.toMatchObject({ code: 'UNKNOWN_ARRAY' });
    expect(await collect(other.list('', call))).toEqual([]);
  });

  test('tells in the words of Cinder why a volume could not be made, and leaves none', async () => {
    const nowhere = project.array({ volumeType: 'nowhere' });
    await expect(make(nowhere, 'lost')).rejects.toMatchObject({
      code: 'PLUGIN_FAILED',
      message: expect.stringMatching(/is in the state error: .*could not find any available/i),
    });
    expect(await project.left()).toEqual([]);
  });

  describe('a set', () => {
    test('that a dead caller left half taken is taken anew', async () => {
      const [one, other] = [await make(), await make()];
      const left = await project.snapshot(one.id, 'set', attempt(randomUUID(), 'partial'));
      expect(await array.find('set', call)).toMatchObject([{ volume: one, reference: { id: left } }]);
      const taken = await array.snapshot([one, other], 'set', call);
      expect(taken.map(({ reference }) => reference.id)).not.toContain(left);
      expect((await project.left()).filter((name) => name === 'snapshots/set')).toHaveLength(2);
    });

    test('that a dead caller left taken and not marked is finished as it was', async () => {
      const volumes = [await make(), await make()];
      const id = randomUUID();
      const left: string[] = [];
      for (const volume of volumes) {
        left.push(await project.snapshot(volume.id, 'set', attempt(id, 'partial')));
      }
      const taken = await array.snapshot(volumes, 'set', call);
      expect(taken.map(({ reference }) => reference.id)).toEqual(left);
      const [first] = taken;
      await array.remove(first ?? expect.fail(), call);
      const refused = { code: 'ALREADY_EXISTS' };
      await expect(array.snapshot(volumes, 'set', call)).rejects.toMatchObject(refused);
    });

    test('hides what an attempt before it took too late, and takes it along', async () => {
      const volume = await make();
      const taken = await snapshotOne(array, volume, 'set');
      await project.snapshot(volume.id, 'set', attempt(randomUUID(), 'partial'));
      expect(await array.find('set', call)).toEqual([taken]);
      expect(await array.snapshot([volume], 'set', call)).toEqual([taken]);
      await array.remove(taken, call);
      expect(await array.find('set', call)).toEqual([]);
      expect((await project.left()).filter((name) => name.startsWith('snapshots/'))).toEqual([]);
    });

    test('is not taken in place of one that others made', async () => {
      const volume = await make();
      await project.snapshot(volume.id, 'set');
      await expect(array.snapshot([volume], 'set', call)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    });

    test('that Cinder does not take in time is given up, and leaves nothing', async () => {
      const volume = await make();
      const hasty = project.array({ timeout: 1 });
      await expect(hasty.snapshot([volume], 'set', call)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        retryable: true,
        message: expect.stringMatching(/after 1 ms$|was not seen/),
      });
      expect(await array.find('set', call)).toEqual([]);
    });
  });

  test('a volume that was made by a dead caller is found, and one that failed goes', async () => {
    const left = await project.volume({
      name: 'again',
      volume_type: 'file',
      metadata: { 'fafnir-name': 'again' },
    });
    await project.volume({ name: 'again', volume_type: 'file' });
    expect(await make(array, 'again')).toMatchObject({ id: left });
    await project.volume({ name: 'lost', volume_type: 'nowhere', metadata: { 'fafnir-name': 'lost' } });
    const nowhere = project.array({ volumeType: 'nowhere' });
    await expect(make(nowhere, 'lost')).rejects.toMatchObject({ code: 'PLUGIN_FAILED' });
    expect(await project.left()).toEqual(['volumes/again', 'volumes/again']);
  });

  test('a volume with snapshots is not removed, and says why', async () => {
    const volume = await make();
    await snapshotOne(array, volume, 'kept');
    await expect(targetOf(array).remove(volume, call)).rejects.toMatchObject({
      code: 'BUSY',
      retryable: false,
      message: expect.stringContaining('have snapshots'),
    });
  });

  describe.each(['image', 'backup'] as const)('by the path %s', (kind) => {
    const byCopies = project.array({ paths: [{ kind }] });

    test('reads what the backend has, by what dead callers left, which goes with the snapshot or by its token', async () => {
      const volume = await make();
      await project.write(volume, 4_096, pattern(100_000, 1));
      const taken = await snapshotOne(byCopies, volume, 'snap');
      expect(taken.reference).toMatchObject({ path: kind });
      await project.write(volume, 4_096, pattern(100_000, 2));
      // Never closed, as by a process that died.
      await byCopies.open(taken, {}, call);
      const token = `faf-${randomUUID()}`;
      await byCopies.open(taken, { token }, call);
      const left = await project.left();
      expect(left).toContain(`${kind}s/fafnir-${taken.reference.id}`);
      const another = project.array({ paths: [{ kind }] });
      const start = Buffer.alloc(MIB);
      const source = await another.open(taken, {}, call);
      await readStart(source, start);
      expect(start.subarray(4_096, 104_096).equals(pattern(100_000, 1))).toBe(true);
      expect(start.equals(await startOf(array, taken))).toBe(true);
      expect(await project.left()).toEqual(left);
      await another.remove(taken, call);
      const named = left.filter((name) => name.endsWith(`s/fafnir-by-${token}`));
      expect(await project.left()).toEqual([...named, expect.stringMatching(/^volumes\//)]);
      const told = await another.endReading?.(token, call);
      expect(told).toEqual(named.map(() => expect.stringMatching(/^(image|backup|container) \S+$/)));
      expect(await another.endReading?.(token, call)).toEqual([]);
      expect(await project.left()).toEqual([expect.stringMatching(/^volumes\//)]);
    });

    test('nothing can be written', () => {
      expect(byCopies.target).toBeUndefined();
    });
  });

  describe('written by images', () => {
    let spool: string;
    let byImages: StorageArray;
    beforeAll(async () => {
      spool = await mkdtemp(join(tmpdir(), 'fafnir-spool-'));
      byImages = project.array({ paths: [{ kind: 'image', spool }] });
    });
    afterEach(async () => expect(await readdir(spool)).toEqual([]));
    afterAll(() => rm(spool, { recursive: true }));

    test('a new volume holds what was written, as the backend has it, and no image stays', async () => {
      const volume = await make(byImages);
      {
        await using target = await targetOf(byImages).openForWrite(volume, call);
        await target.clear?.(call);
        expect(target.blank).toBe(true);
        await target.write(4_096, pattern(100_000, 1), call);
        await target.write(GIB - 512, pattern(512, 2), call);
        await target.flush(call);
        const back = new Uint8Array(100_000);
        await target.readInto(4_096, back, call);
        expect(Buffer.compare(back, pattern(100_000, 1))).toBe(0);
      }
      expect((await project.read(volume, 4_096, 100_000)).equals(pattern(100_000, 1))).toBe(true);
      expect((await project.read(volume, GIB - 512, 512)).equals(pattern(512, 2))).toBe(true);
      expect(await project.left()).toEqual([expect.stringMatching(/^volumes\//)]);
    });

    /** Of a writer that died when it was about to fill the volume. */
    const leaveImage = async ({ id }: VolumeRef, note: JsonObject): Promise<string> => {
      const name = `fafnir-${id}`;
      const facts = { disk_format: 'raw', container_format: 'bare', visibility: 'private' };
      const body = { name, ...facts, fafnir_note: JSON.stringify(note) };
      const glance = project.client.service('image');
      await glance.request({ method: 'POST', path: ['images'], body, answer: z.unknown() }, call);
      return `images/${name}`;
    };

    test('a volume that exists keeps all else, and is described as before', async () => {
      const volume = await make();
      await project.write(volume, 0, pattern(200_000, 1));
      const metadata = { hw_disk_bus: 'scsi', image_name: 'debian' };
      await project.act(volume, { 'os-set_image_metadata': { metadata } });
      {
        await using target = await targetOf(byImages).openForWrite(volume, call);
        expect(target.blank).toBe(false);
        await target.write(1_000, pattern(50, 2), call);
        await target.zero(65_536, 65_536, call);
        await target.flush(call);
      }
      const expected = Buffer.from(pattern(200_000, 1));
      expected.set(pattern(50, 2), 1_000);
      expected.fill(0, 65_536, 131_072);
      expect((await project.read(volume, 0, 200_000)).equals(expected)).toBe(true);
      expect(await project.left()).toEqual([expect.stringMatching(/^volumes\//)]);
      expect(await project.show(volume)).toMatchObject({
        status: 'available',
        bootable: 'false',
        volume_image_metadata: metadata,
      });
    });

    test('what a dead writer left goes when somebody writes again, and what it noted is heeded', async () => {
      const volume = await make();
      await project.act(volume, { 'os-set_image_metadata': { metadata: { image_name: 'fafnir' } } });
      const left = await leaveImage(volume, { bootable: true, metadata: { os_distro: 'debian' } });
      expect(await project.left()).toContain(left);
      await using target = await targetOf(byImages).openForWrite(volume, call);
      expect(await project.left()).not.toContain(left);
      expect(await project.show(volume)).toMatchObject({
        bootable: 'true',
        volume_image_metadata: { os_distro: 'debian' },
      });
      await target.close();
    });

    test('what a dead writer left goes with the volume', async () => {
      const volume = await make(byImages);
      await leaveImage(volume, { bootable: false, metadata: {} });
      await targetOf(byImages).remove(volume, call);
      expect(await project.left()).toEqual([]);
    });
  });
}
