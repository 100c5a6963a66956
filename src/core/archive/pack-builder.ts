import { randomBytes } from 'node:crypto';
import { constants, zstdCompressSync } from 'node:zlib';
import {
  CHUNK_ID_BYTES,
  COMPRESSED,
  ENTRY_BYTES,
  PACK_NAME_BYTES,
  PackHeader,
  PackSeal,
  TRAILER_BYTES,
} from './pack.ts';
import { type DataKey, TAG_BYTES } from './sealing.ts';

// What is stored must be worth the time to decompress it.
const LEAST_GAIN = 0.97;
const PROBE_BYTES = 64 * 1024;
// Not a whole chunk at once: memory that is mapped and given back for each costs more than the compression.
const OUTPUT_BYTES = 128 * 1024;

/** A pack that is ready for the bank. */
export interface BuiltPack {
  /** 32 hexadecimal digits. */
  readonly name: string;
  /** Its bytes, in parts. */
  readonly body: readonly Uint8Array[];
  /** Where its chunks are. */
  readonly header: PackHeader;
}

/** Collects chunks into a pack: compresses where that helps, and seals. */
export class PackBuilder {
  readonly #name: Uint8Array = randomBytes(PACK_NAME_BYTES);
  readonly #seal: PackSeal;
  readonly #chunks: Uint8Array[] = [];
  readonly #entries: Uint8Array[] = [];
  #storedBytes = 0;

  constructor(key: DataKey) {
    this.#seal = new PackSeal(key, this.#name);
  }

  /** Bytes of the pack if it were finished now. */
  get size(): number {
    return this.#storedBytes + this.#entries.length * ENTRY_BYTES + TAG_BYTES + TRAILER_BYTES;
  }

  /** Chunks so far. */
  get count(): number {
    return this.#entries.length;
  }

  /** Adds a chunk. The bytes are not kept. */
  add(id: Uint8Array, raw: Uint8Array): void {
    const compressed = compress(raw);
    const flags = compressed === undefined ? 0 : COMPRESSED;
    const chunk = { at: this.#entries.length, id, rawBytes: raw.length, flags };
    const sealed = this.#seal.sealChunk(chunk, compressed ?? raw);
    const entry = new Uint8Array(ENTRY_BYTES);
    const view = new DataView(entry.buffer);
    entry.set(id);
    view.setUint32(CHUNK_ID_BYTES, raw.length, true);
    view.setUint32(CHUNK_ID_BYTES + 4, sealed.length, true);
    view.setUint32(CHUNK_ID_BYTES + 8, flags, true);
    this.#chunks.push(sealed);
    this.#entries.push(entry);
    this.#storedBytes += sealed.length;
  }

  /** The pack; nothing is added afterwards. */
  finish(): BuiltPack {
    const header = new PackHeader(Buffer.concat(this.#entries));
    const body = [...this.#chunks, ...this.#seal.sealHeader(header)];
    return { name: Buffer.from(this.#name).toString('hex'), body, header };
  }
}

function compress(raw: Uint8Array): Uint8Array | undefined {
  if (raw.length > 2 * PROBE_BYTES && !isWorthwhile(raw.subarray(0, PROBE_BYTES))) return undefined;
  const compressed = zstd(raw);
  return compressed.length < raw.length * LEAST_GAIN ? compressed : undefined;
}

const isWorthwhile = (sample: Uint8Array): boolean => zstd(sample).length < sample.length * LEAST_GAIN;

const zstd = (raw: Uint8Array): Uint8Array =>
  zstdCompressSync(raw, {
    chunkSize: OUTPUT_BYTES,
    pledgedSrcSize: raw.length,
    params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: 20 },
  });
