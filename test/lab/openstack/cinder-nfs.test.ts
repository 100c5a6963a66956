import { afterAll, afterEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { findChunkedBackup } from '../../../src/arrays/cinder/chunked-backup.ts';
import type { CinderBackend } from '../../../src/arrays/cinder.ts';
import type { CallOptions, StorageArray } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { pattern, snapshotOne } from '../../../src/testing/storage-array/helpers.ts';
import { CinderProject, startOf } from './cinder.ts';
import { openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const call: CallOptions = { signal: new AbortController().signal };
const GIB = 2 ** 30;
const MINUTES = 5 * 60_000;
const OVERLAY = Buffer.from('QFI\u00fb', 'latin1');
const bytes = pattern(8_192, 1);
const at = 4_096;

if (openstack === undefined)
  describe.skip(`NFS under Cinder (${skipped})`, () => test('needs the lab', () => undefined));
else {
  const project = await CinderProject.create(openstack);
  afterAll(() => project.remove());
  describe('NFS under Cinder', () => suite(project));
}

function suite(project: CinderProject): void {
  const { cinder } = project;
  const nfs = (kind: 'backup' | 'image', backend: CinderBackend = 'other'): StorageArray =>
    project.array({ volumeType: 'nfs', backend, paths: [{ kind }] });
  const waitFor = (id: string) => {
    const path = ['backups', id];
    return { path, member: 'backup', until: ['available'], milliseconds: MINUTES };
  };

  afterEach(() => project.clear());

  const made = async (name: string): Promise<string> => {
    const id = await project.volume({ name, volume_type: 'nfs' });
    await project.write({ id }, at, bytes, 'nfs');
    return id;
  };

  /** A backup that Cinder makes of a volume past the array, and calls available. */
  async function backedUp(volumeId: string): Promise<string> {
    const answer = z.looseObject({ backup: z.looseObject({ id: z.string() }) });
    const body = { backup: { volume_id: volumeId, name: 'trap', container: 'trap' } };
    const { backup } = await cinder.request({ method: 'POST', path: ['backups'], body, answer }, call);
    await cinder.waitFor(waitFor(backup.id), call);
    return backup.id;
  }

  /** What Cinder makes of a backup, as the beginning of a new volume. */
  async function restored(backupId: string): Promise<Buffer> {
    const id = await project.volume({ name: 'restored', volume_type: 'file' });
    const body = { restore: { volume_id: id } };
    const path = ['backups', backupId, 'restore'];
    await cinder.request({ method: 'POST', path, body, answer: z.unknown() }, call);
    await cinder.waitFor(waitFor(backupId), call);
    await cinder.waitFor({ ...waitFor(backupId), path: ['volumes', id], member: 'volume' }, call);
    return await project.read({ id }, 0, at + bytes.length);
  }

  test('makes backups that are available and hold no volume once there is a snapshot, and readers tell', async () => {
    const volumeId = await made('trap');
    await project.snapshot(volumeId, 'first');
    const backupId = await backedUp(volumeId);
    const start = await restored(backupId);
    expect(start.subarray(at).equals(bytes)).toBe(false);
    expect(start.subarray(0, OVERLAY.length).equals(OVERLAY)).toBe(true);
    const swift = project.client.service('object-store');
    const identity = { container: 'trap', backupId, volumeId, size: GIB };
    await expect(findChunkedBackup(swift, identity, call)).rejects.toMatchObject({
      code: 'WRONG_ANSWER',
      hint: expect.stringContaining('as those of NFS are'),
    });
  });

  test('is refused where the site says what it is', async () => {
    const id = await made('said');
    const message = expect.stringContaining('snapshots of NFS volumes are overlays');
    for (const kind of ['backup', 'image'] as const) {
      const taking = nfs(kind, 'nfs').snapshot([{ array: 'cinder', id, size: GIB }], 'snap', call);
      await expect(taking).rejects.toMatchObject({ code: 'UNSUPPORTED', message });
    }
    expect(await project.left()).toEqual(['volumes/said']);
  });

  test.each(['image', 'backup'] as const)(
    'is read as it is or refused by the path %s where the site says nothing',
    async (kind) => {
      const array = nfs(kind);
      const id = await made('silent');
      const outcomes: unknown[] = [];
      for (const name of ['first', 'second']) {
        const taken = await snapshotOne(array, { array: 'cinder', id, size: GIB }, name);
        outcomes.push(
          await startOf(array, taken).then(
            (start) => start.subarray(at, at + bytes.length).equals(bytes),
            (error: unknown) => (FafnirError.is(error) ? error.code : error),
          ),
        );
      }
      for (const outcome of outcomes)
        expect([true, 'PLUGIN_FAILED', 'UNSUPPORTED', 'WRONG_ANSWER']).toContain(outcome);
      expect(await project.left()).toEqual(['snapshots/first', 'snapshots/second', 'volumes/silent']);
    },
  );
}
