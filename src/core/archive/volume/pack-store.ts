import type { CallOptions } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { bankKeys } from '../keys.ts';
import { ENTRY_BYTES, PackSeal, parseTrailer, TRAILER_BYTES } from '../pack.ts';
import { isDamage } from '../records.ts';
import { TAG_BYTES } from '../sealing.ts';
import type { Vault } from '../vault.ts';
import type { IndexedPack } from './index-store.ts';
import { assertEntries, MOST_CHUNKS_IN_PACK, packSize } from './pack-entries.ts';

// Enough for the header of a thousand chunks, so that most packs are asked once.
const TAIL_BYTES = 48 * 1024;

/** The name of a pack: 32 hexadecimal digits. */
export const isPackName = (name: string): boolean => /^[0-9a-f]{32}$/.test(name);

/** The packs of a tenant in a bank. Errors of damage name the pack and the bank. */
export class PackStore {
  readonly #vault: Vault;

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** These bytes of a pack, in memory of their own; `CORRUPT` where it is shorter. */
  async read(name: string, offset: number, length: number, call: CallOptions): Promise<Uint8Array> {
    const key = bankKeys.pack(this.#vault.tenant, name);
    try {
      const bytes = await this.#vault.bank.get(key, { offset, length }, call);
      if (bytes.length === length) return bytes;
    } catch (error) {
      if (FafnirError.is(error, 'OUT_OF_RANGE')) throw this.corrupt(name, 'is shorter than it was', error);
      throw isDamage(error) ? this.damaged(name, error) : error;
    }
    throw this.corrupt(name, 'was not read in full');
  }

  /** A whole pack of just this size; `CORRUPT` where it has another. */
  async readWhole(name: string, size: number, call: CallOptions): Promise<Uint8Array> {
    const key = bankKeys.pack(this.#vault.tenant, name);
    try {
      const bytes = await this.#vault.bank.get(key, { limit: size }, call);
      if (bytes.length === size) return bytes;
    } catch (error) {
      if (FafnirError.is(error, 'LIMIT_EXCEEDED')) throw this.corrupt(name, 'is longer than it was', error);
      throw isDamage(error) ? this.damaged(name, error) : error;
    }
    throw this.corrupt(name, 'is shorter than it was');
  }

  /** Bytes of a pack; `NOT_FOUND` where it is gone. */
  async size(name: string, call: CallOptions): Promise<number> {
    const object = await this.#vault.bank.head(bankKeys.pack(this.#vault.tenant, name), call);
    if (object !== undefined) return object.size;
    throw new FafnirError('NOT_FOUND', `pack ${name} is not in bank ${this.#vault.bank.name}`);
  }

  /** What a pack of this size says of itself; under this key where it is known. */
  async header(name: string, size: number, call: CallOptions, keyId?: string): Promise<IndexedPack> {
    const length = Math.min(size, TAIL_BYTES);
    const tail = await this.read(name, size - length, length, call);
    return this.openHeader({ name, size, keyId }, tail, call);
  }

  /** The same, of a pack whose last bytes were read. */
  async openHeader(
    { name, size, keyId: known }: Pick<IndexedPack, 'name'> & { size: number; keyId: string | undefined },
    tail: Uint8Array,
    call: CallOptions,
  ): Promise<IndexedPack> {
    const trailer = this.#checked(name, () => parseTrailer(`pack ${name}`, tail.subarray(-TRAILER_BYTES)));
    const { count, headerBytes, keyId } = trailer;
    const start = size - TRAILER_BYTES - headerBytes;
    const isPossible = count <= MOST_CHUNKS_IN_PACK && headerBytes === count * ENTRY_BYTES + TAG_BYTES;
    if (!isPossible || start < 0) throw this.corrupt(name, 'has a header of the wrong length');
    if (known !== undefined && keyId !== known) throw this.corrupt(name, 'names another key than it did');
    const inTail = start - (size - tail.length);
    const sealed =
      inTail >= 0
        ? tail.subarray(inTail, inTail + headerBytes)
        : await this.read(name, start, headerBytes, call);
    const key = await this.#vault.key(keyId, call);
    return this.#checked(name, () => {
      const header = new PackSeal(key, Buffer.from(name, 'hex')).openHeader(trailer, sealed);
      const stored = assertEntries(`pack ${name}`, header);
      if (packSize(header.count, stored) !== size)
        throw this.corrupt(name, 'has another length than it says');
      return { name, keyId, header };
    });
  }

  /** An error of damage, naming the pack and the bank. */
  damaged(name: string, cause: unknown): FafnirError {
    if (!FafnirError.is(cause, 'NOT_FOUND')) return this.corrupt(name, 'is damaged', cause);
    return new FafnirError('NOT_FOUND', `pack ${name} is not in bank ${this.#vault.bank.name}`, { cause });
  }

  /** A pack that is not as it was stored. */
  corrupt(name: string, what: string, cause?: unknown): FafnirError {
    return new FafnirError('CORRUPT', `pack ${name} in bank ${this.#vault.bank.name} ${what}`, { cause });
  }

  #checked<Result>(name: string, work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw FafnirError.is(error, 'CORRUPT') ? this.damaged(name, error) : error;
    }
  }
}
