import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import type { Bank, CallOptions, TenantId } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { bankKeys } from './keys.ts';
import { digestOf, isDamage } from './records.ts';

/** Bytes of a volume in one chunk; the last may be shorter. */
export const CHUNK_SIZE: number = 1024 * 1024;
const LARGEST_STORED = CHUNK_SIZE + 64 * 1024;
const ZEROS = new Uint8Array(CHUNK_SIZE);

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Whether a chunk holds nothing but zeros. */
export const isZero = (bytes: Uint8Array): boolean =>
  Buffer.compare(bytes, bytes.length === CHUNK_SIZE ? ZEROS : ZEROS.subarray(0, bytes.length)) === 0;

/** The chunks of one tenant in one bank: each an object named by the digest of its bytes. */
export class ChunkStore {
  readonly #bank: Bank;
  readonly #tenant: TenantId;

  constructor(bank: Bank, tenant: TenantId) {
    this.#bank = bank;
    this.#tenant = tenant;
  }

  /**
   * Stores a chunk unless it is there already, then reads it back: what another writer stored is trusted no more
   * than what this one did. `known` is the id of a chunk that an older archive proved: if it is this one, it need
   * only be there. Resolves with the chunk's id.
   */
  async put(bytes: Uint8Array, known: string | undefined, call: CallOptions): Promise<string> {
    const id = digestOf(bytes);
    const key = bankKeys.chunk(this.#tenant, id);
    const present = await this.has(id, call);
    if (present && id === known) return id;
    if (!present) {
      const stored = await compress(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
      await this.#bank.put(key, stored, { ifAbsent: true, signal: call.signal });
    }
    await this.get(id, bytes.length, call).catch((error: unknown) => {
      if (!isDamage(error)) throw error;
      throw new FafnirError('NOT_PROVEN', `chunk ${id} in bank ${this.#bank.name} does not read back`, {
        cause: error,
        retryable: false,
        hint: 'Remove the damaged object from the bank, so that it is stored anew.',
      });
    });
    return id;
  }

  /** A chunk's bytes, checked against its id; `NOT_FOUND` or `CORRUPT` where they cannot be had. */
  async get(id: string, length: number, call: CallOptions): Promise<Uint8Array> {
    const key = bankKeys.chunk(this.#tenant, id);
    const stored = await this.#bank.get(key, { limit: LARGEST_STORED }, call).catch((error: unknown) => {
      throw FafnirError.is(error, 'LIMIT_EXCEEDED') ? this.#corrupt(id, error) : error;
    });
    let bytes: Uint8Array;
    try {
      bytes = await decompress(stored, { maxOutputLength: length });
    } catch (error) {
      throw this.#corrupt(id, error);
    }
    if (bytes.length !== length || digestOf(bytes) !== id) throw this.#corrupt(id);
    return bytes;
  }

  /** Whether the chunk is there. */
  async has(id: string, call: CallOptions): Promise<boolean> {
    return (await this.#bank.head(bankKeys.chunk(this.#tenant, id), call)) !== undefined;
  }

  #corrupt(id: string, cause?: unknown): FafnirError {
    return new FafnirError('CORRUPT', `chunk ${id} in bank ${this.#bank.name} is damaged`, { cause });
  }
}
