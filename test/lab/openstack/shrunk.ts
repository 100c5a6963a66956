import type {
  ArraySnapshot,
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

function shortSource(source: SequentialSource | VolumeSource, size: number): VolumeSource {
  if (source.access === 'sequential') throw new Error('a stream cannot be shown in part');
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

function checkRange(offset: number, length: number, size: number): void {
  if (offset >= 0 && offset + length <= size) return;
  throw new FafnirError('OUT_OF_RANGE', `${length} bytes at ${offset} of ${size}`);
}
