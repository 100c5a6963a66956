import type { CallOptions } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { bankKeys } from '../keys.ts';
import { PackHeader } from '../pack.ts';
import type { SealedPack } from '../pack-builder.ts';
import { isDamage } from '../records.ts';
import { mapSettled } from '../../map-settled.ts';
import { release } from '../release.ts';
import type { Vault } from '../vault.ts';
import { type IndexedPack, putIndex, removeIndexes } from './index-store.ts';
import { Permits } from './lanes.ts';
import { PackStore } from './pack-store.ts';

// Packs between two indexes of an archive that is under way: what is lost of its work when it is killed.
const PACKS_IN_DRAFT = 16;
const READ_BACK_BYTES = 2 * 1024 * 1024;
// Of all packs: a bank far away answers several as soon as one.
const READ_BACK_AT_ONCE = 4;
/** Chunks in one index, about, so that nobody has to hold more in memory: 11 MiB. */
export const CHUNKS_IN_INDEX: number = 2 ** 18;

/**
 * Stores packs, reads each back, and then tells of it in an index. Indexes are written now and then, for an archive that
 * is killed goes on from them, and merged in the end.
 */
export class PackWriter {
  readonly #vault: Vault;
  readonly #token: string;
  readonly #packs: PackStore;
  readonly #reads = new Permits(READ_BACK_AT_ONCE);
  /** Packs that no index tells of. */
  #fresh: IndexedPack[] = [];
  /** Packs of the drafts, and the drafts. */
  #drafted: IndexedPack[] = [];
  #drafts: string[] = [];
  readonly #indexes: string[] = [];

  constructor(vault: Vault, token: string) {
    this.#vault = vault;
    this.#token = token;
    this.#packs = new PackStore(vault);
  }

  /** The names of the indexes that tell of its packs, once it is finished. */
  get indexes(): readonly string[] {
    return this.#indexes;
  }

  /** Stores a pack; when it resolves, the bank gave back just these bytes. */
  async store({ name, keyId, body, entries }: SealedPack, call: CallOptions): Promise<void> {
    await this.#vault.store(bankKeys.pack(this.#vault.tenant, name), body, call);
    await this.#readBack(name, body, call);
    this.#fresh.push({ name, keyId, header: new PackHeader(entries) });
    if (this.#fresh.length >= PACKS_IN_DRAFT) await this.#draft(call);
  }

  /** Tells of every pack that was stored. */
  async finish(call: CallOptions): Promise<void> {
    const packs = [...this.#drafted, ...this.#fresh];
    const drafts = this.#drafts;
    this.#drafted = [];
    this.#drafts = [];
    this.#fresh = [];
    if (packs.length === 0) return;
    this.#indexes.push(await putIndex(this.#vault, this.#token, packs, call));
    if (drafts.length === 0) return;
    // They do no harm, and a bank may let nobody remove anything.
    await removeIndexes(this.#vault, drafts, call).catch(() => call.signal.throwIfAborted());
  }

  /** In parts, for so much memory is only used for a moment. */
  async #readBack(name: string, body: Uint8Array, call: CallOptions): Promise<void> {
    const { bank, tenant } = this.#vault;
    const key = bankKeys.pack(tenant, name);
    const shown = <Result>(read: () => Promise<Result>): Promise<Result> =>
      this.#vault.shown(read, call).catch((error: unknown) => {
        throw isDamage(error) || FafnirError.is(error, 'OUT_OF_RANGE') ? this.#unproven(name, error) : error;
      });
    if ((await shown(() => this.#packs.size(name, call))) !== body.length) throw this.#unproven(name);
    const parts = Array.from({ length: Math.ceil(body.length / READ_BACK_BYTES) }, (_, part) => part);
    await mapSettled(
      parts,
      async (part, _at, signal) => {
        const offset = part * READ_BACK_BYTES;
        const length = Math.min(READ_BACK_BYTES, body.length - offset);
        using _permit = await this.#reads.hold(signal);
        const read = await shown(() => bank.get(key, { offset, length }, { signal }));
        const isSame = Buffer.compare(read, body.subarray(offset, offset + length)) === 0;
        release(read);
        if (!isSame) throw this.#unproven(name);
      },
      { concurrency: parts.length, signal: call.signal },
    );
  }

  async #draft(call: CallOptions): Promise<void> {
    const packs = this.#fresh;
    this.#fresh = [];
    // It goes when the archive is finished.
    const draft = await putIndex(this.#vault.lockedUntil(null), this.#token, packs, call);
    this.#drafts.push(draft);
    this.#drafted.push(...packs);
    if (chunksIn(this.#drafted) >= CHUNKS_IN_INDEX) await this.finish(call);
  }

  #unproven(name: string, cause?: unknown): FafnirError {
    const message = `pack ${name} in bank ${this.#vault.bank.name} does not read back as it was written`;
    return new FafnirError('NOT_PROVEN', message, { cause });
  }
}

/** Chunks in these packs. */
export const chunksIn = (packs: readonly IndexedPack[]): number =>
  packs.reduce((sum, { header }) => sum + header.count, 0);
