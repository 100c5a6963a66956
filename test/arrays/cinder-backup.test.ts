import { createHash } from 'node:crypto';
import { deflateSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { findChunkedBackup, readChunkedBackup } from '../../src/arrays/cinder/chunked-backup.ts';
import type { OpenStackService } from '../../src/clients/openstack/index.ts';
import type { CallOptions } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import { pattern } from '../../src/testing/storage-array/helpers.ts';

const call: CallOptions = { signal: new AbortController().signal };
const CHUNK = 300_000;
const BLOCK = 100_000;
const SIZE = 2 * CHUNK + BLOCK + 17;
const prefix = 'volume_v/20261122080000/az_nova_backup_b';
const identity = { container: 'c', backupId: 'b', volumeId: 'v', size: SIZE };

type Chunk = { offset: number; length: number; compression: string };
type Files = Map<string, Buffer>;

/** What a container holds, as the driver of Cinder writes it. */
function written(
  bytes: Uint8Array,
  change: (metadata: Record<string, unknown>) => void = () => undefined,
): Files {
  const files: Files = new Map();
  const objects: Record<string, Chunk>[] = [];
  const sha256s: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += CHUNK) {
    const data = bytes.subarray(offset, offset + CHUNK);
    for (let at = 0; at < data.length; at += BLOCK)
      sha256s.push(
        createHash('sha256')
          .update(data.subarray(at, at + BLOCK))
          .digest('hex'),
      );
    const name = `${prefix}-${String(objects.length + 1).padStart(5, '0')}`;
    const compression = ['zlib', 'zstd', 'none'][objects.length] ?? 'none';
    const pack = { zlib: deflateSync, zstd: zstdCompressSync }[compression] ?? Buffer.from;
    files.set(name, pack(data));
    objects.push({ [name]: { offset, length: data.length, compression } });
  }
  const metadata = { backup_id: 'b', objects, parent_id: null, version: '1.0.0', volume_id: 'v' };
  change(metadata);
  const text = (value: object): Buffer => Buffer.from(JSON.stringify(value, undefined, 2));
  files.set(`${prefix}_metadata`, text(metadata));
  files.set(`${prefix}_sha256file`, text({ backup_id: 'b', chunk_size: BLOCK, sha256s, version: '1.0.0' }));
  return files;
}

/** As much of Swift as is asked. */
function swiftOf(files: Files): OpenStackService {
  const file = (path: readonly string[]): Buffer => {
    const found = files.get(path.slice(1).join('/'));
    if (found === undefined) throw new FafnirError('NOT_FOUND', 'there is no such object');
    return found;
  };
  const names = (): readonly object[] =>
    [...files.keys()]
      .toSorted()
      .toReversed()
      .slice(0, 2)
      .map((name) => ({ name }));
  const swift: Pick<OpenStackService, 'request' | 'transfer'> = {
    async request({ path, answer }) {
      const body: unknown = path.length === 1 ? names() : JSON.parse(file(path).toString());
      const parsed = await answer['~standard'].validate(body);
      if (parsed.issues === undefined) return parsed.value;
      throw new FafnirError('WRONG_ANSWER', 'an answer of another shape');
    },
    async transfer({ path }, receive) {
      const bytes = file(path);
      async function* body(): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < bytes.length; at += 7_777) yield bytes.subarray(at, at + 7_777);
      }
      return await receive({ status: 200, headers: {}, body: body() });
    },
  };
  return swift as OpenStackService;
}

async function read(files: Files, limit = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const swift = swiftOf(files);
  const pieces: Uint8Array[] = [];
  for await (const piece of readChunkedBackup(
    swift,
    await findChunkedBackup(swift, identity, call),
    'it',
    call,
  )) {
    pieces.push(piece);
    if (pieces.length >= limit) break;
  }
  return Buffer.concat(pieces);
}

/** Puts other bytes in the place of an object. */
function replaced(name: string, change: (bytes: Buffer) => Buffer): Files {
  const files = written(pattern(SIZE, 1));
  files.set(name, change(files.get(name) ?? expect.fail()));
  return files;
}

describe('a backup of Cinder', () => {
  test('is read to the byte, however its chunks are compressed', async () => {
    const bytes = pattern(SIZE, 1).fill(0, 10, CHUNK);
    expect((await read(written(bytes))).equals(bytes)).toBe(true);
  });

  test('may be left before its end', async () => {
    expect(await read(written(pattern(SIZE, 1)), 2)).toHaveLength(2 * BLOCK);
  });

  test.each<[string, Files]>([
    ['a chunk has other bytes', replaced(`${prefix}-00003`, (bytes) => Buffer.from(bytes.fill(7, 5, 6)))],
    ['a chunk has too few bytes', replaced(`${prefix}-00003`, (bytes) => bytes.subarray(1))],
    ['a chunk has too many bytes', replaced(`${prefix}-00001`, () => deflateSync(pattern(2 * CHUNK, 1)))],
    ['digests are missing', replaced(`${prefix}_sha256file`, (bytes) => bytes.subarray(0, 300))],
    [
      'digests are left over',
      replaced(`${prefix}_sha256file`, (bytes) =>
        Buffer.concat([bytes, Buffer.from(`\n"${'0'.repeat(64)}"\n`)]),
      ),
    ],
    ['digests have no lines', replaced(`${prefix}_sha256file`, () => Buffer.alloc(100_000, 'a'))],
    ['a chunk is left out', written(pattern(SIZE, 1), (one) => (one.objects as object[]).splice(1, 1))],
    [
      'a chunk is elsewhere',
      written(
        pattern(SIZE, 1),
        (one) => (one.objects = [{ '../x': { offset: 0, length: SIZE, compression: 'none' } }]),
      ),
    ],
    ['it is of another volume', written(pattern(SIZE, 1), (one) => (one.volume_id = 'w'))],
    ['it is shorter than the volume, as overlays are', written(pattern(196_624, 1))],
    ['the container has nothing', new Map()],
  ])('is refused where %s', async (_, files) => {
    await expect(read(files)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
  });

  test.each<[string, Files]>([
    ['incremental', written(pattern(SIZE, 1), (one) => (one.parent_id = 'a'))],
    ['of another version', written(pattern(SIZE, 1), (one) => (one.version = '2.0.0'))],
    [
      'compressed by what Node has not',
      written(
        pattern(SIZE, 1),
        (one) => (one.objects = [{ [`${prefix}-00001`]: { offset: 0, length: SIZE, compression: 'bz2' } }]),
      ),
    ],
  ])('that is %s is UNSUPPORTED', async (_, files) => {
    await expect(read(files)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  test('tells that a chunk is gone, or is not compressed as it says', async () => {
    const gone = written(pattern(SIZE, 1));
    gone.delete(`${prefix}-00002`);
    await expect(read(gone)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const broken = replaced(`${prefix}-00001`, (bytes) => bytes.subarray(100));
    await expect(read(broken)).rejects.toThrow(/header/);
  });
});
