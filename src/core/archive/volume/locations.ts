import { setImmediate } from 'node:timers/promises';
import type { CallOptions } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { mapSettled } from '../../map-settled.ts';
import { unlessAborted } from '../../unless-aborted.ts';
import { bankKeys } from '../keys.ts';
import { CHUNK_ID_BYTES, COMPRESSED } from '../pack.ts';
import { isDamage } from '../records.ts';
import type { Vault } from '../vault.ts';
import { ChunkTable } from './chunk-table.ts';
import { type IndexedPack, listIndexes, readIndexes } from './index-store.ts';
import { packSize } from './pack-entries.ts';
import { isPackName, PackStore } from './pack-store.ts';

const SMALLEST = 1_024;
// So many are dealt with before the host's other work has its turn.
const CHUNKS_AT_A_TIME = 8_192;
const HEADERS_AT_ONCE = 2;
const HEADERS_IN_BATCH = 32;
// A chunk has at most 4 MiB, so this bit of its length is free.
const COMPRESSED_BIT = 2 ** 31;

/** Where the bytes of a chunk are. */
export interface ChunkLocation {
  /** The number of the pack among {@link ChunkLocations.packs}. */
  readonly pack: number;
  /** Its place among the chunks of the pack. */
  readonly at: number;
  /** Bytes from the start of the pack. */
  readonly offset: number;
  /** Bytes in the pack. */
  readonly storedBytes: number;
  /** Bytes of the chunk itself. */
  readonly rawBytes: number;
  /** How it is stored. */
  readonly flags: number;
}

/** A pack that some chunks are in. */
export interface LocatedPack {
  /** 32 hexadecimal digits. */
  readonly name: string;
  /** The data key that it is sealed under. */
  readonly keyId: string;
  /** The location of its first chunk; those of the others follow. */
  readonly first: number;
  /** How many chunks it has. */
  readonly count: number;
  /** Bytes. */
  readonly size: number;
}

/**
 * Where chunks are, by the indexes and, where these do not tell, by the packs themselves. A chunk may be in several
 * packs. Locations are numbers, ascending by pack and place. Takes about 70 bytes a chunk that was read of.
 */
export class ChunkLocations {
  /** The packs that were read of. */
  readonly packs: readonly LocatedPack[];
  readonly #vault: Vault;
  readonly #packs: LocatedPack[] = [];
  readonly #packNumbers = new Map<string, number>();
  readonly #damaged = new Set<string>();
  readonly #avoided = new Set<number>();
  readonly #indexes = new Set<string>();
  readonly #refused: ((key: string, error: unknown) => void) | undefined;
  #unknownKey: FafnirError | undefined;
  // How far was looked: in the archive's indexes, in those of the tenant, in all packs.
  #looked: 'archive' | 'tenant' | 'packs' = 'archive';
  #looking: Promise<unknown> = Promise.resolve();
  #table = new ChunkTable({ capacity: SMALLEST });
  #capacity = SMALLEST;
  /** By chunk: one more than its latest location. */
  #latest = new Uint32Array(SMALLEST);
  // By location: one more than the chunk's location before this one, and what the pack's header says.
  #before = new Uint32Array(SMALLEST);
  #offsets = new Uint32Array(SMALLEST);
  #storedBytes = new Uint32Array(SMALLEST);
  #rawBytes = new Uint32Array(SMALLEST);
  #count = 0;

  private constructor(vault: Vault, refused: ((key: string, error: unknown) => void) | undefined) {
    this.#vault = vault;
    this.#refused = refused;
    this.packs = this.#packs;
  }

  /** Reads indexes; `refused` is told of those, and of packs, that cannot be used. */
  static async load(
    vault: Vault,
    indexes: readonly string[],
    call: CallOptions,
    refused?: (key: string, error: unknown) => void,
  ): Promise<ChunkLocations> {
    const locations = new ChunkLocations(vault, refused);
    for await (const { key } of vault.bank.list(bankKeys.damage(vault.tenant), call)) {
      locations.#damaged.add(key.slice(key.lastIndexOf('/') + 1));
    }
    await locations.#readIndexes(indexes, call);
    return locations;
  }

