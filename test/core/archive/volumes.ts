import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { memoryBank } from '../../../src/banks/memory.ts';
import { CHUNK_SIZE } from '../../../src/core/archive/volume/geometry.ts';
import type {
  Bank,
  CopyCall,
  Extent,
  VolumeSource,
  VolumeTarget,
} from '../../../src/core/contracts/index.ts';
import { parseTenantId } from '../../../src/core/identity.ts';

/** Whose archives the tests make. */
export const ACME: ReturnType<typeof parseTenantId> = parseTenantId('acme');

/** A call that counts the bytes it is told of. */
export function countingCall(
  signal: AbortSignal = new AbortController().signal,
): CopyCall & { bytes(): number } {
  let bytes = 0;
  return {
    signal,
    progress: (more) => {
      bytes += more;
    },
    bytes: () => bytes,
  };
}

/** A bank that does some things in another way than the sound one below it. */
export function bankWith(
  change: (sound: Bank) => Partial<Bank>,
  sound: Bank = memoryBank({ name: 'bank' }),
): Bank {
  return {
    contract: 1,
    name: sound.name,
    capabilities: sound.capabilities,
    put: (key, body, options) => sound.put(key, body, options),
    get: (key, read, call) => sound.get(key, read, call),
    head: (key, call) => sound.head(key, call),
    list: (prefix, options) => sound.list(prefix, options),
    remove: (keys, call) => sound.remove(keys, call),
    ...change(sound),
  };
}

/** All keys of a bank below a prefix. */
export async function keysOf(bank: Bank, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of bank.list(prefix, countingCall())) keys.push(key);
  return keys;
}

/** A volume in memory as a source with this map. */
export function sourceOf(
  bytes: Uint8Array,
  extents: readonly Extent[] = [{ offset: 0, length: bytes.length, kind: 'data' }],
  change: Partial<VolumeSource> = {},
): VolumeSource {
  const close = async (): Promise<void> => undefined;
  return {
    access: 'random',
    size: bytes.length,
    async *extents() {
      yield* extents;
    },
    async readInto(offset, into, { signal }) {
      signal.throwIfAborted();
      into.set(bytes.subarray(offset, offset + into.length));
    },
    close,
    [Symbol.asyncDispose]: close,
    ...change,
  };
}

/** A volume in memory that takes bytes; counts the bytes that were zeroed. */
export function targetOf(
  bytes: Uint8Array,
  blank: boolean,
  change: Partial<VolumeTarget> = {},
): VolumeTarget & { zeroed(): number } {
  const close = async (): Promise<void> => undefined;
  let zeroed = 0;
  return {
    size: bytes.length,
    blank,
    async write(offset, data, { signal }) {
      signal.throwIfAborted();
      bytes.set(data, offset);
    },
    async zero(offset, length) {
      bytes.fill(0, offset, offset + length);
      zeroed += length;
    },
    async readInto(offset, into) {
      into.set(bytes.subarray(offset, offset + into.length));
    },
    flush: close,
    close,
    [Symbol.asyncDispose]: close,
    zeroed: () => zeroed,
    ...change,
  };
}

// A period that no chunk size is a multiple of, so that no two chunks are alike.
const PERIOD = 1_021;

/** Bytes that follow from the seed and differ from chunk to chunk. */
export function patterned(size: number, seed: number): Uint8Array {
  const pattern = Buffer.alloc(PERIOD, `seed ${seed} of the bytes in this volume;`);
  return new Uint8Array(Buffer.alloc(size, pattern));
}

/** A volume with a map that is true of it; with `same` runs, those that are as in the older bytes. */
export interface Volume {
  readonly bytes: Uint8Array;
  readonly extents: readonly Extent[];
}

/** Sizes around the borders of chunks, and others. */
export const anySize: fc.Arbitrary<number> = fc
  .oneof(
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.nat({ max: 3 }), fc.integer({ min: -2, max: 2 }))
        .map(([chunks, off]) => chunks * CHUNK_SIZE + off),
    },
    { weight: 1, arbitrary: fc.nat({ max: Math.floor(2.5 * CHUNK_SIZE) }) },
  )
  .map((size) => Math.max(0, size));

const anyKind = fc.constantFrom('data' as const, 'zero' as const, 'same' as const, 'data' as const);

/** A volume of this size, and what an older one of the same size holds where it is `same`. */
export function volumeOf(size: number, older: Uint8Array | undefined): fc.Arbitrary<Volume> {
  const border = fc.nat({ max: Math.ceil(size / CHUNK_SIZE) }).map((chunk) => chunk * CHUNK_SIZE);
  const near = fc.tuple(border, fc.integer({ min: -2, max: 2 })).map(([at, off]) => at + off);
  const cut = fc.oneof(border, near, fc.nat({ max: size }));
  return fc
    .record({
      cuts: fc.array(cut, { maxLength: 8 }),
      kinds: fc.array(anyKind, { minLength: 9, maxLength: 9 }),
      seed: fc.nat(),
    })
    .map(({ cuts, kinds, seed }) => {
      const starts = [...new Set([0, ...cuts])].filter((at) => at >= 0 && at < size).sort((a, b) => a - b);
      const fresh = patterned(size, seed);
      const bytes = new Uint8Array(size);
      const extents = starts.map((offset, at): Extent => {
        const end = starts[at + 1] ?? size;
        const wanted = kinds[at] ?? 'data';
        const kind = wanted === 'same' && older === undefined ? 'data' : wanted;
        const from = kind === 'same' ? older : kind === 'data' ? fresh : undefined;
        if (from !== undefined) bytes.set(from.subarray(offset, end), offset);
        return { offset, length: end - offset, kind };
      });
      return { bytes, extents };
    });
}

/**
 * A call of which the one at offset 0 fails as soon as another is under way, and the others last longer. Counts those
 * that are under way.
 */
export function failingFirst(error: Error): { run(offset: number): Promise<void>; underWay(): number } {
  const began = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<void>();
  let underWay = 0;
  return {
    async run(offset) {
      if (offset === 0) {
        await began.promise;
        failed.resolve();
        throw error;
      }
      underWay += 1;
      began.resolve();
      await failed.promise;
      for (let turn = 0; turn < 20; turn += 1) await setImmediate();
      underWay -= 1;
    },
    underWay: () => underWay,
  };
}
