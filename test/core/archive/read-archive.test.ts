import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { CHUNK_SIZE } from '../../../src/core/archive/chunks.ts';
import { ArchiveReader } from '../../../src/core/archive/read-archive.ts';
import { writeArchive } from '../../../src/core/archive/write-archive.ts';
import type { Bank } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { parseTenantId } from '../../../src/core/identity.ts';
import { ACME, countingCall, failingFirst, keysOf, patterned, sourceOf, targetOf } from './volumes.ts';

const SIZE = 3 * CHUNK_SIZE + 100;

/** Two chunks of data, one of zeros, and a short one of data. */
function volume(): Uint8Array {
  const bytes = patterned(SIZE, 1);
  bytes.fill(0, CHUNK_SIZE, 2 * CHUNK_SIZE);
  return bytes;
}

type Reference = Parameters<typeof ArchiveReader.open>[2];

async function archived(): Promise<{ bank: Bank; reference: Reference; archive: ArchiveReader }> {
  const bank = memoryBank({ name: 'bank' });
  const request = { bank, tenant: ACME, token: 'volume', source: sourceOf(volume()) };
  const { digest } = await writeArchive(request, countingCall());
  const reference = { token: 'volume', digest };
  return { bank, reference, archive: await ArchiveReader.open(bank, ACME, reference, countingCall()) };
}

describe('restoring an archive', () => {
  it('leaves no old bytes', async () => {
    const { archive } = await archived();
    const bytes = new Uint8Array(SIZE).fill(0xaa);
    const target = targetOf(bytes, false);
    expect(await archive.restoreInto(target, countingCall())).toBe(SIZE - CHUNK_SIZE);
    expect(Buffer.compare(bytes, volume())).toBe(0);
    expect(target.zeroed()).toBe(CHUNK_SIZE);
  });

  it.each([true, false])('refuses a target of another size before it writes (larger: %s)', async (larger) => {
    const { archive } = await archived();
    const bytes = new Uint8Array(SIZE + (larger ? 1 : -1)).fill(0xaa);
    const restored = archive.restoreInto(targetOf(bytes, false), countingCall());
    await expect(restored).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(bytes.every((byte) => byte === 0xaa)).toBe(true);
  });

  it('is not proven where the target lost a write', async () => {
    const { archive } = await archived();
    const bytes = new Uint8Array(SIZE);
    const target = targetOf(bytes, true, {
      write: async (offset, data) => {
        if (offset < 3 * CHUNK_SIZE) bytes.set(data, offset);
      },
    });
    const failure = { code: 'NOT_PROVEN', message: expect.stringContaining(`byte ${3 * CHUNK_SIZE}`) };
    await expect(archive.restoreInto(target, countingCall())).rejects.toMatchObject(failure);
  });

  it('is not proven where the target called itself blank and was not', async () => {
    const { archive } = await archived();
    const target = targetOf(new Uint8Array(SIZE).fill(0xaa), true);
    const failure = { code: 'NOT_PROVEN', message: expect.stringContaining(`byte ${CHUNK_SIZE}`) };
    await expect(archive.restoreInto(target, countingCall())).rejects.toMatchObject(failure);
  });

  it('is not proven where the target does not zero', async () => {
    const { archive } = await archived();
    const target = targetOf(new Uint8Array(SIZE).fill(0xaa), false, { zero: async () => undefined });
    await expect(archive.restoreInto(target, countingCall())).rejects.toMatchObject({ code: 'NOT_PROVEN' });
  });

  it('flushes after the last write and before it reads back', async () => {
    const { archive } = await archived();
    const calls: string[] = [];
    const bytes = new Uint8Array(SIZE);
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
    await archive.restoreInto(target, countingCall());
    expect(calls.join(' ')).toMatch(/^(write )+flush( read)+$/);
  });

  it('has no write under way once it has failed, for the target is closed then', async () => {
    const { archive } = await archived();
    const writes = failingFirst(new FafnirError('UNAVAILABLE', 'no answer'));
    const target = targetOf(new Uint8Array(SIZE), true, { write: (offset) => writes.run(offset) });
    await expect(archive.restoreInto(target, countingCall())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(writes.underWay()).toBe(0);
  });
});

describe('a damaged archive', () => {
  const damages: [string, string, (stored: Uint8Array) => Uint8Array][] = [
    'manifests',
    'pages',
    'chunks',
  ].flatMap((kind): [string, string, (stored: Uint8Array) => Uint8Array][] => [
    [
      kind,
      'has a flipped bit',
      (stored) => stored.map((byte, at) => (at === stored.length >> 1 ? byte ^ 1 : byte)),
    ],
    [kind, 'is cut short', (stored) => stored.subarray(0, stored.length - 1)],
    [kind, 'is empty', () => new Uint8Array()],
    [kind, 'is something else', () => Buffer.from('{}')],
    [kind, 'is something much longer', () => patterned(2 * CHUNK_SIZE, 9)],
  ]);

  it.each(damages)('is CORRUPT where one of its %s %s', async (kind, _, damage) => {
    const { bank, reference } = await archived();
    for (const key of await keysOf(bank, `acme/${kind}/`)) {
      const stored = await bank.get(key, { limit: Number.MAX_SAFE_INTEGER }, countingCall());
      await bank.put(key, damage(stored), { ifAbsent: false, ...countingCall() });
    }
    const bytes = new Uint8Array(SIZE);
    const use = async (work: (archive: ArchiveReader) => Promise<unknown>): Promise<unknown> =>
      work(await ArchiveReader.open(bank, ACME, reference, countingCall()));
    const restore = use((archive) => archive.restoreInto(targetOf(bytes, true), countingCall()));
    await expect(restore).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    await expect(use((archive) => archive.verify(countingCall()))).rejects.toMatchObject({ code: 'CORRUPT' });
    const read = use((archive) => archive.readInto(0, new Uint8Array(10), countingCall()));
    await expect(read).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it.each(['manifests', 'pages', 'chunks'])('is NOT_FOUND where one of its %s is gone', async (kind) => {
    const { bank, reference } = await archived();
    await bank.remove(await keysOf(bank, `acme/${kind}/`), countingCall());
    const verify = ArchiveReader.open(bank, ACME, reference, countingCall()).then((archive) =>
      archive.verify(countingCall()),
    );
    await expect(verify).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is CORRUPT where another archive stands under its token', async () => {
    const { bank, reference } = await archived();
    await bank.remove(['acme/manifests/volume'], countingCall());
    const source = sourceOf(patterned(SIZE, 2));
    const other = await writeArchive({ bank, tenant: ACME, token: 'volume', source }, countingCall());
    expect(other.digest).not.toBe(reference.digest);
    const opened = ArchiveReader.open(bank, ACME, reference, countingCall());
    await expect(opened).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('is not seen by another tenant', async () => {
    const { bank, reference } = await archived();
    const opened = ArchiveReader.open(bank, parseTenantId('other'), reference, countingCall());
    await expect(opened).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
