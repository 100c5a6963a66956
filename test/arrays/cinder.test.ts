import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createFilesPath } from '../../src/arrays/cinder/direct-files.ts';
import { blocksOf } from '../../src/arrays/cinder/image-blocks.ts';
import { checkVolumeName, gibibytesOf } from '../../src/arrays/cinder/names.ts';
import { refuseOverlay } from '../../src/arrays/cinder/overlay.ts';
import { SNAPSHOT } from '../../src/arrays/cinder/records.ts';
import { type CinderArrayOptions, cinderArray } from '../../src/arrays/cinder.ts';
import { openStackClient, type OpenStackRequest } from '../../src/clients/openstack/index.ts';
import type { CallOptions } from '../../src/core/contracts/index.ts';
import { collect, pattern } from '../../src/testing/storage-array/helpers.ts';

const call: CallOptions = { signal: new AbortController().signal };
const GIB = 2 ** 30;
// Nobody answers there.
const client = openStackClient({
  authUrl: 'http://127.0.0.1:9',
  credentials: { type: 'token', token: 'none' },
});
const valid: CinderArrayOptions = {
  name: 'cinder',
  client,
  volumeType: 'fast',
  paths: [{ kind: 'rbd', pool: 'volumes' }],
};
const refused = (code: string) => expect.objectContaining({ code });

/** Bytes in pieces. */
async function* cut(bytes: Uint8Array, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const length of lengths) {
    yield bytes.subarray(at, at + length);
    at += length;
  }
  yield bytes.subarray(at);
}

/** The head of a qcow2 file above another one, or alone. */
const qcow = (isOverlay: boolean): Buffer => {
  const head = Buffer.alloc(64);
  head.write('QFI\u00fb', 'latin1');
  head.writeUInt32BE(3, 4);
  if (isOverlay) head.writeBigUInt64BE(0x1a0n, 8);
  return head;
};

describe('options of cinderArray', () => {
  test.each<[string, object]>([
    ['no volume type', { volumeType: '' }],
    ['no paths', { paths: [] }],
    ['an unknown path', { paths: [{ kind: 'iscsi' }] }],
    ['a pool that is an option', { paths: [{ kind: 'rbd', pool: '--conf' }] }],
    ['a path with more', { paths: [{ kind: 'files', folder: '/a', secret: 'x' }] }],
    ['a path with less', { paths: [{ kind: 'files' }] }],
    ['an unknown backend', { backend: 'toString' }],
    ['a group type without a name', { consistentGroupTypes: [''] }],
    ['a timeout that a timer cannot hold', { longTimeout: 2 ** 31 }],
    ['no concurrency', { concurrency: 0 }],
    ['something else', { region: 'one' }],
  ])('%s is refused', (_, more) => {
    expect(() => cinderArray({ ...valid, ...more } as CinderArrayOptions)).toThrow(
      refused('INVALID_OPTIONS'),
    );
  });

  test('send nothing when the array is made or asked what it can do', async () => {
    const capabilities = await cinderArray({ ...valid, concurrency: 7 }).capabilities(call);
    expect(capabilities).toMatchObject({
      group: false,
      changeBase: 'snapshot',
      concurrency: 7,
      reverts: 'any',
    });
    const byCopies = cinderArray({ ...valid, paths: [{ kind: 'image' }, { kind: 'backup' }] });
    expect(await byCopies.capabilities(call)).toMatchObject({
      changeBase: 'none',
      extents: 'scan',
      reverts: 'latest',
    });
  });

  test('say which roles there are', () => {
    expect(cinderArray(valid).clone).toBeDefined();
    expect(cinderArray(valid).isGroup).toBeUndefined();
    expect(cinderArray({ ...valid, consistentGroupTypes: ['consistent'] }).isGroup).toBeDefined();
    expect(cinderArray({ ...valid, backend: 'rbd' }).clone).toBeUndefined();
    expect(cinderArray({ ...valid, paths: [{ kind: 'image' }] }).target).toBeUndefined();
    expect(cinderArray({ ...valid, paths: [{ kind: 'image', spool: '/tmp' }] }).target).toBeDefined();
  });
});