  /** A location of the chunk of this id and length, in a sound pack where there is one; −1 where none is known. */
  find(id: Uint8Array, rawBytes: number): number {
    let found = -1;
    for (const location of this.#locationsOf(id, rawBytes)) {
      found = location;
      if (this.#avoided.size === 0 || !this.isAvoided(this.packOf(location))) break;
    }
    return found;
  }

  /** All known locations of a chunk, those in sound packs first. */
  all(id: Uint8Array, rawBytes: number): readonly number[] {
    const rank = (location: number): number => Number(this.isAvoided(this.packOf(location)));
    return [...this.#locationsOf(id, rawBytes)].sort((a, b) => rank(a) - rank(b));
  }

  /** Whether the chunk of this id and length is at this location. */
  isAt(location: number, id: Uint8Array, rawBytes: number): boolean {
    for (const one of this.#locationsOf(id, rawBytes)) if (one === location) return true;
    return false;
  }

  /** What a location says. */
  at(location: number): ChunkLocation {
    const pack = this.packOf(location);
    const rawBytes = this.#rawBytes[location] ?? 0;
    return {
      pack,
      at: location - (this.#packs[pack]?.first ?? 0),
      offset: this.#offsets[location] ?? 0,
      storedBytes: this.#storedBytes[location] ?? 0,
      rawBytes: rawBytes % COMPRESSED_BIT,
      flags: rawBytes < COMPRESSED_BIT ? 0 : COMPRESSED,
    };
  }

  /** The number of the pack of a location. */
  packOf(location: number): number {
    let [low, high] = [0, this.#packs.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#packs[middle]?.first ?? 0) <= location) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Whether other packs are preferred. */
  isAvoided(pack: number): boolean {
    return this.#avoided.has(pack);
  }

  /** Prefers other packs from now on. */
  avoid(pack: number): void {
    this.#avoided.add(pack);
  }

  /**
   * Looks further, for what is not found or cannot be read: in all indexes of the tenant, then in the packs that none of
   * them tells of. Resolves with false where there is nowhere else.
   */
  async lookFurther(call: CallOptions): Promise<boolean> {
    const looked = this.#looked;
    if (looked === 'packs') return false;
    const look = async (): Promise<void> => {
      call.signal.throwIfAborted();
      // Another caller may have done so meanwhile.
      if (this.#looked !== looked) return;
      if (looked === 'archive') await this.#readIndexes(this.#otherIndexes(call), call);
      else await this.#readPacks(call);
      this.#looked = looked === 'archive' ? 'tenant' : 'packs';
    };
    const looking = this.#looking.then(look, look);
    this.#looking = looking;
    await unlessAborted(looking, call.signal);
    return true;
  }

  /** Prefers other packs than those that are not of this size in the bank, or are not there. */
  avoidUnless(sizes: ReadonlyMap<string, number>): void {
    for (const [number, { name, size }] of this.#packs.entries()) {
      if (sizes.get(name) !== size) this.#avoided.add(number);
    }
  }

  /** What to throw where a chunk is nowhere. */
  missing(id: Uint8Array): FafnirError {
    // Where a key is not held, what it sealed may well be there.
    if (this.#unknownKey !== undefined) return this.#unknownKey;
    const name = Buffer.from(id).toString('hex');
    return new FafnirError('NOT_FOUND', `chunk ${name} is in no pack in bank ${this.#vault.bank.name}`);
  }

  *#locationsOf(id: Uint8Array, rawBytes: number): Generator<number> {
    const chunk = this.#table.find(id);
    if (chunk === -1) return;
    for (let next = this.#latest[chunk] ?? 0; next > 0; next = this.#before[next - 1] ?? 0) {
      // One of another length is not what is sought: it would not open as that.
      if ((this.#rawBytes[next - 1] ?? 0) % COMPRESSED_BIT === rawBytes) yield next - 1;
    }
  }

  async #readIndexes(names: Iterable<string> | AsyncIterable<string>, call: CallOptions): Promise<void> {
    for await (const { name, packs } of readIndexes(this.#vault, names, call, this.#refuse)) {
      await this.#add(packs, call);
      this.#indexes.add(name);
    }
  }

  async *#otherIndexes(call: CallOptions): AsyncGenerator<string> {
    for await (const name of listIndexes(this.#vault, undefined, call)) {
      if (!this.#indexes.has(name)) yield name;
    }
  }

  async #readPacks(call: CallOptions): Promise<void> {
    const prefix = bankKeys.packs(this.#vault.tenant);
    const store = new PackStore(this.#vault);
    let batch: { readonly name: string; readonly size: number }[] = [];
    const read = async (): Promise<void> => {
      const packs = await mapSettled(
        batch,
        async ({ name, size }, _at, signal) => {
          try {
            return [await store.header(name, size, { signal })];
          } catch (error) {
            if (!isDamage(error) && !FafnirError.is(error, 'UNKNOWN_KEY')) throw error;
            this.#refuse(bankKeys.pack(this.#vault.tenant, name), error);
            return [];
          }
        },
        { concurrency: HEADERS_AT_ONCE, signal: call.signal },
      );
      batch = [];
      await this.#add(packs.flat(), call);
    };
    for await (const { key, size } of this.#vault.bank.list(prefix, call)) {
      const name = key.slice(key.lastIndexOf('/') + 1);
      if (!isPackName(name) || this.#packNumbers.has(name)) continue;
      batch.push({ name, size });
      if (batch.length === HEADERS_IN_BATCH) await read();
    }
    await read();
  }

  readonly #refuse = (key: string, error: unknown): void => {
    if (FafnirError.is(error, 'UNKNOWN_KEY')) this.#unknownKey ??= error;
    this.#refused?.(key, error);
  };

  async #add(packs: readonly IndexedPack[], { signal }: CallOptions): Promise<void> {
    const fresh = packs.filter(({ name }) => !this.#packNumbers.has(name));
    await this.#reserve(fresh.reduce((sum, { header }) => sum + header.count, 0));
    let since = 0;
    for (const pack of fresh) {
      // An index may name a pack twice.
      if (this.#packNumbers.has(pack.name)) continue;
      this.#addPack(pack);
      since += pack.header.count;
      if (since < CHUNKS_AT_A_TIME) continue;
      since = 0;
      await setImmediate();
      signal.throwIfAborted();
    }
  }

  #addPack({ name, keyId, header }: IndexedPack): void {
    const number = this.#packs.length;
    const first = this.#count;
    let end = 0;
    for (const { id, offset, storedBytes, rawBytes, flags } of header.chunks()) {
      const location = this.#count;
      const known = this.#table.add(id);
      const chunk = known === -1 ? this.#table.size - 1 : known;
      this.#offsets[location] = offset;
      this.#storedBytes[location] = storedBytes;
      this.#rawBytes[location] = rawBytes + (flags === COMPRESSED ? COMPRESSED_BIT : 0);
      this.#before[location] = this.#latest[chunk] ?? 0;
      this.#latest[chunk] = location + 1;
      this.#count += 1;
      end = offset + storedBytes;
    }
    this.#packs.push({ name, keyId, first, count: header.count, size: packSize(header.count, end) });
    this.#packNumbers.set(name, number);
    if (this.#damaged.has(name)) this.#avoided.add(number);
  }

  async #reserve(more: number): Promise<void> {
    const needed = this.#count + more;
    if (needed <= this.#capacity) return;
    const capacity = Math.max(needed, 2 * this.#capacity);
    const table = new ChunkTable({ capacity });
    const ids = new Uint8Array(this.#table.shared.ids);
    // In the order of their numbers, so that each keeps its own.
    for (let chunk = 0; chunk < this.#table.size; chunk += 1) {
      table.add(ids.subarray(chunk * CHUNK_ID_BYTES, (chunk + 1) * CHUNK_ID_BYTES));
      if (chunk % CHUNKS_AT_A_TIME === CHUNKS_AT_A_TIME - 1) await setImmediate();
    }
    this.#table = table;
    this.#latest = grown(this.#latest, capacity);
    this.#before = grown(this.#before, capacity);
    this.#offsets = grown(this.#offsets, capacity);
    this.#storedBytes = grown(this.#storedBytes, capacity);
    this.#rawBytes = grown(this.#rawBytes, capacity);
    this.#capacity = capacity;
  }
}

function grown(numbers: Uint32Array<ArrayBuffer>, capacity: number): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(capacity);
  more.set(numbers);
  return more;
}
