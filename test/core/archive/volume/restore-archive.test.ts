import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { ArchiveReader } from '../../../../src/core/archive/volume/read-archive.ts';
import { FafnirError } from '../../../../src/core/errors.ts';
import { countingCall, failingFirst, targetOf } from '../volumes.ts';
import { vaultOf } from '../vaults.ts';
import { cloningThreads } from './cloning-threads.ts';
import { bytesOf, SMALL, sparseVolume } from './sparse.ts';
import { writeVolume } from './write.ts';

const VOLUME = sparseVolume(5 * SMALL + 100, SMALL, { 0: 1, 2: 2, 3: 1, 5: 3 });
const BYTES = bytesOf(VOLUME);

async function archived(): Promise<ArchiveReader> {
  const vault = vaultOf(memoryBank({ name: 'bank' }));
  const { manifest } = await writeVolume(vault, 'volume', VOLUME, { inPack: 1 });
  return ArchiveReader.open(vault, manifest, { threads: cloningThreads() }, countingCall());
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe('restoring to an existing volume', () => {
  it('writes only what differs, and zeros only what is not zero', async () => {
    const bytes = BYTES.slice();
    bytes[2 * SMALL + 5] = 1;
    bytes[4 * SMALL] = 1;
    const writes: number[][] = [];
    const target = targetOf(bytes, false, {
      write: async (offset, data) => {
        writes.push([offset, data.length]);
        bytes.set(data, offset);
      },
    });
    expect(await (await archived()).restoreInto(target, countingCall())).toBe(SMALL);
    expect(writes).toEqual([[2 * SMALL, SMALL]]);
    expect(target.zeroed()).toBe(SMALL);
    expect(same(bytes, BYTES)).toBe(true);
  });

  it('writes nothing where nothing differs', async () => {
    const target = targetOf(BYTES.slice(), false);
    const call = countingCall();
    expect(await (await archived()).restoreInto(target, call)).toBe(0);
    expect([target.zeroed(), call.bytes()]).toEqual([0, VOLUME.size]);
  });

  it('leaves no old bytes, and zeros holes in a row at once', async () => {
    const volume = sparseVolume(6 * SMALL, SMALL, { 0: 1 });
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const { manifest } = await writeVolume(vault, 'volume', volume);
    const archive = await ArchiveReader.open(vault, manifest, { threads: cloningThreads() }, countingCall());
    const bytes = new Uint8Array(volume.size).fill(0xaa);
    const zeros: number[][] = [];
    const target = targetOf(bytes, false, {
      zero: async (offset, length) => {
        zeros.push([offset, length]);
        bytes.fill(0, offset, offset + length);
      },
    });
    await archive.restoreInto(target, countingCall());
    expect(zeros).toEqual([[SMALL, 5 * SMALL]]);
    expect(same(bytes, bytesOf(volume))).toBe(true);
  });
});

describe('restoring', () => {
  it.each([1, -1])('refuses a target of another size before it writes: %s', async (more) => {
    const bytes = new Uint8Array(VOLUME.size + more).fill(0xaa);
    const restored = (await archived()).restoreInto(targetOf(bytes, false), countingCall());
    await expect(restored).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(bytes.every((byte) => byte === 0xaa)).toBe(true);
  });

  it('writes chunks in a row at once', async () => {
    const volume = sparseVolume(
      8 * SMALL,
      SMALL,
      Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((at) => [at, at])),
    );
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const { manifest } = await writeVolume(vault, 'volume', volume, { inPack: 8 });
    const archive = await ArchiveReader.open(vault, manifest, { threads: cloningThreads() }, countingCall());
    const bytes = new Uint8Array(volume.size);
    const lengths: number[] = [];
    const target = targetOf(bytes, true, {
      write: async (offset, data) => {
        lengths.push(data.length);
        bytes.set(data, offset);
      },
    });
    expect(await archive.restoreInto(target, countingCall())).toBe(volume.size);
    expect(lengths).toEqual([8 * SMALL]);
    expect(same(bytes, bytesOf(volume))).toBe(true);
  });

  it('is not proven where the target lost a write', async () => {
    const bytes = new Uint8Array(VOLUME.size);
    const target = targetOf(bytes, true, {
      write: async (offset, data) => {
        if (offset < 5 * SMALL) bytes.set(data, offset);
      },
    });
    const failure = { code: 'NOT_PROVEN', message: expect.stringContaining(`byte ${5 * SMALL}`) };
    await expect((await archived()).restoreInto(target, countingCall())).rejects.toMatchObject(failure);
  });

  it('is not proven where the target called itself blank and was not', async () => {
    const target = targetOf(new Uint8Array(VOLUME.size).fill(0xaa), true);
    const failure = { code: 'NOT_PROVEN', message: expect.stringContaining(`byte ${SMALL}`) };
    await expect((await archived()).restoreInto(target, countingCall())).rejects.toMatchObject(failure);
  });

  it('is not proven where the target does not zero', async () => {
    const target = targetOf(new Uint8Array(VOLUME.size).fill(0xaa), false, { zero: async () => undefined });
    const restored = (await archived()).restoreInto(target, countingCall());
    await expect(restored).rejects.toMatchObject({ code: 'NOT_PROVEN' });
  });

  it('is not proven where one bit of what was written is lost', async () => {
    const bytes = new Uint8Array(VOLUME.size);
    const target = targetOf(bytes, true, {
      flush: async () => {
        bytes[3 * SMALL + 17] = (bytes[3 * SMALL + 17] ?? 0) ^ 4;
      },
    });
    const failure = { code: 'NOT_PROVEN', message: expect.stringContaining(`byte ${3 * SMALL}`) };
    await expect((await archived()).restoreInto(target, countingCall())).rejects.toMatchObject(failure);
  });

  it('flushes after the last write and before it reads back', async () => {
    const calls: string[] = [];
    const bytes = new Uint8Array(VOLUME.size);
    const target = targetOf(bytes, true, {
      write: async (offset, data) => {
        calls.push('write');
        bytes.set(data, offset);
      },
      flush: async () => void calls.push('flush'),
      readInto: async (offset, into) => {
        calls.push('read');
        into.set(bytes.subarray(offset, offset + into.length));
      },
    });
    await (await archived()).restoreInto(target, countingCall());
    expect(calls.join(' ')).toMatch(/^(write )+flush( read)+$/);
  });

  it('has no write under way once it has failed, for the target is closed then', async () => {
    const writes = failingFirst(new FafnirError('UNAVAILABLE', 'no answer'));
    const target = targetOf(new Uint8Array(VOLUME.size), true, { write: (offset) => writes.run(offset) });
    const restored = (await archived()).restoreInto(target, countingCall());
    await expect(restored).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(writes.underWay()).toBe(0);
  });
});