test('ids that are no ids are never asked for', async () => {
  const array = cinderArray(valid);
  const volume = { array: 'cinder', id: '../../etc', size: GIB };
  await expect(array.snapshot([volume], 'snap', call)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const taken = { name: 'a', volume: { ...volume, id: crypto.randomUUID() }, takenAt: '' };
  for (const reference of [{}, { id: '../a', path: 'rbd' }, { id: 'detail', path: 'rbd' }]) {
    const opening = array.open({ ...taken, reference }, {}, call);
    await expect(opening).rejects.toMatchObject({ code: 'INVALID_ID' });
  }
});

test('a volume that Cinder encrypts is neither snapshot nor written to', async () => {
  const id = crypto.randomUUID();
  const volume = { id, status: 'available', size: 1, volume_type: 'fast', encrypted: true, created_at: '' };
  const service = {
    request: async ({ answer }: OpenStackRequest<unknown>) => {
      const parsed = await answer['~standard'].validate({ volume });
      return 'value' in parsed ? parsed.value : expect.fail();
    },
  };
  const array = cinderArray({ ...valid, client: { ...client, service: () => service as never } });
  const ref = { array: 'cinder', id, size: GIB };
  const message = expect.stringContaining('is encrypted by Cinder');
  await expect(array.snapshot([ref], 'snap', call)).rejects.toMatchObject({ code: 'UNSUPPORTED', message });
  await expect(array.target?.openForWrite(ref, call)).rejects.toMatchObject({ code: 'UNSUPPORTED', message });
});

test('sizes are whole GiB, and names are what Cinder keeps as they are', () => {
  expect(gibibytesOf('a', 3 * GIB)).toBe(3);
  for (const size of [0, 1, -GIB, GIB + 1, GIB / 2, Number.NaN]) {
    expect(() => gibibytesOf('a', size)).toThrow(refused('UNSUPPORTED'));
  }
  checkVolumeName('db data_1');
  for (const name of ['', ' a', 'a ', 'a/b', 'a\nb', 'x'.repeat(256)]) {
    expect(() => checkVolumeName(name)).toThrow(refused('INVALID_ID'));
  }
});

/** A snapshot as Cinder tells of it. */
const told = {
  id: 'a',
  name: null,
  volume_id: 'b',
  status: 'available',
  size: 1,
  created_at: '2026-11-21T03:23:45.000000',
};

test('a snapshot of Cinder tells its time in UTC, and how it came to be', () => {
  const parse = (metadata: object) => SNAPSHOT.parse({ ...told, metadata });
  expect(parse({})).toMatchObject({ takenAt: '2026-11-21T03:23:45.000Z', origin: 'foreign', name: '' });
  expect(parse({ 'fafnir-attempt': 'x', 'fafnir-state': 'complete' })).toMatchObject({ origin: 'complete' });
  expect(parse({ 'fafnir-attempt': 'x' })).toMatchObject({ origin: 'partial', attempt: 'x' });
});

test('a part of a group snapshot tells by its description whose it is, and whether it was removed', () => {
  const parse = (more: object) => SNAPSHOT.parse({ ...told, group_snapshot_id: 'g', ...more });
  const ours = { description: 'fafnir-attempt x' };
  expect(parse({})).toMatchObject({ origin: 'foreign', groupSnapshotId: 'g', isRemoved: false });
  expect(parse(ours)).toMatchObject({ origin: 'partial', attempt: 'x', isRemoved: false });
  const marks = { 'fafnir-attempt': 'x', 'fafnir-state': 'complete', 'fafnir-removed': 'true' };
  expect(parse({ ...ours, metadata: marks })).toMatchObject({ origin: 'complete', isRemoved: true });
  // Others may describe and mark what they like.
  expect(parse({ metadata: { 'fafnir-removed': 'true' } })).toMatchObject({ isRemoved: false });
  expect(SNAPSHOT.parse({ ...told, ...ours })).toMatchObject({ origin: 'foreign', attempt: '' });
});

test('overlays are told from volumes, and from what users wrote to volumes', () => {
  expect(() => refuseOverlay('a', qcow(true))).toThrow(refused('UNSUPPORTED'));
  refuseOverlay('a', qcow(false));
  refuseOverlay('a', pattern(64, 1));
  refuseOverlay('a', qcow(true).subarray(0, 8));
});

test('a file that is an overlay, or of another size, is not opened as a volume', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fafnir-cinder-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = createFilesPath({ kind: 'files', folder });
  const open = (size: number) =>
    path.open({ id: 'a', name: 'snap', volume: { id: 'b', size }, reader: 'a' }, undefined, call);
  await expect(open(64)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await writeFile(join(folder, 'snapshot-a'), qcow(true));
  await expect(open(64)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  await writeFile(join(folder, 'snapshot-a'), pattern(64, 1));
  await expect(open(65)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
  await using source = await open(64);
  expect(source.size).toBe(64);
});

describe('an image as blocks', () => {
  const blocks = (size: number, bytes: Uint8Array, lengths: readonly number[] = []) =>
    collect(blocksOf('the image', size, cut(bytes, lengths), call));

  test('has all bytes in order, however they come', async () => {
    const bytes = pattern(300_000, 1).fill(0, 65_536, 200_000);
    const lengths = fc.array(fc.integer({ min: 0, max: 150_000 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(lengths, async (some) => {
        const back = new Uint8Array(bytes.length);
        let end = 0;
        for (const block of await blocks(bytes.length, bytes, some)) {
          expect(block.offset).toBe(end);
          if (block.kind === 'data') back.set(block.data, block.offset);
          end += block.kind === 'data' ? block.data.length : block.length;
        }
        expect(end).toBe(bytes.length);
        expect(Buffer.compare(back, bytes)).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  test('that is too short, too long or an overlay is none', async () => {
    const bytes = pattern(100_000, 1);
    for (const size of [99_999, 100_001]) {
      await expect(blocks(size, bytes)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    }
    await expect(blocks(64, qcow(true))).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });
});
