import { setImmediate } from 'node:timers/promises';
import type { CallOptions } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { isDamage } from '../records.ts';
import { release } from '../release.ts';
import { numbersOf, type OpenInput } from '../threads/open-chunks.ts';
import type { Threads } from '../threads/threads.ts';
import type { Vault } from '../vault.ts';
import { eachInLanes, fetchedAhead, Permits } from './lanes.ts';
import type { ChunkLocation, ChunkLocations, LocatedPack } from './locations.ts';
import { PackStore } from './pack-store.ts';
import { idAt, type PlannedChunk, type PlannedRead, ReadPlan, type WantedChunks } from './read-plan.ts';

const PACKS_AHEAD = 1;
const CHUNKS_AT_A_TIME = 8_192;

/** What reads the chunks of an archive. */
export interface FetcherParts {
  /** Where they are. */
  readonly vault: Vault;
  /** Where in it. */
  readonly locations: ChunkLocations;
  /** What their ids were made with. */
  readonly idKey: Uint8Array;
  /** Does the work on bytes. */
  readonly threads: Threads;
}

/** A chunk that was read. */
export interface FetchedChunk {
  /** Its bytes, checked against its id. */
  readonly raw: Uint8Array;
  /** Its numbers among those that were wanted. */
  readonly numbers: readonly number[];
}

/** Chunks of one pack, sealed. */
export interface SealedChunks {
  /** The number of the pack. */
  readonly pack: number;
  /** The chunks, with their ids. */
  readonly chunks: readonly (Omit<ChunkLocation, 'pack'> & { readonly id: Uint8Array })[];
  /** Their bytes, one after the other; changes hands. */
  readonly sealed: Uint8Array<ArrayBuffer>;
}

/** Reads chunks pack by pack. Nothing comes out of it that is not what its id says. */
export class ChunkFetcher {
  readonly locations: ChunkLocations;
  readonly packs: PackStore;
  readonly threads: Threads;
  /** What may be asked of banks and volumes at once: two things for each thread. */
  readonly permits: Permits;
  /** Groups of chunks under way at once. */
  readonly groupsAtOnce: number;
  readonly #vault: Vault;
  readonly #idKey: Uint8Array;
  readonly #damaged = new Map<string, FafnirError>();

  constructor({ vault, locations, idKey, threads }: FetcherParts) {
    this.locations = locations;
    this.packs = new PackStore(vault);
    this.threads = threads;
    this.permits = new Permits(2 * threads.width);
    this.groupsAtOnce = 2 * threads.width;
    this.#vault = vault;
    this.#idKey = idKey;
  }

  /** Packs that were found damaged or gone, and how, by name. */
  get damaged(): ReadonlyMap<string, FafnirError> {
    return this.#damaged;
  }

  /**
   * Reads chunks and hands them out by groups of at most 4 MiB, several at once. Where a pack is damaged the chunk is
   * sought elsewhere; `NOT_FOUND` or `CORRUPT`, naming pack and bank, where there is nowhere else.
   */
  async fetch(
    wanted: WantedChunks,
    visit: (chunks: readonly FetchedChunk[], signal: AbortSignal) => Promise<void> | void,
    call: CallOptions,
  ): Promise<void> {
    const plan = await this.#plan(wanted, call);
    await eachInLanes(
      (signal) => this.#groups(plan, { signal }),
      { concurrency: this.groupsAtOnce, signal: call.signal },
      async ({ chunks, sealed, pack }, signal) => {
        const opened = sealed && (await this.#tryOpen({ pack, chunks, sealed }, { signal }));
        if (opened !== undefined) return visit(fetchedOf(chunks, opened), signal);
        for (const { id, rawBytes, numbers } of chunks) {
          await visit([{ raw: await this.read(id, rawBytes, { signal }), numbers }], signal);
        }
      },
    );
  }

  /** Where the chunk is, looked for wherever it may be; −1 where it is nowhere. */
  async locate(id: Uint8Array, rawBytes: number, call: CallOptions): Promise<number> {
    for (;;) {
      const location = this.locations.find(id, rawBytes);
      if (location !== -1 || !(await this.locations.lookFurther(call))) return location;
    }
  }

  /** Reads one chunk from wherever it can be had. */
  async read(id: Uint8Array, rawBytes: number, call: CallOptions): Promise<Uint8Array> {
    const tried = new Set<number>();
    let failure: unknown;
    do {
      for (const location of this.locations.all(id, rawBytes)) {
        if (tried.has(location)) continue;
        tried.add(location);
        try {
          return await this.#readAt(id, location, call);
        } catch (error) {
          if (!isDamage(error)) throw error;
          failure ??= error;
        }
      }
    } while (await this.locations.lookFurther(call));
    throw failure ?? this.locations.missing(id);
  }

  /** Opens chunks of one pack; `CORRUPT`, naming pack and bank, where one is not what it should be. */
  async open(
    { pack, chunks, sealed }: SealedChunks,
    want: OpenInput['want'],
    call: CallOptions,
  ): Promise<Uint8Array> {
    const { name, keyId } = this.#pack(pack);
    const key = await this.#vault.key(keyId, call);
    const input: OpenInput = {
      key,
      name: new Uint8Array(Buffer.from(name, 'hex')),
      idKey: this.#idKey,
      ids: new Uint8Array(Buffer.concat(chunks.map(({ id }) => id))),
      numbers: Uint32Array.from(chunks.flatMap(numbersOf)),
      sealed,
      want,
    };
    call.signal.throwIfAborted();
    try {
      return (await this.threads.run('open', input, [sealed.buffer])).raw;
    } catch (error) {
      throw FafnirError.is(error, 'CORRUPT') ? this.packs.damaged(name, error) : error;
    }
  }

  /** Remembers that a pack is damaged; others are preferred from now on. */
  avoid(pack: number, error: FafnirError): void {
    const { name } = this.#pack(pack);
    if (!this.#damaged.has(name)) this.#damaged.set(name, error);
    this.locations.avoid(pack);
  }

  async #plan({ ids, which, lengthOf }: WantedChunks, call: CallOptions): Promise<ReadPlan> {
    const plan = new ReadPlan(this.locations, ids);
    let since = 0;
    for (const number of which) {
      const id = idAt(ids, number);
      const known = this.locations.find(id, lengthOf(number));
      const location = known === -1 ? await this.locate(id, lengthOf(number), call) : known;
      if (location === -1) throw this.locations.missing(id);
      plan.add(number, location);
      since += 1;
      if (since % CHUNKS_AT_A_TIME !== 0) continue;
      await setImmediate();
      call.signal.throwIfAborted();
    }
    return plan;
  }

  async *#groups(plan: ReadPlan, call: CallOptions): AsyncGenerator<PlannedGroup> {
    const fetched = fetchedAhead(
      plan.reads(),
      { ahead: PACKS_AHEAD, signal: call.signal },
      (read, signal) => this.#tryFetch(read, { signal }),
      ({ permit }) => permit[Symbol.dispose](),
    );
    for await (const { read, bytes, permit } of fetched) {
      using _permit = permit;
      for (const chunks of read.groups) {
        yield { pack: read.pack, chunks, sealed: bytes && sealedBytes(chunks, bytes, read.offset) };
      }
      if (bytes !== undefined) release(bytes);
    }
  }

