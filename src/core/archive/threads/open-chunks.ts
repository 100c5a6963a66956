import { createHmac } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { FafnirError } from '../../errors.ts';
import { CHUNK_ID_BYTES, COMPRESSED, PackSeal, type PackedChunk } from '../pack.ts';
import { release } from '../release.ts';
import type { DataKey } from '../sealing.ts';
import type { Done } from './tasks.ts';

const SPARE_OUTPUT = 1_024;
const NUMBERS = 4;

/** What is done with chunks of a pack. Can be sent to a thread. */
export interface OpenInput {
  /** The data key that the pack is sealed under. */
  readonly key: DataKey;
  /** The pack's name: 16 bytes. */
  readonly name: Uint8Array;
  /** What the chunks' ids were made with. */
  readonly idKey: Uint8Array;
  /** The chunks' ids, one after the other. */
  readonly ids: Uint8Array;
  /** For each chunk: its place in the pack, bytes of the chunk, bytes in the pack, flags. */
  readonly numbers: Uint32Array;
  /** The sealed chunks, one after the other; changes hands. */
  readonly sealed: Uint8Array<ArrayBuffer>;
  /** `tags`: each is as it was sealed; `deep`: it is also what its id says; `bytes`: its bytes are wanted, too. */
  readonly want: 'tags' | 'deep' | 'bytes';
}

/** What came of it. */
export interface OpenedChunks {
  /** The chunks' bytes, one after the other; none where they were not wanted. */
  readonly raw: Uint8Array<ArrayBuffer>;
}

/** The numbers of a chunk for {@link OpenInput}. */
export const numbersOf = ({
  at,
  rawBytes,
  storedBytes,
  flags,
}: Omit<PackedChunk, 'id' | 'offset'>): number[] => [at, rawBytes, storedBytes, flags];

/** Opens chunks of one pack; `CORRUPT` where one is not what its id says. Gives out all of them or none. */
export function openChunks(input: OpenInput): Done<OpenedChunks> {
  const { sealed, want } = input;
  const seal = new PackSeal(input.key, input.name);
  const chunks = [...chunksOf(input)];
  const rawBytes = want === 'bytes' ? chunks.reduce((sum, chunk) => sum + chunk.rawBytes, 0) : 0;
  const raw = new Uint8Array(rawBytes);
  let done = 0;
  for (const chunk of chunks) {
    const stored = seal.openChunk(chunk, sealed.subarray(chunk.offset, chunk.offset + chunk.storedBytes));
    if (want === 'tags') {
      release(stored);
      continue;
    }
    const bytes = rawOf(chunk, stored, seal.what);
    const id = createHmac('sha256', input.idKey).update(bytes).digest();
    if (!id.equals(chunk.id)) throw corrupt(seal.what, 'has a chunk that is not what its id says');
    if (want === 'bytes') raw.set(bytes, done);
    done += bytes.length;
    release(stored);
    release(bytes, outputFor(chunk));
  }
  release(sealed);
  return { output: { raw }, transfer: [raw.buffer] };
}

function* chunksOf({ ids, numbers }: OpenInput): Generator<PackedChunk> {
  let offset = 0;
  for (let chunk = 0; chunk < numbers.length / NUMBERS; chunk += 1) {
    const [at = 0, rawBytes = 0, storedBytes = 0, flags = 0] = numbers.subarray(
      chunk * NUMBERS,
      (chunk + 1) * NUMBERS,
    );
    const id = ids.subarray(chunk * CHUNK_ID_BYTES, (chunk + 1) * CHUNK_ID_BYTES);
    yield { at, id, offset, storedBytes, rawBytes, flags };
    offset += storedBytes;
  }
}

function rawOf({ flags, rawBytes }: PackedChunk, stored: Uint8Array, what: string): Uint8Array {
  if (flags !== 0 && flags !== COMPRESSED) throw corrupt(what, `has a chunk with flags ${flags}`);
  const raw = flags === COMPRESSED ? decompress(stored, rawBytes, what) : stored;
  if (raw.length !== rawBytes) throw corrupt(what, 'has a chunk of the wrong length');
  return raw;
}

function decompress(stored: Uint8Array, rawBytes: number, what: string): Uint8Array {
  try {
    return zstdDecompressSync(stored, { chunkSize: outputFor({ rawBytes }), maxOutputLength: rawBytes });
  } catch (error) {
    throw corrupt(what, 'has a chunk that does not decompress', error);
  }
}

// In one allocation, so that it can be given back: where there is room left, no other is begun.
const outputFor = ({ rawBytes }: Pick<PackedChunk, 'rawBytes'>): number => rawBytes + SPARE_OUTPUT;

const corrupt = (what: string, why: string, cause?: unknown): FafnirError =>
  new FafnirError('CORRUPT', `${what} ${why}`, { cause });
