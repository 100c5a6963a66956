import { readFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import type { Bank } from '../../src/core/contracts/index.ts';
import type { Range } from './change.ts';
import { type Lane, openEngine, type Reference } from './engine.ts';
import type { S3Place } from './s3/bank.ts';

// One operation in a process of its own, so that its start and its memory count as those of others do:
// node child.ts TASK, where the task is JSON. Prints an answer as JSON.

const NANOSECONDS = 1_000_000;
const RESOLUTION = 10;

/** What a process of this file is asked to do. */
export type Task = {
  /** The bank's folder, or where it is on S3. */
  readonly bank: string | S3Place;
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
      readonly lane?: Lane | undefined;
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
  /** Requests that stored an object; counted on S3 alone. */
  readonly puts: number;
};

async function perform(task: Task, onPut: () => void): Promise<Reference> {
  await using engine = openEngine(await openBank(task.bank, onPut), task.keys);
  switch (task.operation) {
    case 'archive': {
      const { volume, token, base, chunkSize, lane } = task;
      const changed = task.changed === undefined ? 'unknown' : await readRanges(task.changed);
      return await engine.archive(volume, { token, changed, base, chunkSize, lane });
    }
    case 'verify':
      await engine.verify(task.reference, task.level);
      return task.reference;
    case 'restore':
      await engine.restore(task.reference, task.path);
      return task.reference;
  }
}

async function openBank(bank: Task['bank'], onPut: () => void): Promise<Bank> {
  if (typeof bank === 'string') return filesystemBank({ root: bank, name: 'bench' });
  // Loaded only here: a bank in a folder does not pay for it.
  const { openS3Bank } = await import('./s3/bank.ts');
  return openS3Bank(bank, onPut);
}

async function readRanges(path: string): Promise<readonly Range[]> {
  return JSON.parse(await readFile(path, 'utf8'));
}

const task: Task = JSON.parse(process.argv[2] ?? '');
const delays = monitorEventLoopDelay({ resolution: RESOLUTION });
delays.enable();
let puts = 0;
const reference = await perform(task, () => {
  puts += 1;
});
delays.disable();
// A delay is counted from one look to the next, so that the time between looks is in it.
const delay = Math.max(0, delays.percentile(99) / NANOSECONDS - RESOLUTION);
const answer: Answer = { reference, delay, puts };
console.log(JSON.stringify(answer));
