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
import { release } from './release.ts';
import { type DataKey, TAG_BYTES } from './sealing.ts';

// What is stored must be worth the time to decompress it.
const LEAST_GAIN = 0.97;
const PROBE_BYTES = 64 * 1024;
const SMALLEST_OUTPUT = 1_024;
// Of what volumes hold, the longer match makes 3 % less for 6 % more time; the next level 7 % less for 20 %.
const PARAMETERS = {
  [constants.ZSTD_c_compressionLevel]: 1,
  [constants.ZSTD_c_windowLog]: 20,
  [constants.ZSTD_c_minMatch]: 6,
};
// Far below what the format allows: a reader of one chunk may have to read the header.
const MOST_CHUNKS = 4_096;

/** A pack that is ready for the bank. */
export interface SealedPack {
  /** 32 hexadecimal digits. */
  readonly name: string;
  /** The data key that it is sealed under. */
  readonly keyId: string;
  /** Its bytes; the buffer may be longer, and may be used for another pack once the bank has them. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** The entries of its header. */
  readonly entries: Uint8Array<ArrayBuffer>;
}

/** Collects chunks into a pack: compresses where that helps, and seals. */
export class PackBuilder {
  readonly #name: Uint8Array = randomBytes(PACK_NAME_BYTES);
  readonly #key: DataKey;
  readonly #seal: PackSeal;
  readonly #body: Uint8Array<ArrayBuffer>;
  #entries: Uint8Array<ArrayBuffer> = new Uint8Array(64 * ENTRY_BYTES);
  #storedBytes = 0;
  #count = 0;

  /** Bytes that a pack of so many chunks has at most. */
  static bytesFor(chunks: number, rawBytes: number): number {
    return rawBytes + chunks * (TAG_BYTES + ENTRY_BYTES) + TAG_BYTES + TRAILER_BYTES;
  }

  /** The pack is built in the buffer, and has its length at most. */
  constructor(key: DataKey, buffer: ArrayBuffer) {
    this.#key = key;
    this.#seal = new PackSeal(key, this.#name);
    this.#body = new Uint8Array(buffer);
  }

  /** Chunks so far. */
  get count(): number {
    return this.#count;
  }

  /** Whether a chunk of so many bytes can be added; where not, the pack must be finished. */
  hasRoomFor(rawBytes: number): boolean {
    const end = this.#storedBytes + rawBytes + TAG_BYTES;
    const header = (this.#count + 1) * ENTRY_BYTES + TAG_BYTES + TRAILER_BYTES;
    return this.#count < MOST_CHUNKS && end + header <= this.#body.length;
  }

  /** Adds a chunk. The bytes are not kept. */
  add(id: Uint8Array, raw: Uint8Array): void {
    const compressed = compress(raw);
    const flags = compressed === undefined ? 0 : COMPRESSED;
    const chunk = { at: this.#count, id, rawBytes: raw.length, flags };
    const into = this.#body.subarray(this.#storedBytes);
    const stored = this.#seal.sealChunk(chunk, compressed ?? raw, into);
    if (compressed !== undefined) release(compressed, outputFor(raw));
    this.#addEntry(chunk, stored);
    this.#storedBytes += stored;
  }

  /** The pack; nothing is added afterwards. */
  finish(): SealedPack {
    const entries = this.#entries.slice(0, this.#count * ENTRY_BYTES);
    let end = this.#storedBytes;
    for (const part of this.#seal.sealHeader(new PackHeader(entries))) {
      this.#body.set(part, end);
      end += part.length;
    }
    const name = Buffer.from(this.#name).toString('hex');
    return { name, keyId: this.#key.id, body: this.#body.subarray(0, end), entries };
  }

  #addEntry(
    { id, rawBytes, flags }: { readonly id: Uint8Array; readonly rawBytes: number; readonly flags: number },
    storedBytes: number,
  ): void {
    const start = this.#count * ENTRY_BYTES;
    if (start === this.#entries.length) {
      const grown = new Uint8Array(2 * start);
      grown.set(this.#entries);
      this.#entries = grown;
    }
    const view = new DataView(this.#entries.buffer, start + CHUNK_ID_BYTES);
    this.#entries.set(id, start);
    view.setUint32(0, rawBytes, true);
    view.setUint32(4, storedBytes, true);
    view.setUint32(8, flags, true);
    this.#count += 1;
  }
}

function compress(raw: Uint8Array): Uint8Array | undefined {
  if (raw.length > 2 * PROBE_BYTES && !isWorthwhile(raw.subarray(0, PROBE_BYTES))) return undefined;
  const compressed = zstd(raw);
  return compressed.length < raw.length * LEAST_GAIN ? compressed : undefined;
}

function isWorthwhile(sample: Uint8Array): boolean {
  const compressed = zstd(sample);
  const { length } = compressed;
  release(compressed, outputFor(sample));
  return length < sample.length * LEAST_GAIN;
}

// In one allocation, so that it can be given back.
const outputFor = ({ length }: Uint8Array): number => Math.max(length, SMALLEST_OUTPUT);

const zstd = (raw: Uint8Array): Uint8Array =>
  zstdCompressSync(raw, {
    chunkSize: outputFor(raw),
    pledgedSrcSize: raw.length,
    params: PARAMETERS,
  });