  async #tryFetch(read: PlannedRead, call: CallOptions): Promise<FetchedRead> {
    const { pack, offset, length } = read;
    const permit = await this.threads.packs.hold(call.signal);
    try {
      const bytes = await this.#unlessDamaged(pack, () => this.#bytes(pack, offset, length, call));
      return { read, bytes, permit };
    } catch (error) {
      permit[Symbol.dispose]();
      throw error;
    }
  }

  #tryOpen(chunks: SealedChunks, call: CallOptions): Promise<Uint8Array | undefined> {
    return this.#unlessDamaged(chunks.pack, () => this.open(chunks, 'bytes', call));
  }

  async #readAt(id: Uint8Array, location: number, call: CallOptions): Promise<Uint8Array> {
    const chunk = { ...this.locations.at(location), id };
    const { pack, offset, storedBytes } = chunk;
    const gone = this.#damaged.get(this.#pack(pack).name);
    if (FafnirError.is(gone, 'NOT_FOUND')) throw gone;
    try {
      const bytes = await this.#bytes(pack, offset, storedBytes, call);
      return await this.open({ pack, chunks: [chunk], sealed: new Uint8Array(bytes) }, 'bytes', call);
    } catch (error) {
      if (isDamage(error) && FafnirError.is(error)) this.avoid(pack, error);
      throw error;
    }
  }

  #bytes(pack: number, offset: number, length: number, call: CallOptions): Promise<Uint8Array> {
    const { name } = this.#pack(pack);
    return this.permits.use(call.signal, () => this.packs.read(name, offset, length, call));
  }

  async #unlessDamaged<Result>(pack: number, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!isDamage(error) || !FafnirError.is(error)) throw error;
      this.avoid(pack, error);
      return undefined;
    }
  }

  #pack(number: number): LocatedPack {
    const pack = this.locations.packs[number];
    if (pack === undefined) throw new RangeError(`there is no pack ${number}`);
    return pack;
  }
}

interface FetchedRead {
  readonly read: PlannedRead;
  /** Undefined where the pack cannot be read. */
  readonly bytes: Uint8Array | undefined;
  /** To have it in memory. */
  readonly permit: Disposable;
}

interface PlannedGroup extends Pick<SealedChunks, 'pack'> {
  readonly chunks: readonly PlannedChunk[];
  /** Undefined where the pack cannot be read. */
  readonly sealed: Uint8Array<ArrayBuffer> | undefined;
}

/** The sealed bytes of some chunks, out of a part of their pack, in memory of their own. */
function sealedBytes(
  chunks: readonly ChunkLocation[],
  part: Uint8Array,
  partOffset: number,
): Uint8Array<ArrayBuffer> {
  const sealed = new Uint8Array(chunks.reduce((sum, { storedBytes }) => sum + storedBytes, 0));
  let end = 0;
  for (const { offset, storedBytes } of chunks) {
    const start = offset - partOffset;
    sealed.set(part.subarray(start, start + storedBytes), end);
    end += storedBytes;
  }
  return sealed;
}

function fetchedOf(chunks: readonly PlannedChunk[], opened: Uint8Array): readonly FetchedChunk[] {
  let end = 0;
  return chunks.map(({ rawBytes, numbers }) => {
    const start = end;
    end += rawBytes;
    return { raw: opened.subarray(start, end), numbers };
  });
}
