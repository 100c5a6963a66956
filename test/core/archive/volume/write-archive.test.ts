import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import type { ArchiveBase } from '../../../../src/core/archive/volume/archive-pass.ts';
import { CHUNK_SIZE } from '../../../../src/core/archive/volume/geometry.ts';
import { getManifest, type StoredManifest } from '../../../../src/core/archive/volume/manifest.ts';
import type { Bank, Extent, VolumeSource } from '../../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../../src/core/errors.ts';
import { bankWith, countingCall, keysOf, patterned, sourceOf, targetOf } from '../volumes.ts';
import { vaultOf } from '../vaults.ts';
import { archive, openArchive } from './archives.ts';

const SIZE = 2 * CHUNK_SIZE + 100;

const write = (
  bank: Bank,
  source: VolumeSource,
  base?: ArchiveBase,
  signal?: AbortSignal,
): Promise<StoredManifest> =>
  archive(vaultOf(bank), 'volume', source, base === undefined ? {} : { base }, countingCall(signal));

const verify = async (bank: Bank, manifest: StoredManifest): Promise<void> => {
  await using reader = await openArchive(vaultOf(bank), manifest);
  await reader.verify({ level: 'deep', token: 'verify' }, countingCall());
};

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
    const smaller = await archive(vaultOf(bank), 'smaller', sourceOf(patterned(SIZE - 1, 1)));
    const base = await openArchive(vaultOf(bank), smaller);
    await expect(write(bank, source, base)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
    expect(await keysOf(bank, 'acme/manifests/')).toEqual([`acme/manifests/smaller=${smaller.digest}`]);
  });
});

