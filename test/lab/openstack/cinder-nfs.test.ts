import { afterAll, afterEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { CinderPath } from '../../../src/arrays/cinder.ts';
import type { CallOptions } from '../../../src/core/contracts/index.ts';
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
  const paths: readonly CinderPath[] = [{ kind: 'image' }];
  const array = project.array({ volumeType: 'nfs', paths });

  afterEach(() => project.clear());

  const made = async (name: string): Promise<string> => {
    const id = await project.volume({ name, volume_type: 'nfs' });
    await project.write({ id }, at, bytes, 'nfs');
    return id;
  };

  /** What Cinder makes of a backup, as the beginning of a new volume. */
  async function restored(volumeId: string): Promise<Buffer> {
    const { cinder } = project;
    const answer = z.looseObject({ backup: z.looseObject({ id: z.string() }) });
    const body = { backup: { volume_id: volumeId, name: 'trap', container: 'trap' } };
    const { backup } = await cinder.request({ method: 'POST', path: ['backups'], body, answer }, call);
    const path = ['backups', backup.id];
    const wait = { path, member: 'backup', until: ['available'], milliseconds: MINUTES };
    await cinder.waitFor(wait, call);
    const into = await project.volume({ name: 'restored', volume_type: 'file' });
    const restore = { restore: { volume_id: into } };
    const anything = z.unknown();
    await cinder.request(
      { method: 'POST', path: [...path, 'restore'], body: restore, answer: anything },
      call,
    );
    await cinder.waitFor(wait, call);
    await cinder.waitFor({ ...wait, path: ['volumes', into], member: 'volume' }, call);
    return await project.read({ id: into }, 0, at + bytes.length);
  }

  test('makes backups that are available and hold no volume, once there is a snapshot', async () => {
    const id = await made('trap');
    await project.snapshot(id, 'first');
    const start = await restored(id);
    expect(start.subarray(at).equals(bytes)).toBe(false);
    expect(start.subarray(0, OVERLAY.length).equals(OVERLAY)).toBe(true);
  });

  test('is refused where the site says what it is', async () => {
    const id = await made('said');
    const nfs = project.array({ volumeType: 'nfs', paths, backend: 'nfs' });
    const refused = {
      code: 'UNSUPPORTED',
      message: expect.stringContaining('snapshots of NFS volumes are overlays'),
    };
    await expect(nfs.snapshot([{ array: 'cinder', id, size: GIB }], 'snap', call)).rejects.toMatchObject(
      refused,
    );
    expect(await project.left()).toEqual(['volumes/said']);
  });

  test('is read as it is or refused where the site says nothing, and nothing is left', async () => {
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
    for (const outcome of outcomes) expect([true, 'PLUGIN_FAILED', 'UNSUPPORTED']).toContain(outcome);
    expect(await project.left()).toEqual(['snapshots/first', 'snapshots/second', 'volumes/silent']);
  });
}
