import { lstat, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { MISSING, tolerate } from './errors.ts';

const PIECE = 1024 ** 2;
const PIECES_AT_ONCE = 32;
const DAY = 24 * 60 * 60 * 1000;

/** Writes a new file of these parts and makes it durable. The signal is heard between writes. */
export async function writeFile(
  path: string,
  parts: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  await using file = await open(path, 'wx');
  let pending = parts.flatMap(pieces);
  while (pending.length > 0) {
    signal.throwIfAborted();
    const { bytesWritten } = await file.writev(pending.slice(0, PIECES_AT_ONCE));
    pending = without(pending, bytesWritten);
  }
  await file.sync();
}

// A write of bounded size, so that an abort need not wait for all of a large part.
function pieces(part: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(part.length / PIECE) }, (_, index) =>
    part.subarray(index * PIECE, (index + 1) * PIECE),
  );
}

// A write may be shorter than asked for.
function without(pending: readonly Uint8Array[], written: number): Uint8Array[] {
  let left = written;
  let whole = 0;
  for (const piece of pending) {
    if (piece.length > left) break;
    left -= piece.length;
    whole += 1;
  }
  const [cut, ...rest] = pending.slice(whole);
  return cut === undefined ? [] : [cut.subarray(left), ...rest];
}

/**
 * Removes files that no writer has touched for a day: those of processes that died. One of a writer that only
 * sleeps makes its `put` fail and do nothing, which it may repeat.
 */
export async function sweep(folder: string, now: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const facts = await tolerate(MISSING, lstat(path));
    if (facts?.isFile() && now - facts.mtimeMs > DAY) await tolerate(MISSING, unlink(path));
  }
}
