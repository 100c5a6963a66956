import { openSource } from '../../src/testing/storage-array/helpers.ts';
import type { CallOptions, Extent, StorageArray, VolumeSource } from '../../src/index.ts';

const BLOCK = 64 * 1024;

/**
 * An array that can tell what changed since an older snapshot, on every file system, by reading both. So the harness
 * also sees jobs that keep a snapshot for the next one and remove the one before.
 */
export function comparingArray(array: StorageArray): StorageArray {
  return {
    ...array,
    capabilities: async (call) => ({ ...(await array.capabilities(call)), changeBase: 'snapshot' }),
    open: async (snapshot, { since }, call) => {
      if (since === undefined) return array.open(snapshot, {}, call);
      return compared(await openSource(array, snapshot), await openSource(array, since));
    },
  };
}

function compared(source: VolumeSource, older: VolumeSource): VolumeSource {
  const close = async (): Promise<void> => {
    await source.close();
    await older.close();
  };
  return {
    access: 'random',
    size: source.size,
    extents: (call) => changes(source, older, call),
    readInto: (offset, into, call) => source.readInto(offset, into, call),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function* changes(
  source: VolumeSource,
  older: VolumeSource,
  call: CallOptions,
): AsyncGenerator<Extent> {
  for (let offset = 0; offset < source.size; offset += BLOCK) {
    const length = Math.min(BLOCK, source.size - offset);
    const [is, was] = [new Uint8Array(length), new Uint8Array(length)];
    await source.readInto(offset, is, call);
    await older.readInto(offset, was, call);
    yield { offset, length, kind: Buffer.compare(is, was) === 0 ? 'same' : 'data' };
  }
}
