import { readFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Range } from './change.ts';
import { openEngine, type Reference } from './engine.ts';

// One operation in a process of its own, so that its start and its memory count as those of others do:
// node child.ts TASK, where the task is JSON. Prints an answer as JSON.

const NANOSECONDS = 1_000_000;
const RESOLUTION = 10;

/** What a process of this file is asked to do. */
export type Task = {
  /** The bank's folder. */
  readonly bank: string;
  /** The key file. */
  readonly keys: string;
} & (
  | {
      readonly operation: 'archive';
      readonly volume: string;
      readonly token: string;
      /** A file with the ranges as JSON; without it nothing is known. */
      readonly changed?: string | undefined;
      readonly base?: Reference | undefined;
      readonly chunkSize?: number | undefined;
    }
  | { readonly operation: 'verify'; readonly reference: Reference; readonly level: 'tags' | 'deep' }
  | { readonly operation: 'restore'; readonly reference: Reference; readonly path: string }
);

/** What it answers. */
export type Answer = {
  /** The archive. */
  readonly reference: Reference;
  /** How late a timer of the host's thread was, in milliseconds: 99 of 100 were less. */
  readonly delay: number;
};

async function perform(task: Task): Promise<Reference> {
  await using engine = openEngine(task.bank, task.keys);
  switch (task.operation) {
    case 'archive': {
      const { volume, token, base, chunkSize } = task;
      const changed = task.changed === undefined ? 'unknown' : await readRanges(task.changed);
      return await engine.archive(volume, { token, changed, base, chunkSize });
    }
    case 'verify':
      await engine.verify(task.reference, task.level);
      return task.reference;
    case 'restore':
      await engine.restore(task.reference, task.path);
      return task.reference;
  }
}

async function readRanges(path: string): Promise<readonly Range[]> {
  return JSON.parse(await readFile(path, 'utf8'));
}

const task: Task = JSON.parse(process.argv[2] ?? '');
const delays = monitorEventLoopDelay({ resolution: RESOLUTION });
delays.enable();
const reference = await perform(task);
delays.disable();
// A delay is counted from one look to the next, so that the time between looks is in it.
const delay = Math.max(0, delays.percentile(99) / NANOSECONDS - RESOLUTION);
const answer: Answer = { reference, delay };
console.log(JSON.stringify(answer));
