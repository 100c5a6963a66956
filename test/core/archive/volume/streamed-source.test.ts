import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { ThreadPool } from '../../../../src/core/archive/threads/pool.ts';
import { streamed } from '../../../../src/core/archive/volume/streamed-source.ts';
import type { Block, SequentialSource } from '../../../../src/core/contracts/index.ts';
import { countingCall, keysOf, patterned, sourceOf, targetOf } from '../volumes.ts';
import { vaultOf } from '../vaults.ts';
import { archive, openArchive } from './archives.ts';
import { programSource } from './program-source.ts';

const CHUNK = 256 * 1024;
const SIZE = 9 * CHUNK + 77;

/** A stream of these blocks. */
function streamOf(blocks: readonly Block[], size = SIZE): SequentialSource {
  const close = async (): Promise<void> => undefined;
  return {
    access: 'sequential',
    size,
    async *blocks() {
      yield* blocks;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

const vault = () => vaultOf(memoryBank({ name: 'bank' }));

async function restored(of: ReturnType<typeof vault>, manifest: Awaited<ReturnType<typeof archive>>) {
  await using reader = await openArchive(of, manifest);
  const bytes = new Uint8Array(manifest.size);
  await reader.restoreInto(targetOf(bytes, true), countingCall());
  return bytes;
}

describe('a stream', () => {
  it('is archived with whatever blocks it comes in, over the bytes of its base', async () => {
    const lengths = fc.array(fc.record({ length: fc.integer({ min: 1, max: 3 * CHUNK }), kind: fc.nat(2) }), {
      minLength: 1,
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(lengths, async (pieces) => {
        const before = patterned(SIZE, 1);
        const after = Uint8Array.from(before);
        const blocks: Block[] = [];
        let offset = 0;
        for (const { length, kind } of [...pieces, { length: SIZE, kind: 0 }]) {
          const end = Math.min(SIZE, offset + length);
          if (end === offset) break;
          if (kind === 0) blocks.push({ offset, length: end - offset, kind: 'same' });
          if (kind === 1) blocks.push({ offset, length: end - offset, kind: 'zero' });
          if (kind === 1) after.fill(0, offset, end);
          if (kind === 2) after.set(patterned(end - offset, 1 + offset), offset);
          if (kind === 2) blocks.push({ offset, data: after.slice(offset, end), kind: 'data' });
          offset = end;
        }
        const bank = vault();
        const older = await archive(bank, 'older', sourceOf(before), { chunkSize: CHUNK });
        await using base = await openArchive(bank, older);
        const manifest = await archive(bank, 'newer', streamOf(blocks), { base });
        expect(Buffer.compare(await restored(bank, manifest), after)).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('is refused where it calls bytes unchanged that no base has', async () => {
    const blocks: readonly Block[] = [
      { offset: 0, length: 10, kind: 'same' },
      { offset: 10, data: patterned(SIZE - 10, 1), kind: 'data' },
    ];
    await expect(archive(vault(), 'volume', streamOf(blocks))).rejects.toMatchObject({
      code: 'WRONG_ANSWER',
    });
  });

  it('is opened anew where packs that it relied on are gone', async () => {
    const bytes = patterned(SIZE, 3);
    const bank = vault();
    const older = await archive(bank, 'older', sourceOf(bytes), { chunkSize: CHUNK });
    await using base = await openArchive(bank, older);
    const all: readonly Block[] = [{ offset: 0, data: bytes, kind: 'data' }];
    let opened = 0;
    const reopen = async (): Promise<SequentialSource> => {
      opened += 1;
      return streamOf(all);
    };
    const call = countingCall();
    const removing: SequentialSource = {
      ...streamOf(all),
      async *blocks() {
        for (const key of await keysOf(bank.bank, 'acme/data/')) await bank.bank.remove([key], call);
        yield* all;
      },
    };
    const manifest = await archive(bank, 'newer', removing, { base, reopen }, call);
    expect(opened).toBe(1);
    expect(Buffer.compare(await restored(bank, manifest), bytes)).toBe(0);
  });
});

describe('what is kept of a stream', () => {
  it('does not grow with chunks that have no data', async () => {
    const blocks = (function* (): Generator<Block> {
      for (let at = 0; at < 1_000; at += 1) {
        yield { offset: at * CHUNK, length: 100, kind: at % 2 === 0 ? 'zero' : 'same' };
        yield { offset: at * CHUNK + 100, length: CHUNK - 100, kind: at % 2 === 0 ? 'zero' : 'same' };
      }
    })();
    const source = streamed(streamOf([...blocks], 1_000 * CHUNK), CHUNK);
    for await (const { length } of source.extents(countingCall())) expect(length).toBeGreaterThan(0);
    for (const offset of [0, CHUNK, 999 * CHUNK]) {
      const reading = source.readInto(offset, new Uint8Array(CHUNK), countingCall());
      await expect(reading).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
  });

  it('is given once', async () => {
    const bytes = patterned(SIZE, 1);
    const source = streamed(streamOf([{ offset: 0, data: bytes, kind: 'data' }]), CHUNK);
    for await (const { kind } of source.extents(countingCall())) expect(kind).toBe('data');
    const into = new Uint8Array(CHUNK);
    await source.readInto(0, into, countingCall());
    await source.readInto(CHUNK, into, countingCall());
    expect(Buffer.compare(into, bytes.subarray(CHUNK, 2 * CHUNK))).toBe(0);
    await source.readInto(2 * CHUNK, new Uint8Array(SIZE - 2 * CHUNK), countingCall());
    await expect(source.readInto(0, into, countingCall())).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is compared with an archive', async () => {
    const bytes = patterned(SIZE, 1).fill(0, 10, 3 * CHUNK + 5);
    const bank = vault();
    const manifest = await archive(bank, 'volume', sourceOf(bytes), { chunkSize: CHUNK });
    await using reader = await openArchive(bank, manifest);
    const blocksOf = (last: Uint8Array): readonly Block[] => [
      { offset: 0, data: bytes.slice(0, 10), kind: 'data' },
      { offset: 10, length: 3 * CHUNK - 5, kind: 'zero' },
      { offset: 3 * CHUNK + 5, data: last, kind: 'data' },
    ];
    const rest = bytes.slice(3 * CHUNK + 5);
    await reader.compare(streamOf(blocksOf(rest)), countingCall());
    rest[rest.length - 1] = (rest.at(-1) ?? 0) ^ 1;
    const differing = reader.compare(streamOf(blocksOf(rest)), countingCall());
    await expect(differing).rejects.toMatchObject({ code: 'NOT_PROVEN' });
  });
});

describe('what a program prints', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fafnir-stream-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is archived on threads', async () => {
    const bytes = patterned(40 * CHUNK + 1, 2);
    const path = join(folder, 'volume.raw');
    await writeFile(path, bytes);
    await using threads = new ThreadPool({ workers: 2 });
    await using source = programSource('cat', [path], bytes.length);
    const bank = vault();
    const manifest = await archive(bank, 'volume', source, { threads, chunkSize: CHUNK });
    expect(Buffer.compare(await restored(bank, manifest), bytes)).toBe(0);
  });

  it('is no archive where the program fails half-way', async () => {
    const bank = vault();
    await using source = programSource('sh', ['-c', 'head -c 1000000 /dev/urandom; exit 3'], 2_000_000);
    await expect(archive(bank, 'volume', source)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await keysOf(bank.bank, 'acme/manifests/')).toEqual([]);
  });
});