describe('a pack that does not read back', () => {
  const isPack = (key: string): boolean => key.startsWith('acme/data/');

  it.each<[string, (stored: Uint8Array) => Uint8Array]>([
    ['is cut short', (stored) => stored.subarray(0, stored.length - 1)],
    ['is empty', () => new Uint8Array()],
    [
      'has a flipped bit',
      (stored) => stored.map((byte, at) => (at === stored.length >> 1 ? byte ^ 1 : byte)),
    ],
    ['is longer', (stored) => Buffer.concat([stored, stored])],
  ])('is not proven: it %s', async (_, damage) => {
    const bank = bankWith((sound) => ({
      put: (key, body, options) =>
        sound.put(key, isPack(key) && body instanceof Uint8Array ? damage(body) : body, options),
    }));
    await expect(write(bank, sourceOf(patterned(SIZE, 1)))).rejects.toMatchObject({ code: 'NOT_PROVEN' });
    expect(await keysOf(bank, 'acme/manifests/')).toEqual([]);
    expect(await keysOf(bank, 'acme/index/')).toEqual([]);
  });

  it('is not proven where the bank lost it at once', async () => {
    const bank = bankWith((sound) => ({
      put: (key, body, options) => (isPack(key) ? Promise.resolve('created') : sound.put(key, body, options)),
    }));
    await expect(write(bank, sourceOf(patterned(SIZE, 1)))).rejects.toMatchObject({ code: 'NOT_PROVEN' });
  });

  it('may be tried again where the bank only did not answer', async () => {
    const bank = bankWith((sound) => ({
      get: (key, read, call) =>
        isPack(key)
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
  async function withBase(): Promise<{ bank: Bank; base: ArchiveBase; bytes: Uint8Array }> {
    const bank = memoryBank({ name: 'bank' });
    const bytes = patterned(SIZE, 1);
    const base = await openArchive(vaultOf(bank), await archive(vaultOf(bank), 'base', sourceOf(bytes)));
    return { bank, base, bytes };
  }

  const counted = (bytes: Uint8Array, extents: readonly Extent[]) => {
    const reads: [number, number][] = [];
    const source = sourceOf(bytes, extents, {
      readInto: async (offset, into) => {
        reads.push([offset, into.length]);
        into.set(bytes.subarray(offset, offset + into.length));
      },
    });
    return { source, reads };
  };

  it('spares reading what is the same', async () => {
    const { bank, base, bytes } = await withBase();
    const changed = bytes.slice();
    changed.fill(7, CHUNK_SIZE + 5, CHUNK_SIZE + 6);
    const { source, reads } = counted(changed, [
      { offset: 0, length: CHUNK_SIZE + 5, kind: 'same' },
      { offset: CHUNK_SIZE + 5, length: 1, kind: 'data' },
      { offset: CHUNK_SIZE + 6, length: SIZE - CHUNK_SIZE - 6, kind: 'same' },
    ]);
    const stored = await write(bank, source, base);
    expect(reads).toEqual([[CHUNK_SIZE, CHUNK_SIZE]]);
    const restored = new Uint8Array(SIZE);
    await using reader = await openArchive(vaultOf(bank), stored);
    await reader.restoreInto(targetOf(restored, true), countingCall());
    expect(Buffer.compare(restored, changed)).toBe(0);
  });

  it('of which nothing changed costs a manifest', async () => {
    const { bank, base, bytes } = await withBase();
    const before = await keysOf(bank, '');
    const { source, reads } = counted(bytes, [{ offset: 0, length: SIZE, kind: 'same' }]);
    const stored = await write(bank, source, base);
    expect(reads).toEqual([]);
    const added = (await keysOf(bank, '')).filter((key) => !before.includes(key));
    expect(added).toEqual([`acme/manifests/volume=${stored.digest}`]);
    await verify(bank, stored);
  });

  it.each(['data', 'same'] as const)(
    'that lost a pack costs only the time it would have saved: %s',
    async (kind) => {
      const { bank, base, bytes } = await withBase();
      for (const lost of await keysOf(bank, 'acme/data/')) {
        const again = memoryBank({ name: 'bank' });
        for (const key of await keysOf(bank, '')) {
          if (key === lost) continue;
          await again.put(key, await bank.get(key, { limit: 2 ** 30 }, countingCall()), {
            ifAbsent: true,
            ...countingCall(),
          });
        }
        const stored = await write(again, sourceOf(bytes, [{ offset: 0, length: SIZE, kind }]), base);
        await verify(again, stored);
      }
    },
  );

  it('relies on no pack that was found damaged', async () => {
    const { bank, base, bytes } = await withBase();
    const packs = await keysOf(bank, 'acme/data/');
    for (const key of packs) {
      const name = key.slice(key.lastIndexOf('/') + 1);
      await bank.put(`acme/damage/${name}`, new Uint8Array(), { ifAbsent: true, ...countingCall() });
      await bank.put(key, new Uint8Array(10), { ifAbsent: false, ...countingCall() });
    }
    const stored = await write(bank, sourceOf(bytes, [{ offset: 0, length: SIZE, kind: 'same' }]), base);
    await verify(bank, stored);
  });

  it('that lost its indexes costs only the time it would have saved', async () => {
    const { bank, base, bytes } = await withBase();
    await bank.remove(await keysOf(bank, 'acme/index/'), countingCall());
    const changed = bytes.map((byte) => byte ^ 1);
    const stored = await write(bank, sourceOf(changed), base);
    await verify(bank, stored);
  });
});

describe('writing an archive', () => {
  it('returns the archive that exists under the token', async () => {
    const bank = memoryBank({ name: 'bank' });
    const first = await write(bank, sourceOf(patterned(SIZE, 1)));
    const second = await write(bank, sourceOf(patterned(SIZE, 2)));
    expect(await getManifest(vaultOf(bank), first, countingCall())).toEqual(first);
    expect(second).toEqual(first);
  });

  it('writes data, then the index, the manifest last', async () => {
    const order: string[] = [];
    const bank = bankWith((sound) => ({
      put: (key, body, options) => {
        order.push(key.split('/')[1] ?? '');
        return sound.put(key, body, options);
      },
    }));
    await write(bank, sourceOf(patterned(SIZE, 1)));
    // One pack of chunks, one of pages.
    expect(order).toEqual(['keys', 'data', 'data', 'index', 'manifests']);
  });

  it('goes on from what it had indexed when it was killed', async () => {
    const size = 40 * CHUNK_SIZE;
    const bytes = new Uint8Array(randomBytes(size));
    const bank = memoryBank({ name: 'bank' });
    let packs = 0;
    const dying = bankWith(
      (sound) => ({
        put: (key, body, options) => {
          if (key.startsWith('acme/data/')) packs += 1;
          if (packs === 19) return Promise.reject(new Error('killed'));
          return sound.put(key, body, options);
        },
      }),
      bank,
    );
    const more = { packBytes: 2.5 * CHUNK_SIZE };
    await expect(archive(vaultOf(dying), 'volume', sourceOf(bytes), more)).rejects.toThrow('killed');
    const left = await keysOf(bank, 'acme/data/');
    const stored = await archive(vaultOf(bank), 'volume', sourceOf(bytes), more);
    // Of 18 packs of two chunks that were stored, 16 were indexed: four of data and the page's are new.
    expect(left).toHaveLength(18);
    expect((await keysOf(bank, 'acme/data/')).length - left.length).toBe(5);
    await verify(bank, stored);
  });

  it('asks little more of the bank than to take its packs', async () => {
    const puts: string[] = [];
    let lists = 0;
    const bank = bankWith((sound) => ({
      put: (key, body, options) => {
        puts.push(key.split('/')[1] ?? '');
        return sound.put(key, body, options);
      },
      list: (prefix, options) => {
        lists += 1;
        return sound.list(prefix, options);
      },
    }));
    const bytes = new Uint8Array(randomBytes(120 * 256 * 1024));
    const more = { chunkSize: 256 * 1024, packBytes: 600 * 1024 };
    await archive(vaultOf(bank), 'volume', sourceOf(bytes), more);
    const packs = puts.filter((kind) => kind === 'data').length;
    expect(packs).toBe(61);
    expect(puts.length).toBeLessThanOrEqual(1.1 * packs + 10);
    expect(lists).toBeLessThan(10);
  });

  it('merges the indexes that it wrote on its way', async () => {
    const bank = memoryBank({ name: 'bank' });
    const bytes = new Uint8Array(randomBytes(40 * CHUNK_SIZE));
    const stored = await archive(vaultOf(bank), 'volume', sourceOf(bytes), { packBytes: 1.5 * CHUNK_SIZE });
    expect(await keysOf(bank, 'acme/index/')).toHaveLength(1);
    await verify(bank, stored);
  });

  it('finds the chunks of other volumes', async () => {
    const bank = memoryBank({ name: 'bank' });
    const bytes = new Uint8Array(randomBytes(4 * CHUNK_SIZE));
    await archive(vaultOf(bank), 'one', sourceOf(bytes));
    const before = (await keysOf(bank, 'acme/data/')).length;
    const swapped = Buffer.concat([bytes.subarray(2 * CHUNK_SIZE), bytes.subarray(0, 2 * CHUNK_SIZE)]);
    const stored = await archive(vaultOf(bank), 'two', sourceOf(swapped));
    // The page alone.
    expect((await keysOf(bank, 'acme/data/')).length - before).toBe(1);
    expect(stored.indexes.map((name) => name.split('/')[0])).toEqual(['two', 'one']);
    await verify(bank, stored);
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
        if (key.startsWith('acme/data/')) controller.abort(reason);
        return sound.get(key, read, call);
      },
    }));
    await expect(write(bank, sourceOf(patterned(100, 1)), undefined, controller.signal)).rejects.toBe(reason);
  });
});
