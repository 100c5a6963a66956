import type { FileHandle } from 'node:fs/promises';
import type { CallOptions, Extent } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/** A run of a file. Runs of a file cover it in order. */
export type Run = {
  /** Bytes from the start. */
  readonly offset: number;
  /** At least 1. */
  readonly length: number;
  /** `zero` is a promise. */
  readonly kind: 'data' | 'zero';
  /** Where the run begins on the device; only where a file with the same place has the same bytes. */
  readonly shared?: number;
};

/** Tells the runs of an open file of `size` bytes. */
export type RunReader = (file: FileHandle, size: number, call: CallOptions) => AsyncIterable<Run>;

/** Completes what a map tells: fills gaps with zeros, cuts at the size; disorder is `WRONG_ANSWER`. */
export async function* coverFile(
  mapped: AsyncIterable<Run>,
  size: number,
): AsyncGenerator<Run, void, undefined> {
  let position = 0;
  for await (const run of mapped) {
    if (run.length < 1 || run.offset < position) {
      throw new FafnirError('WRONG_ANSWER', `a map of extents is out of order at ${run.offset}`);
    }
    // File systems allocate past the end of a file.
    if (run.offset >= size) break;
    if (run.offset > position) yield { offset: position, length: run.offset - position, kind: 'zero' };
    const length = Math.min(run.length, size - run.offset);
    yield { ...run, length };
    position = run.offset + length;
  }
  if (position < size) yield { offset: position, length: size - position, kind: 'zero' };
}

/** What changed between two snapshots: walks both lists of runs in step and holds one run of each. */
export async function* compareRuns(
  runs: AsyncIterable<Run>,
  since: AsyncIterable<Run>,
): AsyncGenerator<Extent, void, undefined> {
  const older = since[Symbol.asyncIterator]();
  try {
    let base = await nextRun(older);
    for await (const run of runs) {
      const end = run.offset + run.length;
      for (let offset = run.offset; offset < end; ) {
        while (base !== undefined && base.offset + base.length <= offset) base = await nextRun(older);
        const until = base === undefined ? end : Math.min(end, base.offset + base.length);
        const kind = base !== undefined && isSame(run, base) ? 'same' : run.kind;
        yield { offset, length: until - offset, kind };
        offset = until;
      }
    }
  } finally {
    await older.return?.();
  }
}

/** Joins neighbours of one kind. */
export async function* joinExtents(extents: AsyncIterable<Extent>): AsyncGenerator<Extent, void, undefined> {
  let last: Extent | undefined;
  for await (const { offset, length, kind } of extents) {
    if (last?.kind === kind) {
      last = { ...last, length: last.length + length };
    } else {
      if (last !== undefined) yield last;
      last = { offset, length, kind };
    }
  }
  if (last !== undefined) yield last;
}

async function nextRun(runs: AsyncIterator<Run>): Promise<Run | undefined> {
  const step = await runs.next();
  return step.done === true ? undefined : step.value;
}

/** True where both read as zeros, or both have the same place on the device at every offset they share. */
function isSame(run: Run, base: Run): boolean {
  if (run.kind === 'zero') return base.kind === 'zero';
  if (run.shared === undefined || base.shared === undefined) return false;
  return run.shared - run.offset === base.shared - base.offset;
}
