import type { CallOptions } from '../../contracts/index.ts';
import type { PackHeader } from '../pack.ts';
import type { Vault } from '../vault.ts';
import { ChunkTable } from './chunk-table.ts';
import { isZero } from './geometry.ts';
import { readIndexes } from './index-store.ts';
import { packSize } from './pack-entries.ts';

/** Where chunks are looked for. */
export interface KnownFrom {
  /** Names of the indexes that tell. */
  readonly indexes: Iterable<string> | AsyncIterable<string>;
  /** Packs that are not to be relied on. */
  readonly without: ReadonlySet<string>;
  /** How many chunks to remember at most. */
  readonly capacity: number;
  /** Whether packs matter whose chunks cannot all be remembered. */
  readonly allPacks: boolean;
}

interface KnownPack {
  readonly name: string;
  /** Bytes that it has in the bank. */
  readonly bytes: number;
  /** The index that told. */
  readonly index: string;
  /** The number of the first of its chunks that no earlier pack has. */
  readonly first: number;
}

/** What need not be stored, for packs that are in the bank have it. */
export class KnownChunks {
  /** Ids, shared with the threads. */
  readonly table: ChunkTable;
  readonly #packs: KnownPack[] = [];
  readonly #reliedOn = new Map<string, number>();
  readonly #indexes = new Set<string>();
  #size = 0;
  // Some index could not be read.
  #isIncomplete = false;
  // In packs that are not to be relied on.
  readonly #lost = new Set<string>();

  private constructor(capacity: number) {
    this.table = new ChunkTable({ capacity });
  }

  /** Reads the indexes. One that is gone or damaged only costs chunks that are stored twice. */
  static async load(
    vault: Vault,
    { indexes, without, capacity, allPacks }: KnownFrom,
    call: CallOptions,
  ): Promise<KnownChunks> {
    const known = new KnownChunks(capacity);
    const refuse = (): void => {
      known.#isIncomplete = true;
    };
    for await (const { name: index, packs } of readIndexes(vault, indexes, call, refuse)) {
      for (const { name, header } of packs) {
        if (without.has(name)) known.#lose(header);
        else known.#add(name, index, header);
      }
      if (known.#size === capacity && !allPacks) return known;
    }
    return known;
  }

  /** Packs that what was not stored is in: their bytes, by name. */
  get reliedOn(): ReadonlyMap<string, number> {
    return this.#reliedOn;
  }

  /** The indexes that tell of those packs. */
  get indexes(): ReadonlySet<string> {
    return this.#indexes;
  }

  /** Tells that the chunk of this number was not stored; −1 is one that was. */
  relyOn(number: number): void {
    // What has a higher number was added by this archive itself.
    if (number === -1 || number >= this.#size) return;
    let [low, high] = [0, this.#packs.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#packs[middle]?.first ?? 0) <= number) low = middle;
      else high = middle - 1;
    }
    this.#relyOnPack(this.#packs[low]);
  }

  /** Tells that any of them may be needed. */
  relyOnAll(): void {
    for (const pack of this.#packs) this.#relyOnPack(pack);
  }

  /** Whether some chunks may be lost. */
  get hasLost(): boolean {
    return this.#isIncomplete || this.#lost.size > 0;
  }

  /** Whether a chunk was only in packs that are not to be relied on, or nobody knows where it is. */
  isLost(id: Uint8Array): boolean {
    if (!this.hasLost || isZero(id)) return false;
    return this.table.find(id) === -1 && (this.#isIncomplete || this.#lost.has(toHex(id)));
  }

  #relyOnPack(pack: KnownPack | undefined): void {
    if (pack === undefined) return;
    this.#reliedOn.set(pack.name, pack.bytes);
    this.#indexes.add(pack.index);
  }

  #add(name: string, index: string, header: PackHeader): void {
    const first = this.#size;
    let stored = 0;
    for (const { id, storedBytes } of header.chunks()) {
      stored += storedBytes;
      this.table.add(id);
    }
    this.#size = this.table.size;
    this.#packs.push({ name, bytes: packSize(header.count, stored), index, first });
  }

  #lose(header: PackHeader): void {
    for (const { id } of header.chunks()) this.#lost.add(toHex(id));
  }
}

const toHex = (id: Uint8Array): string => Buffer.from(id).toString('hex');
