import { constants } from 'node:fs';
import { copyFile, type FileHandle, open } from 'node:fs/promises';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { errnoOf } from './file-errors.ts';
import type { RunReader } from './runs.ts';
import { isZero, ZERO_GRAIN } from './zeros.ts';

const BLOCK = 1024 * 1024;
/** What file systems answer that cannot clone. */
const CANNOT_CLONE = ['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENOTTY', 'EINVAL', 'EXDEV'];

/** Makes a new file with the bytes of an open one, durable when it resolves (but for its name). */
export type FileCopier = (from: FileHandle, to: string, call: CallOptions) => Promise<void>;

/** Shares the blocks of the file system; takes an instant of the file. */
export const cloneFile: FileCopier = async (from, to, { signal }) => {
  signal.throwIfAborted();
  // By descriptor: the path may name another file by now.
  await copyFile(`/dev/fd/${from.fd}`, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
  await using file = await open(to, constants.O_RDONLY | constants.O_NOFOLLOW);
  await file.sync();
};

/** Whether the file system can clone: tries, into an open file of no other use. */
export async function canClone(from: FileHandle, into: FileHandle): Promise<boolean> {
  try {
    await copyFile(`/dev/fd/${from.fd}`, `/dev/fd/${into.fd}`, constants.COPYFILE_FICLONE_FORCE);
    await into.sync();
    return true;
  } catch (error) {
    if (CANNOT_CLONE.includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** Copies what the runs call data and is not zero; the rest becomes holes. */
export function sparseCopier(runs: RunReader): FileCopier {
  return async (from, to, call) => {
    call.signal.throwIfAborted();
    const { size, mode } = await from.stat();
    await using file = await open(to, 'wx', mode);
    await file.truncate(size);
    const buffer = new Uint8Array(Math.min(BLOCK, size));
    for await (const { offset, length, kind } of runs(from, size, call)) {
      if (kind === 'data') await copyRun(from, file, { offset, length, buffer }, call);
    }
    await file.sync();
  };
}

async function copyRun(
  from: FileHandle,
  to: FileHandle,
  run: { readonly offset: number; readonly length: number; readonly buffer: Uint8Array },
  { signal }: CallOptions,
): Promise<void> {
  const end = run.offset + run.length;
  for (let offset = run.offset; offset < end; ) {
    signal.throwIfAborted();
    const { bytesRead } = await from.read(run.buffer, 0, Math.min(BLOCK, end - offset), offset);
    if (bytesRead === 0) throw new FafnirError('UNAVAILABLE', 'a volume became shorter while it was copied');
    for (let at = 0; at < bytesRead; at += ZERO_GRAIN) {
      const grain = run.buffer.subarray(at, Math.min(bytesRead, at + ZERO_GRAIN));
      if (!isZero(grain)) await writeAll(to, grain, offset + at);
    }
    offset += bytesRead;
  }
}

async function writeAll(file: FileHandle, data: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await file.write(data, done, data.length - done, offset + done);
    done += bytesWritten;
  }
}
