import { createHmac, randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { CallOptions, Clock, CopyCall } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { CHUNK_ID_BYTES } from '../pack.ts';
import { isDamage } from '../records.ts';
import type { Vault } from '../vault.ts';
import { chunkLength, PAGE_CHUNKS, pageCount } from './geometry.ts';
import { eachInLanes } from './lanes.ts';
import { checkPack } from './check-pack.ts';
import { provenPacks, putDamage, putProof, type VerifyLevel } from './proofs.ts';
import { idAt, isZeroId } from './read-plan.ts';
import { type ArchiveParts, type Window, windowsOf } from './restore-archive.ts';

const PACKS_AT_ONCE = 2;
const PACKS_IN_PROOF = 64;
const CHUNKS_AT_A_TIME = 8_192;
const NAMED_PACKS = 10;
/** The share of packs that {@link Verified.confidence} supposes to be bad. */
const BAD_SHARE = 0.01;

/** What is verified of an archive, and how. */
export interface VerifyOptions {
  /** `tags`: everything is as it was sealed; `deep`: every chunk is also what its id says. */
  readonly level: VerifyLevel;
  /** The share of packs to read, above 0 and up to 1, picked by chance; all unless given. */
  readonly sample?: number;
  /** Names this verification: one that was interrupted goes on from what it proved. Nothing is kept unless given. */
  readonly token?: string;
}

/** What was verified. */
export interface Verified {
  /** Packs, also those that an interrupted run under the token proved. */
  readonly packs: number;
  /** Chunks that were read now. */
  readonly chunks: number;
  /** Bytes of packs that were read now. */
  readonly bytes: number;
  /**
   * If one in a hundred of the archive's N packs (at least one) were bad, this would be the probability of having found
   * one: for n packs read and b bad ones, 1 − (N−b choose n) / (N choose n).
   */
  readonly confidence: number;
  /** Packs that were found damaged, though all that the archive needs can still be read, there or elsewhere. */
  readonly damaged: readonly string[];
}

/** What verifies. */
export interface VerifyParts extends ArchiveParts {
  /** Where the archive is. */
  readonly vault: Vault;
  /** For messages. */
  readonly what: string;
  /** Dates what is found. */
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * Reads the packs of an archive, each as a whole, and its pages. What is found of packs is stored. `CORRUPT` or
 * `NOT_FOUND`, naming the damaged packs, where the archive cannot be restored in full.
 */
export async function verifyArchive(
  parts: VerifyParts,
  options: VerifyOptions,
  call: CopyCall,
): Promise<Verified> {
  const { sample = 1 } = options;
  if (!(sample > 0 && sample <= 1)) {
    throw new FafnirError('INVALID_OPTIONS', `a sample is a share above 0 and up to 1, not ${sample}`);
  }
  return new Verification(parts, options).run(sample, call);
}

class Verification {
  readonly #parts: VerifyParts;
  readonly #level: VerifyLevel;
  readonly #token: string | undefined;
  /** Bytes of the volume by pack that the archive needs. */
  readonly #needed = new Map<number, number>();
  readonly #sound = new Set<number>();
  readonly #told = new Set<string>();
  #proven: string[] = [];
  #lost: FafnirError | undefined;
  #isCorrupt = false;
  #untold: unknown;
  #chunks = 0;
  #bytes = 0;

  constructor(parts: VerifyParts, { level, token }: VerifyOptions) {
    this.#parts = parts;
    this.#level = level;
    this.#token = token;
  }

  async run(sample: number, call: CopyCall): Promise<Verified> {
    const { damaged } = this.#parts.fetcher;
    await this.#findPacks(call);
    const chosen = this.#choose(sample);
    await this.#readPacks(chosen, call);
    if (damaged.size > 0) await this.#seekElsewhere(call);
    await this.#tellOfDamage(call);
    if (this.#lost !== undefined) throw this.#failure(this.#lost);
    if (this.#untold !== undefined) throw this.#untold;
    return {
      packs: chosen.length,
      chunks: this.#chunks,
      bytes: this.#bytes,
      confidence: confidenceOf(this.#needed.size, chosen.length),
      damaged: [...damaged.keys()],
    };
  }

  /** Reads all pages, and finds out which packs the archive needs. */
  async #findPacks(call: CopyCall): Promise<void> {
    const { geometry, ids } = this.#parts;
    for (const window of windowsOf(geometry)) {
      for (const { first, found } of await this.#idsOf(window, (error) => this.#lose(error), call)) {
        let zeros = 0;
        for (let at = 0; at < found.length / CHUNK_ID_BYTES; at += 1) {
          const rawBytes = chunkLength(geometry, first + at);
          if (isZeroId(found, at)) zeros += rawBytes;
          else await this.#need(idAt(found, at), rawBytes, rawBytes, call);
          if (at % CHUNKS_AT_A_TIME === CHUNKS_AT_A_TIME - 1) await setImmediate();
        }
        call.signal.throwIfAborted();
        if (zeros > 0) call.progress(zeros);
      }
    }
    const pages = ids.pageIds(0, pageCount(geometry));
    for (let page = 0; page < pageCount(geometry); page += 1) {
      if (!isZeroId(pages, page)) await this.#need(idAt(pages, page), ids.pageBytes(page), 0, call);
    }
  }

  async #need(id: Uint8Array, rawBytes: number, volumeBytes: number, call: CopyCall): Promise<void> {
    const { fetcher } = this.#parts;
    const known = fetcher.locations.find(id, rawBytes);
    const location = known === -1 ? await fetcher.locate(id, rawBytes, call) : known;
    if (location === -1) return this.#lose(fetcher.locations.missing(id));
    const pack = fetcher.locations.packOf(location);
    this.#needed.set(pack, (this.#needed.get(pack) ?? 0) + volumeBytes);
  }

  /** Picks packs by chance: in the same way again under the same token, and nobody without the keys knows which. */
  #choose(sample: number): readonly number[] {
    const all = [...this.#needed.keys()];
    const count = Math.ceil(sample * all.length);
    if (count === all.length) return all.sort((a, b) => a - b);
    const salt = this.#token ?? randomBytes(16);
    const drawn = all.map((pack) => {
      const name = this.#parts.fetcher.locations.packs[pack]?.name ?? '';
      return { pack, lot: createHmac('sha256', this.#parts.idKey).update(salt).update(name).digest('hex') };
    });
    const chosen = drawn.sort((a, b) => (a.lot < b.lot ? -1 : 1)).slice(0, count);
    return chosen.map(({ pack }) => pack).sort((a, b) => a - b);
  }

  async #readPacks(chosen: readonly number[], call: CopyCall): Promise<void> {
    const { vault, fetcher } = this.#parts;
    const { locations } = fetcher;
    const proven =
      this.#token === undefined ? NONE : await provenPacks(vault, this.#token, this.#level, call);
    await eachInLanes(
      () => chosen,
      { concurrency: PACKS_AT_ONCE, signal: call.signal },
      async (number, signal) => {
        const { name = '', size = 0, count = 0 } = locations.packs[number] ?? {};
        if (locations.isAvoided(number) || !proven.has(name)) {
          this.#chunks += count;
          this.#bytes += size;
          await this.#readPack(number, name, { ...call, signal });
        } else {
          this.#sound.add(number);
        }
        call.progress(this.#needed.get(number) ?? 0);
      },
    );
    await this.#storeProof(call);
  }

  async #readPack(number: number, name: string, call: CallOptions): Promise<void> {
    const { fetcher } = this.#parts;
    try {
      await checkPack(fetcher, number, this.#level, call);
    } catch (error) {
      if (!isDamage(error) || !FafnirError.is(error)) throw error;
      fetcher.avoid(number, error);
      return this.#tellOfDamage(call);
    }
    this.#sound.add(number);
    this.#proven.push(name);
    if (this.#proven.length >= PACKS_IN_PROOF) await this.#storeProof(call);
  }

  async #storeProof(call: CallOptions): Promise<void> {
    const packs = this.#proven;
    this.#proven = [];
    if (this.#token === undefined || packs.length === 0) return;
    await putProof(this.#parts.vault, this.#token, { level: this.#level, at: this.#now(), packs }, call);
  }

  /** Whatever was in a damaged pack may be in another, or still be readable there. */
  async #seekElsewhere(call: CopyCall): Promise<void> {
    const { geometry, fetcher } = this.#parts;
    for (const window of windowsOf(geometry)) {
      // Pages that cannot be read were told of before.
      for (const { first, found } of await this.#idsOf(window, () => undefined, call)) {
        const doubtful: number[] = [];
        for (let at = 0; at < found.length / CHUNK_ID_BYTES; at += 1) {
          if (!isZeroId(found, at) && this.#isDoubtful(idAt(found, at), chunkLength(geometry, first + at))) {
            doubtful.push(at);
          }
          if (at % CHUNKS_AT_A_TIME === CHUNKS_AT_A_TIME - 1) await setImmediate();
        }
        await eachInLanes(
          () => doubtful,
          { concurrency: fetcher.groupsAtOnce, signal: call.signal },
          async (at, signal) => {
            const read = fetcher.read(idAt(found, at), chunkLength(geometry, first + at), { signal });
            await read.catch((error: unknown) => this.#lose(error));
          },
        );
      }
    }
  }

  #isDoubtful(id: Uint8Array, rawBytes: number): boolean {
    const { locations, damaged } = this.#parts.fetcher;
    const packs = locations.all(id, rawBytes).map((location) => locations.packOf(location));
    const isDamaged = (pack: number): boolean => damaged.has(locations.packs[pack]?.name ?? '');
    return packs.some(isDamaged) && !packs.some((pack) => this.#sound.has(pack));
  }

  /** The ids of a window; where a page of it is lost, those of the others. */
  async #idsOf(
    { first, count }: Window,
    lose: (error: unknown) => void,
    call: CallOptions,
  ): Promise<readonly { readonly first: number; readonly found: Uint8Array }[]> {
    const { ids } = this.#parts;
    try {
      return [{ first, found: await ids.read(first, count, call) }];
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    const pages: { first: number; found: Uint8Array }[] = [];
    for (let start = first; start < first + count; start += PAGE_CHUNKS) {
      try {
        const inPage = Math.min(PAGE_CHUNKS, first + count - start);
        pages.push({ first: start, found: await ids.read(start, inPage, call) });
      } catch (error) {
        if (!isDamage(error)) throw error;
        lose(error);
      }
    }
    return pages;
  }

  /** Stores what was found of packs; where the bank takes nothing, that is told in the end. */
  async #tellOfDamage(call: CallOptions): Promise<void> {
    const { vault, fetcher } = this.#parts;
    for (const [pack, { message }] of fetcher.damaged) {
      if (this.#told.has(pack)) continue;
      this.#told.add(pack);
      try {
        await putDamage(vault, { pack, reason: message, at: this.#now() }, call);
      } catch (error) {
        call.signal.throwIfAborted();
        this.#untold ??= error;
      }
    }
  }

  #lose(error: unknown): void {
    if (!isDamage(error) || !FafnirError.is(error)) throw error;
    this.#lost ??= error;
    this.#isCorrupt ||= error.code === 'CORRUPT';
  }

  #failure(cause: FafnirError): FafnirError {
    const { what, fetcher } = this.#parts;
    const names = [...fetcher.damaged.keys()];
    if (names.length === 0) return cause;
    const more = names.length > NAMED_PACKS ? ` and ${names.length - NAMED_PACKS} more` : '';
    const code = this.#isCorrupt ? 'CORRUPT' : 'NOT_FOUND';
    const packs = `${names.slice(0, NAMED_PACKS).join(', ')}${more}`;
    return new FafnirError(code, `${what} cannot be restored in full: damaged are packs ${packs}`, { cause });
  }

  #now(): string {
    return new Date(this.#parts.clock.now()).toISOString();
  }
}

const NONE: ReadonlySet<string> = new Set();

/** Of having found a bad one among so many packs, so many of which were read. */
function confidenceOf(packs: number, read: number): number {
  const bad = Math.max(1, Math.ceil(BAD_SHARE * packs));
  let missed = 1;
  for (let at = 0; at < read; at += 1) missed *= Math.max(0, packs - bad - at) / (packs - at);
  return packs === 0 ? 1 : 1 - missed;
}
