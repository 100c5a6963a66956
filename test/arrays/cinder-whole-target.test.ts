import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { openWholeTarget, type WholeVolume } from '../../src/arrays/cinder/whole-target.ts';
import type { Block, CallOptions } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import { pattern } from '../../src/testing/storage-array/helpers.ts';

const call: CallOptions = { signal: new AbortController().signal };
const SIZE = 3 * 65_536 + 1_000;

/** A volume that tells how often it was read and written. */
class Whole implements WholeVolume {
  readonly name = 'volume';
  readonly size = SIZE;
  content: Buffer = Buffer.from(pattern(SIZE, 1));
  reads = 0;
  writes = 0;
  isBroken = false;

  read(): AsyncIterable<Block> {
    this.reads += 1;
    return blocksOf(this.content);
  }

  async write({ open }: Parameters<WholeVolume['write']>[0]): Promise<void> {
    this.writes += 1;
    const pieces: Uint8Array[] = [];
    for await (const piece of open()) pieces.push(piece);
    if (this.isBroken) throw new FafnirError('UNAVAILABLE', 'the cloud is gone');
    this.content = Buffer.concat(pieces);
  }
}

async function* blocksOf(bytes: Buffer): AsyncGenerator<Block, void, undefined> {
  for (let offset = 0; offset < bytes.length; offset += 65_536) {
    const data = bytes.subarray(offset, offset + 65_536);
    yield data.every((byte) => byte === 0)
      ? { offset, length: data.length, kind: 'zero' }
      : { offset, data, kind: 'data' };
  }
}

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fafnir-whole-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

const range = fc
  .tuple(fc.nat(SIZE), fc.nat(SIZE))
  .map(([a, b]) => ({ offset: Math.min(a, b), length: Math.abs(a - b) }));
const steps = fc.array(
  fc.oneof(
    fc.record({ act: fc.constant('write' as const), range, seed: fc.nat(100) }),
    fc.record({ act: fc.constant('zero' as const), range }),
    fc.record({ act: fc.constant('read' as const), range }),
    fc.record({ act: fc.constant('flush' as const) }),
  ),
  { maxLength: 12 },
);

test('any writes come to the volume with the next flush, and all else stays', async () => {
  const folder = await scratch();
  await fc.assert(
    fc.asyncProperty(steps, async (some) => {
      const volume = new Whole();
      const expected = Buffer.from(volume.content);
      let durable = Buffer.from(expected);
      await using target = await openWholeTarget(volume, folder);
      for (const step of some) {
        if (step.act === 'flush') {
          await target.flush(call);
          durable = Buffer.from(expected);
        } else {
          const { offset, length } = step.range;
          const part = expected.subarray(offset, offset + length);
          if (step.act === 'read') {
            const now = new Uint8Array(length);
            await target.readInto(offset, now, call);
            expect(part.equals(now)).toBe(true);
          } else if (step.act === 'write') {
            const data = pattern(length, step.seed);
            await target.write(offset, data, call);
            part.set(data);
          } else {
            await target.zero(offset, length, call);
            part.fill(0);
          }
        }
        expect(volume.content.equals(durable)).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test('what was flushed is read from the volume, not from the copy of what was sent', async () => {
  const volume = new Whole();
  await using target = await openWholeTarget(volume, await scratch());
  await target.write(0, pattern(100, 2), call);
  await target.flush(call);
  volume.content[50] = 255 - (volume.content[50] ?? 0);
  const now = new Uint8Array(100);
  await target.readInto(0, now, call);
  expect(Buffer.compare(now, volume.content.subarray(0, 100))).toBe(0);
  expect(volume).toMatchObject({ reads: 2, writes: 1 });
});

test('a volume that was cleared is replaced as a whole, whatever it holds, and not read before', async () => {
  const volume = new Whole();
  await using target = await openWholeTarget(volume, await scratch());
  expect(target.blank).toBe(false);
  await target.clear?.(call);
  expect(target.blank).toBe(true);
  await target.zero(0, SIZE, call);
  await target.flush(call);
  expect(target.blank).toBe(false);
  expect(volume).toMatchObject({ reads: 0, writes: 1 });
  expect(volume.content.equals(Buffer.alloc(SIZE))).toBe(true);
});

test('a stream replaces all that was there, which is not read before', async () => {
  const volume = new Whole();
  await using target = await openWholeTarget(volume, await scratch());
  const sent = Buffer.from(pattern(SIZE, 3)).fill(0, 65_536, 131_072);
  await target.receive?.(blocksOf(sent), call);
  await target.flush(call);
  expect(volume).toMatchObject({ reads: 0, writes: 1 });
  expect(volume.content.equals(sent)).toBe(true);
});

test('several that need what it holds at once fetch it once', async () => {
  const volume = new Whole();
  await using target = await openWholeTarget(volume, await scratch());
  await Promise.all([0, 1, 2].map((at) => target.write(at * 65_536, pattern(10, at), call)));
  expect(volume.reads).toBe(1);
});

test('a flush that failed can be repeated', async () => {
  const volume = new Whole();
  await using target = await openWholeTarget(volume, await scratch());
  await target.write(7, pattern(100, 2), call);
  volume.isBroken = true;
  await expect(target.flush(call)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  volume.isBroken = false;
  await target.flush(call);
  expect(Buffer.compare(volume.content.subarray(7, 107), pattern(100, 2))).toBe(0);
});

test('the copy has no name in its folder, and a folder that is missing is told of', async () => {
  const folder = await scratch();
  const volume = new Whole();
  await using target = await openWholeTarget(volume, folder);
  await target.write(0, pattern(10, 1), call);
  expect(await readdir(folder)).toEqual([]);
  await expect(openWholeTarget(volume, join(folder, 'missing'))).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: expect.stringContaining('working copy of volume'),
  });
  await target.close();
  await expect(target.readInto(0, new Uint8Array(1), call)).rejects.toMatchObject({ code: 'CLOSED' });
});
