import assert from 'node:assert/strict';
import type {
  ArraySnapshot,
  ArrayTarget,
  CallOptions,
  Extent,
  OpenOptions,
  SequentialSource,
  StorageArray,
  VolumeRef,
  VolumeSource,
} from '../../core/contracts/index.ts';
import { type ErrorCode, FafnirError } from '../../core/errors.ts';
import type { StorageArrayFixture } from './obligation.ts';

/** Bytes. */
export const MIB: number = 1024 * 1024;
/** Bytes of a file system's block. */
export const BLOCK = 4096;
/** A call that nobody aborts. */
export const call: CallOptions = { signal: new AbortController().signal };

/** The size, or the next one that the array has volumes of. */
export function sizeIn({ sizeUnit = 1 }: StorageArrayFixture, size: number): number {
  return Math.ceil(size / sizeUnit) * sizeUnit;
}

/** A volume with these writes. */
export async function volumeWith(
  fixture: StorageArrayFixture,
  size: number,
  writes: readonly (readonly [offset: number, data: Uint8Array])[],
): Promise<VolumeRef> {
  const volume = await fixture.createVolume(size);
  for (const [offset, data] of writes) await fixture.write(volume, offset, data);
  return volume;
}

/** The snapshot of one volume. */
export async function snapshotOne(
  array: StorageArray,
  volume: VolumeRef,
  name: string,
): Promise<ArraySnapshot> {
  const [taken, ...others] = await array.snapshot([volume], name, call);
  assert.ok(taken !== undefined && others.length === 0, 'one snapshot for one volume');
  return taken;
}

/** The role, where the case needs it. */
export function targetOf(array: StorageArray): ArrayTarget {
  assert.ok(array.target !== undefined);
  return array.target;
}

/** All bytes of a snapshot. */
export async function readAll(array: StorageArray, snapshot: ArraySnapshot): Promise<Uint8Array> {
  await using source = await openSource(array, snapshot);
  return await readSource(source);
}

/** Opens a snapshot; of one that can only be read from start to end, all is kept, `same` as zeros. */
export async function openSource(
  array: StorageArray,
  snapshot: ArraySnapshot,
  options: OpenOptions = {},
): Promise<VolumeSource> {
  return await randomOf(await array.open(snapshot, options, call));
}

/** The same of what is open. */
export async function randomOf(source: SequentialSource | VolumeSource): Promise<VolumeSource> {
  return source.access === 'random' ? source : await keepStream(source);
}

async function keepStream(source: SequentialSource): Promise<VolumeSource> {
  const bytes = new Uint8Array(source.size);
  const extents: Extent[] = [];
  for await (const block of source.blocks(call)) {
    const { offset, kind } = block;
    if (block.kind === 'data') bytes.set(block.data, offset);
    extents.push({ offset, kind, length: block.kind === 'data' ? block.data.length : block.length });
  }
  const close = (): Promise<void> => source.close();
  return {
    access: 'random',
    size: source.size,
    async *extents() {
      yield* extents;
    },
    async readInto(offset, into) {
      if (offset < 0 || offset + into.length > bytes.length) {
        throw new FafnirError('OUT_OF_RANGE', `the stream has ${bytes.length} bytes`);
      }
      into.set(bytes.subarray(offset, offset + into.length));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** All bytes of a source. */
export async function readSource(source: VolumeSource): Promise<Uint8Array> {
  const bytes = new Uint8Array(source.size);
  await source.readInto(0, bytes, call);
  return bytes;
}

/** The extents, once they are known to cover the source. */
export async function checkedExtents(source: VolumeSource): Promise<readonly Extent[]> {
  const extents = await collect(source.extents(call));
  let position = 0;
  for (const { offset, length } of extents) {
    assert.equal(offset, position, 'extents have neither gaps nor overlaps');
    assert.ok(length >= 1, 'an extent has at least one byte');
    position += length;
  }
  assert.equal(position, source.size, 'extents end at the size');
  return extents;
}

/** Compares every promise of the changed extents with the bytes of both snapshots. */
export async function assertSameIsSame(
  array: StorageArray,
  newer: ArraySnapshot,
  since: ArraySnapshot,
): Promise<void> {
  await using source = await openSource(array, newer, { since });
  const [now, before] = [await readAll(array, newer), await readAll(array, since)];
  for (const { offset, length, kind } of await checkedExtents(source)) {
    const bytes = now.subarray(offset, offset + length);
    if (kind === 'same') {
      assertBytes(bytes, before.subarray(offset, offset + length), `same at ${offset} has changed`);
    } else if (kind === 'zero') {
      assertBytes(bytes, new Uint8Array(length), `zero at ${offset} is not`);
    }
  }
}

/** The error, once it is known to have the code. */
export async function rejectsWith(code: ErrorCode, promise: Promise<unknown>): Promise<FafnirError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(FafnirError.is(error), `a FafnirError, not ${String(error)}`);
    assert.equal(error.code, code);
    return error;
  }
  assert.fail(`resolved instead of rejecting with ${code}`);
}

/** Like `assert.deepEqual`, which for a volume of bytes would print them all. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array, what = 'the bytes differ'): void {
  assert.equal(actual.length, expected.length, 'another number of bytes');
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.fail(`${what}: ${actual[at]} instead of ${expected[at]}, ${at} bytes on`);
}

/** All items. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** Bytes that are never zero and differ by seed. */
export function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => 1 + ((at * 31 + (at >> 8) * 7 + seed * 101) % 255));
}

/** Numbers below a limit, the same ones for the same seed. */
export function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
