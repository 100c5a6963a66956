import { FafnirError } from '../errors.ts';
import {
  assertCommitment,
  COMMITMENT_BYTES,
  counterNonce,
  type DataKey,
  deriveSubkey,
  open,
  seal,
  sealInto,
  type Subkey,
  TAG_BYTES,
} from './sealing.ts';

/** Bytes of a pack's name. */
export const PACK_NAME_BYTES = 16;
/** Bytes of a chunk's id. */
export const CHUNK_ID_BYTES = 32;
/** Bytes of one entry in a pack's header: the id, its length raw and stored, and how it is stored. */
export const ENTRY_BYTES: number = CHUNK_ID_BYTES + 12;
/** Stored compressed with zstd. */
export const COMPRESSED = 1;

const MAGIC = new TextEncoder().encode('fafpack1');
const KEY_ID_BYTES = 8;
/** Bytes at the end of a pack that say how to read its header. */
export const TRAILER_BYTES: number = 8 + KEY_ID_BYTES + COMMITMENT_BYTES + MAGIC.length;
const HEADER_COUNTER = 0xffffffff;

/** What the end of a pack says. */
export interface PackTrailer {
  /** Chunks in the pack. */
  readonly count: number;
  /** Bytes of the sealed header, which lies before the trailer. */
  readonly headerBytes: number;
  /** The data key that the pack was sealed under. */
  readonly keyId: string;
  /** The pack's own commitment. */
  readonly commitment: Uint8Array;
}

/** A chunk in a pack. */
export interface PackedChunk {
  /** Its place among the chunks. */
  readonly at: number;
  /** 32 bytes. */
  readonly id: Uint8Array;
  /** Bytes from the start of the pack. */
  readonly offset: number;
  /** Bytes in the pack. */
  readonly storedBytes: number;
  /** Bytes of the chunk itself. */
  readonly rawBytes: number;
  /** How it is stored: {@link COMPRESSED} or 0. */
  readonly flags: number;
}

/** The entries of a pack, as they are stored: nothing is kept for a chunk but these bytes. */
export class PackHeader {
  /** Entries one after the other. */
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Chunks in the pack. */
  get count(): number {
    return this.bytes.length / ENTRY_BYTES;
  }

  /** The chunks in order. */
  *chunks(): Generator<PackedChunk> {
    let offset = 0;
    for (let at = 0; at < this.count; at += 1) {
      const start = at * ENTRY_BYTES;
      const storedBytes = this.#view.getUint32(start + CHUNK_ID_BYTES + 4, true);
      yield {
        at,
        id: this.bytes.subarray(start, start + CHUNK_ID_BYTES),
        offset,
        storedBytes,
        rawBytes: this.#view.getUint32(start + CHUNK_ID_BYTES, true),
        flags: this.#view.getUint32(start + CHUNK_ID_BYTES + 8, true),
      };
      offset += storedBytes;
    }
  }
}

/** Seals and opens the parts of one pack. */
export class PackSeal {
  readonly #key: DataKey;
  readonly #name: Uint8Array;
  readonly #subkey: Subkey;

  /** No other pack has the name. */
  constructor(key: DataKey, name: Uint8Array) {
    this.#key = key;
    this.#name = name;
    this.#subkey = deriveSubkey(key, name, 'pack');
  }

  /** Seals the chunk that comes at this place; its entry has no stored length yet. Returns its length in the pack. */
  sealChunk(
    chunk: Omit<PackedChunk, 'offset' | 'storedBytes'>,
    stored: Uint8Array,
    into: Uint8Array,
  ): number {
    return sealInto(into, this.#subkey.key, counterNonce(chunk.at), this.#boundTo(chunk), stored);
  }

  /** Opens a chunk, still compressed where it is stored so. */
  openChunk(chunk: Omit<PackedChunk, 'offset'>, sealed: Uint8Array): Uint8Array {
    if (sealed.length !== chunk.storedBytes) throw this.#corrupt('has a chunk of the wrong length');
    return open(this.what, this.#subkey.key, counterNonce(chunk.at), this.#boundTo(chunk), sealed);
  }

  /** The sealed header and the trailer. */
  sealHeader({ bytes, count }: PackHeader): readonly Uint8Array[] {
    const sealed = seal(this.#subkey.key, counterNonce(HEADER_COUNTER), this.#boundToHeader(count), bytes);
    const lengths = new DataView(new ArrayBuffer(8));
    lengths.setUint32(0, count, true);
    lengths.setUint32(4, sealed.length, true);
    const keyId = Buffer.from(this.#key.id, 'hex');
    return [sealed, new Uint8Array(lengths.buffer), keyId, this.#subkey.commitment, MAGIC];
  }

  /** Opens the header that a trailer tells of; `CORRUPT` where they do not fit each other. */
  openHeader({ count, headerBytes, commitment }: PackTrailer, sealed: Uint8Array): PackHeader {
    assertCommitment(this.what, this.#subkey, commitment);
    if (sealed.length !== headerBytes || headerBytes !== count * ENTRY_BYTES + TAG_BYTES) {
      throw this.#corrupt('has a header of the wrong length');
    }
    const nonce = counterNonce(HEADER_COUNTER);
    return new PackHeader(open(this.what, this.#subkey.key, nonce, this.#boundToHeader(count), sealed));
  }

  /** For messages. */
  get what(): string {
    return `pack ${Buffer.from(this.#name).toString('hex')}`;
  }

  #corrupt(why: string): FafnirError {
    return new FafnirError('CORRUPT', `${this.what} ${why}`);
  }

  // So that no chunk passes for another, in another place, pack or repository, or read in another way.
  #boundTo({ at, id, rawBytes, flags }: Pick<PackedChunk, 'at' | 'id' | 'rawBytes' | 'flags'>): Uint8Array {
    const numbers = new DataView(new ArrayBuffer(12));
    numbers.setUint32(0, at, true);
    numbers.setUint32(4, rawBytes, true);
    numbers.setUint32(8, flags, true);
    return Buffer.concat([this.#key.repository, this.#name, id, new Uint8Array(numbers.buffer)]);
  }

  #boundToHeader(count: number): Uint8Array {
    const number = new DataView(new ArrayBuffer(4));
    number.setUint32(0, count, true);
    return Buffer.concat([this.#key.repository, this.#name, new Uint8Array(number.buffer)]);
  }
}

/** Reads the last bytes of a pack; `CORRUPT` where they are none. */
export function parseTrailer(what: string, bytes: Uint8Array): PackTrailer {
  const isTrailer =
    bytes.length === TRAILER_BYTES &&
    MAGIC.every((byte, at) => bytes[TRAILER_BYTES - MAGIC.length + at] === byte);
  if (!isTrailer) throw new FafnirError('CORRUPT', `${what} does not end like a pack`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const commitmentStart = 8 + KEY_ID_BYTES;
  return {
    count: view.getUint32(0, true),
    headerBytes: view.getUint32(4, true),
    keyId: Buffer.from(bytes.subarray(8, commitmentStart)).toString('hex'),
    commitment: bytes.subarray(commitmentStart, commitmentStart + COMMITMENT_BYTES),
  };
}
