import type {
  ArraySnapshot,
  Block,
  CallOptions,
  Extent,
  SequentialSource,
  StorageArray,
  VolumeRef,
  VolumeSource,
  VolumeTarget,
} from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/**
 * An array whose volumes have whole GiB as one that has volumes of any size, for suites that know volumes of some MiB: a
 * volume has as many GiB as it is to have MiB, and is shown up to the size that was asked for.
 */
export function shrunk(array: StorageArray): StorageArray {
  const sizes = new Map<string, number>();
  const sizeOf = ({ id, size }: VolumeRef): number => sizes.get(id) ?? size;
  const shown = (snapshot: ArraySnapshot): ArraySnapshot => ({
    ...snapshot,
    volume: { ...snapshot.volume, size: sizeOf(snapshot.volume) },
  });
  const show = (made: VolumeRef, size: number): VolumeRef => {
    sizes.set(made.id, size);
    return { ...made, size };
  };
  const { target, clone } = array;
  return {
    ...array,
    snapshot: async (volumes, name, call) => (await array.snapshot(volumes, name, call)).map(shown),
    find: async (name, call) => (await array.find(name, call)).map(shown),
    async *list(prefix, call) {
      for await (const snapshot of array.list(prefix, call)) yield shown(snapshot);
    },
    open: async (snapshot, options, call) =>
      shortSource(await array.open(snapshot, options, call), sizeOf(snapshot.volume)),
    ...(target && {
      target: {
        create: async ({ name, size }, call) =>
          show(await target.create({ name, size: Math.ceil(size / MIB) * GIB }, call), size),
        openForWrite: async (volume, call) =>
          shortTarget(await target.openForWrite(volume, call), sizeOf(volume)),
        remove: (volume, call) => target.remove(volume, call),
      },
    }),
    ...(clone && {
      clone: async (snapshot, name, call) => show(await clone(snapshot, name, call), sizeOf(snapshot.volume)),
    }),
  };
}

function shortSource(source: SequentialSource | VolumeSource, size: number): SequentialSource | VolumeSource {
  if (source.access === 'sequential') {
    return {
      access: 'sequential',
      size,
      blocks: (call) => blocksUpTo(source.blocks(call), size),
      close: () => source.close(),
      [Symbol.asyncDispose]: () => source.close(),
    };
  }
  return {
    access: 'random',
    size,
    extents: (call) => upTo(source.extents(call), size),
    readInto: async (offset, into, call) => {
      checkRange(offset, into.length, size);
      await source.readInto(offset, into, call);
    },
    close: () => source.close(),
    [Symbol.asyncDispose]: () => source.close(),
  };
}

function shortTarget(target: VolumeTarget, size: number): VolumeTarget {
  const extents = target.extents?.bind(target);
  const receive = target.receive?.bind(target);
  return {
    size,
    get blank() {
      return target.blank;
    },
    write: async (offset, data, call) => {
      checkRange(offset, data.length, size);
      await target.write(offset, data, call);
    },
    zero: async (offset, length, call) => {
      checkRange(offset, length, size);
      await target.zero(offset, length, call);
    },
    readInto: async (offset, into, call) => {
      checkRange(offset, into.length, size);
      await target.readInto(offset, into, call);
    },
    ...(extents && { extents: (call: CallOptions) => upTo(extents(call), size) }),
    ...(receive && { receive: (blocks, call) => receive(filled(blocks, size, target.size), call) }),
    flush: (call) => target.flush(call),
    close: () => target.close(),
    [Symbol.asyncDispose]: () => target.close(),
  };
}

async function* upTo(extents: AsyncIterable<Extent>, size: number): AsyncGenerator<Extent, void, undefined> {
  for await (const { offset, length, kind } of extents) {
    if (offset >= size) return;
    yield { offset, length: Math.min(length, size - offset), kind };
  }
}

async function* blocksUpTo(
  blocks: AsyncIterable<Block>,
  size: number,
): AsyncGenerator<Block, void, undefined> {
  for await (const block of blocks) {
    const left = size - block.offset;
    // Read to its end all the same, since that is where a stream tells what is wrong.
    if (left <= 0) continue;
    if (block.kind === 'data') yield { ...block, data: block.data.subarray(0, left) };
    else yield { ...block, length: Math.min(block.length, left) };
  }
}

/** The stream of a part as that of the whole. */
async function* filled(
  blocks: AsyncIterable<Block>,
  size: number,
  whole: number,
): AsyncGenerator<Block, void, undefined> {
  yield* blocks;
  if (whole > size) yield { offset: size, length: whole - size, kind: 'zero' };
}

function checkRange(offset: number, length: number, size: number): void {
  if (offset >= 0 && offset + length <= size) return;
  throw new FafnirError('OUT_OF_RANGE', `${length} bytes at ${offset} of ${size}`);
}
