import { writeSync } from 'node:fs';
import type { JobId, JobState } from '../../src/index.ts';

/** A job that a recovering process found without an end. */
export interface FoundJob {
  /** The job. */
  readonly id: JobId;
  /** Whether its end was asked for. */
  readonly cancelRequested: boolean;
  /** Whether its success was in its journal, which no cancellation undoes. */
  readonly decided: boolean;
}

/** What a child tells the harness. */
export type Message =
  | { readonly type: 'struck'; readonly number: number; readonly place: string }
  | { readonly type: 'accepted'; readonly job: JobId }
  | { readonly type: 'ended'; readonly job: JobId; readonly state: JobState }
  | { readonly type: 'found'; readonly jobs: readonly FoundJob[] }
  | { readonly type: 'fenced'; readonly call: string }
  | { readonly type: 'boundaries'; readonly places: readonly string[] };

/** Tells the harness; at once, for the next thing that this process does may be to die. */
export function say(message: Message): void {
  writeSync(1, `${JSON.stringify(message)}\n`);
}
