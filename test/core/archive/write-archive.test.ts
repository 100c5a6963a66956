import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { CHUNK_SIZE } from '../../../src/core/archive/chunks.ts';
import { type Manifest, ManifestStore, type StoredManifest } from '../../../src/core/archive/manifest.ts';
import { ArchiveReader } from '../../../src/core/archive/read-archive.ts';
import { writeArchive } from '../../../src/core/archive/write-archive.ts';
import type { Bank, Extent, VolumeSource } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import {
  ACME,
  bankWith,
  countingCall,
  failingFirst,
  keysOf,
  patterned,
  sourceOf,
  targetOf,
} from './volumes.ts';

const SIZE = 2 * CHUNK_SIZE + 100;

function write(
  bank: Bank,
  source: VolumeSource,
  base?: Manifest,
  signal?: AbortSignal,
): Promise<StoredManifest> {
  const request = { bank, tenant: ACME, token: 'volume', source };
  return writeArchive(base === undefined ? request : { ...request, base }, countingCall(signal));
}

const open = (bank: Bank, { digest }: StoredManifest): Promise<ArchiveReader> =>
  ArchiveReader.open(bank, ACME, { token: 'volume', digest }, countingCall());

describe('a map that cannot be true', () => {
  const data = (offset: number, length: number): Extent => ({ offset, length, kind: 'data' });
  it.each<[string, readonly Extent[]]>([
    ['none at all', []],
    ['a gap at the start', [data(1, SIZE - 1)]],
    ['a gap in the middle', [data(0, 10), data(11, SIZE - 11)]],
    ['an overlap', [data(0, 10), data(9, SIZE - 9)]],
    ['a repeat', [data(0, SIZE), data(0, SIZE)]],
    ['an early end', [data(0, SIZE - 1)]],
    ['an early end at a chunk', [data(0, 2 * CHUNK_SIZE)]],
    ['a late end', [data(0, SIZE + 1)]],
    ['an extent after the end', [data(0, SIZE), data(SIZE, 1)]],
    ['an empty extent', [data(0, 0), data(0, SIZE)]],
    ['a negative length', [data(0, 10), data(10, -5), data(5, SIZE - 5)]],
    ['a descending order', [data(CHUNK_SIZE, SIZE - CHUNK_SIZE), data(0, CHUNK_SIZE)]],
    ['a length that is not a number', [data(0, Number.NaN)]],
    ['an offset that is not a number', [data(Number.NaN, SIZE)]],
    ['an endless length', [data(0, Number.POSITIVE_INFINITY)]],
  ])('is refused: %s', async (_, extents) => {
    const bank = memoryBank({ name: 'bank' });
    const source = sourceOf(patterned(SIZE, 1), extents);
    await expect(write(bank, source)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
    expect(await keysOf(bank, 'acme/manifests/')).toEqual([]);
  });

  it('is refused for bytes that are the same as nothing', async () => {
    const bank = memoryBank({ name: 'bank' });
    const source = sourceOf(patterned(SIZE, 1), [{ offset: 0, length: SIZE, kind: 'same' }]);
    await expect(write(bank, source)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
    const smaller = await writeArchive(
      { bank, tenant: ACME, token: 'smaller', source: sourceOf(patterned(SIZE - 1, 1)) },
      countingCall(),
    );
    await expect(write(bank, source, smaller)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
    expect(await keysOf(bank, 'acme/manifests/')).toEqual(['acme/manifests/smaller']);
  });
});

describe('a chunk that does not read back', () => {
  const isChunk = (key: string): boolean => key.startsWith('acme/chunks/');

  it.each<[string, (stored: Uint8Array) => Uint8Array]>([
    ['is cut short', (stored) => stored.subarray(0, stored.length - 1)],
    ['is empty', () => new Uint8Array()],
    [
      'has a flipped bit',
      (stored) => stored.map((byte, at) => (at === stored.length >> 1 ? byte ^ 1 : byte)),
    ],
    ['is something else', () => patterned(2 * CHUNK_SIZE, 9)],
  ])('is not proven: it %s', async (_, damage) => {
    const bank = bankWith((sound) => ({
      put: (key, body, options) =>
        sound.put(key, isChunk(key) && body instanceof Uint8Array ? damage(body) : body, options),
    }));
    await expect(write(bank, sourceOf(patterned(SIZE, 1)))).rejects.toMatchObject({
      code: 'NOT_PROVEN',
      retryable: false,
    });
    expect(await keysOf(bank, 'acme/manifests/')).toEqual([]);
  });

  it('is not proven where another writer left it damaged', async () => {
    const bank = memoryBank({ name: 'bank' });
    const source = sourceOf(patterned(SIZE, 1));
    await writeArchive({ bank, tenant: ACME, token: 'first', source }, countingCall());
    const [key = ''] = await keysOf(bank, 'acme/chunks/');
    await bank.put(key, Buffer.from('damaged'), { ifAbsent: false, ...countingCall() });
    await expect(write(bank, source)).rejects.toMatchObject({ code: 'NOT_PROVEN' });
  });

  it('is not proven where the bank lost it at once', async () => {
    const bank = bankWith((sound) => ({
      put: (key, body, options) =>
        isChunk(key) ? Promise.resolve('created') : sound.put(key, body, options),
    }));
    await expect(write(bank, sourceOf(patterned(SIZE, 1)))).rejects.toMatchObject({ code: 'NOT_PROVEN' });
  });

  it('may be tried again where the bank only did not answer', async () => {
    const bank = bankWith((sound) => ({
      get: (key, read, call) =>
        isChunk(key)
          ? Promise.reject(new FafnirError('UNAVAILABLE', 'no answer'))
          : sound.get(key, read, call),
    }));
    await expect(write(bank, sourceOf(patterned(SIZE, 1)))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
    });
  });
});

describe('a base', () => {
  async function withBase(): Promise<{ bank: Bank; base: Manifest; bytes: Uint8Array }> {
    const bank = memoryBank({ name: 'bank' });
    const bytes = patterned(SIZE, 1);
    const base = await writeArchive(
      { bank, tenant: ACME, token: 'base', source: sourceOf(bytes) },
      countingCall(),
    );
    return { bank, base, bytes };
  }

  it('spares reading what is the same', async () => {
    const { bank, base, bytes } = await withBase();
    let read = 0;
    const changed = bytes.slice();
    changed.fill(7, CHUNK_SIZE + 5, CHUNK_SIZE + 6);
    const source = sourceOf(
      changed,
      [
        { offset: 0, length: CHUNK_SIZE + 5, kind: 'same' },
        { offset: CHUNK_SIZE + 5, length: 1, kind: 'data' },
        { offset: CHUNK_SIZE + 6, length: SIZE - CHUNK_SIZE - 6, kind: 'same' },
      ],
      {
        readInto: async (offset, into) => {
          read += into.length;
          into.set(changed.subarray(offset, offset + into.length));
        },
      },
    );
    const stored = await write(bank, source, base);
    expect(read).toBe(CHUNK_SIZE);
    const restored = new Uint8Array(SIZE);
    await using archive = await open(bank, stored);
    await archive.restoreInto(targetOf(restored, true), countingCall());
    expect(Buffer.compare(restored, changed)).toBe(0);
  });

  it.each(['data', 'same'] as const)(
    'that lost a chunk costs only the time it would have saved: %s',
    async (kind) => {
      const { bank, base, bytes } = await withBase();
      const [lost = ''] = await keysOf(bank, 'acme/chunks/');
      await bank.remove([lost], countingCall());
      const stored = await write(bank, sourceOf(bytes, [{ offset: 0, length: SIZE, kind }]), base);
      await using archive = await open(bank, stored);
      await archive.verify(countingCall());
    },
  );

  it('whose page is damaged costs only the time it would have saved', async () => {
    const { bank, base, bytes } = await withBase();
    const [page = ''] = await keysOf(bank, 'acme/pages/');
    await bank.put(page, Buffer.from('damaged'), { ifAbsent: false, ...countingCall() });
    const changed = bytes.map((byte) => byte ^ 1);
    const stored = await write(bank, sourceOf(changed), base);
    await using archive = await open(bank, stored);
    await archive.verify(countingCall());
  });
});

describe('writing an archive', () => {
  it('returns the archive that exists under the token', async () => {
    const bank = memoryBank({ name: 'bank' });
    const first = await write(bank, sourceOf(patterned(SIZE, 1)));
    const second = await write(bank, sourceOf(patterned(SIZE, 2)));
    const stored = await new ManifestStore(bank, ACME).get('volume', undefined, countingCall());
    expect(stored).toEqual(first);
    expect(second).toEqual(first);
  });

  it('writes the manifest last', async () => {
    const order: string[] = [];
    const bank = bankWith((sound) => ({
      put: (key, body, options) => {
        order.push(key.split('/')[1] ?? '');
        return sound.put(key, body, options);
      },
    }));
    await write(bank, sourceOf(patterned(SIZE, 1)));
    expect(order).toEqual(['chunks', 'chunks', 'chunks', 'pages', 'manifests']);
  });

  it('leaves no manifest and ends with the reason when aborted', async () => {
    const controller = new AbortController();
    const reason = new Error('no longer wanted');
    const bytes = patterned(SIZE, 1);
    const bank = memoryBank({ name: 'bank' });
    const source = sourceOf(bytes, undefined, {
      readInto: async (offset, into, { signal }) => {
        if (offset > 0) controller.abort(reason);
        signal.throwIfAborted();
        into.set(bytes.subarray(offset, offset + into.length));
      },
    });
    await expect(write(bank, source, undefined, controller.signal)).rejects.toBe(reason);
    expect(await keysOf(bank, 'acme/manifests/')).toEqual([]);
  });

  it('ends with the reason of an abort during a read-back', async () => {
    const controller = new AbortController();
    const reason = new Error('no longer wanted');
    const bank = bankWith((sound) => ({
      get: (key, read, call) => {
        if (key.startsWith('acme/chunks/')) controller.abort(reason);
        return sound.get(key, read, call);
      },
    }));
    await expect(write(bank, sourceOf(patterned(100, 1)), undefined, controller.signal)).rejects.toBe(reason);
  });

  it('has no read under way once it has failed, for the source is closed then', async () => {
    const reads = failingFirst(new FafnirError('UNAVAILABLE', 'no answer'));
    const source = sourceOf(patterned(SIZE, 1), undefined, { readInto: (offset) => reads.run(offset) });
    await expect(write(memoryBank({ name: 'bank' }), source)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(reads.underWay()).toBe(0);
  });
});
