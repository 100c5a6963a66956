import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  ArraySnapshot,
  CallOptions,
  Extent,
  OpenOptions,
  StorageArray,
  VolumeSource,
} from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';

const PIECE = 1024 * 1024;

/**
 * An array that can read a snapshot only from a copy of it, which is a file in the folder for as long as somebody reads.
 * A file is called `<who>.<random>`: `who` is the reader's token or, without one, a digest of what is read.
 */
export function readingByCopies(array: StorageArray, folder: string): StorageArray {
  /** What this process reads. All else of the same reader was left by a dead one. */
  const own = new Set<string>();

  async function removeOf(who: string, stays: (file: string) => boolean): Promise<string[]> {
    await mkdir(folder, { recursive: true });
    const files = await readdir(folder);
    const gone = files.filter((file) => file.startsWith(`${who}.`) && !stays(file));
    for (const file of gone) await rm(join(folder, file), { force: true });
    return gone;
  }
  const removeLeft = (who: string): Promise<string[]> => removeOf(who, (file) => own.has(file));

  async function openCopy(
    snapshot: ArraySnapshot,
    options: OpenOptions,
    call: CallOptions,
  ): Promise<VolumeSource> {
    const { token, since } = options;
    const who = token === undefined ? digestOf(snapshot) : checked(token);
    const source = await array.open(snapshot, { ...(since && { since }) }, call);
    await using _ = source;
    if (source.access !== 'random') throw new FafnirError('UNSUPPORTED', `${array.name} is read as a stream`);
    await removeLeft(who);
    const file = `${who}.${randomUUID()}`;
    const path = join(folder, file);
    own.add(file);
    const close = async (): Promise<void> => {
      await rm(path, { force: true });
      own.delete(file);
    };
    try {
      return sourceOf(path, source.size, await copyTo(path, source, call), close);
    } catch (error) {
      await close();
      throw error;
    }
  }

  return {
    ...array,
    open: openCopy,
    async remove(snapshot, call) {
      await array.remove(snapshot, call);
      await removeLeft(digestOf(snapshot));
    },
    async endReading(token, { signal }) {
      signal.throwIfAborted();
      return await removeOf(checked(token), () => false);
    },
  };
}

const digestOf = ({ name, volume }: ArraySnapshot): string =>
  // Begins with what no token has.
  `_${createHash('sha256')
    .update(JSON.stringify([name, volume.id]))
    .digest('hex')}`;

function checked(token: string): string {
  if (!/^[a-z0-9-]{1,64}$/u.test(token)) throw new FafnirError('INVALID_ID', 'no token of a reader');
  return token;
}

async function copyTo(path: string, source: VolumeSource, call: CallOptions): Promise<Extent[]> {
  await using handle = await open(path, 'wx');
  await handle.truncate(source.size);
  const extents: Extent[] = [];
  for await (const extent of source.extents(call)) {
    extents.push(extent);
    if (extent.kind === 'zero') continue;
    const end = extent.offset + extent.length;
    for (let offset = extent.offset; offset < end; offset += PIECE) {
      call.signal.throwIfAborted();
      const piece = new Uint8Array(Math.min(PIECE, end - offset));
      await source.readInto(offset, piece, call);
      await handle.write(piece, 0, piece.length, offset);
    }
  }
  return extents;
}

function sourceOf(
  path: string,
  size: number,
  extents: readonly Extent[],
  close: () => Promise<void>,
): VolumeSource {
  return {
    access: 'random',
    size,
    async *extents({ signal }) {
      signal.throwIfAborted();
      yield* extents;
    },
    async readInto(offset, into, { signal }) {
      signal.throwIfAborted();
      if (offset < 0 || offset + into.length > size) {
        throw new FafnirError('OUT_OF_RANGE', `${offset} + ${into.length} is beyond ${size}`);
      }
      // Opened each time, so that whoever has lost the copy knows.
      await using file = await open(path).catch((cause: unknown) => {
        throw new FafnirError('UNAVAILABLE', `${path} is gone`, { cause });
      });
      const { bytesRead } = await file.read(into, 0, into.length, offset);
      if (bytesRead < into.length) throw new FafnirError('UNAVAILABLE', `${path} is short`);
    },
    threadSource: { kind: 'file', path },
    close,
    [Symbol.asyncDispose]: close,
  };
}
