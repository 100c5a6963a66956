import { createHash } from 'node:crypto';
import type { CallOptions, VolumeSource } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { OpenFile } from '../../core/open-file.ts';

const PIECE = 4 * 1024 * 1024;
/** Bytes: shorter runs of zeros are not worth a hole. */
const GRAIN = 64 * 1024;
const ZEROS = Buffer.alloc(PIECE);

/** Copies a volume into an empty file of its size, leaving holes for zeros. Resolves with the digest of its data. */
export async function copySparse(source: VolumeSource, file: OpenFile, call: CallOptions): Promise<string> {
  const hash = createHash('sha256');
  const buffer = new Uint8Array(PIECE);
  for await (const { offset, length, kind } of pieces(source, call)) {
    if (kind === 'zero') continue;
    const bytes = buffer.subarray(0, length);
    await source.readInto(offset, bytes, call);
    hash.update(bytes);
    for (let at = 0; at < length; at += GRAIN) {
      const grain = bytes.subarray(at, Math.min(length, at + GRAIN));
      if (!isZero(grain)) await file.write(offset + at, grain, call);
    }
  }
  return hash.digest('hex');
}

/** Reads the file back; `NOT_PROVEN` where its data has another digest, or what was zeros is something else. */
export async function proveCopy(
  source: VolumeSource,
  file: OpenFile,
  digest: string,
  call: CallOptions,
): Promise<void> {
  const hash = createHash('sha256');
  const buffer = new Uint8Array(PIECE);
  let zeros = true;
  for await (const { offset, length, kind } of pieces(source, call)) {
    const bytes = buffer.subarray(0, length);
    await file.read(offset, bytes, call);
    if (kind === 'zero') zeros &&= isZero(bytes);
    else hash.update(bytes);
  }
  if (!zeros || hash.digest('hex') !== digest) {
    throw new FafnirError('NOT_PROVEN', `${file.name} does not hold what was written to it`);
  }
}

async function* pieces(
  source: VolumeSource,
  call: CallOptions,
): AsyncGenerator<{ offset: number; length: number; kind: 'data' | 'zero' | 'same' }> {
  for await (const { offset, length, kind } of source.extents(call)) {
    for (let done = 0; done < length; done += PIECE) {
      call.signal.throwIfAborted();
      yield { offset: offset + done, length: Math.min(PIECE, length - done), kind };
    }
  }
}

const isZero = (bytes: Uint8Array): boolean => ZEROS.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
