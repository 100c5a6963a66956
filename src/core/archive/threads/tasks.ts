import { identifyChunks } from './identify-chunks.ts';
import { openChunks } from './open-chunks.ts';

/** What a task gives back, and the buffers in it that change hands. */
export interface Done<Output> {
  /** The answer. */
  readonly output: Output;
  /** Moved to whoever asked, not copied. */
  readonly transfer: readonly ArrayBuffer[];
}

/** What threads can be asked to do: each is synchronous, and knows nothing of the last one. */
export interface Tasks {
  /** Opens chunks of a pack. */
  readonly open: typeof openChunks;
  /** Tells what chunks are called. */
  readonly identify: typeof identifyChunks;
}

/** What does it. */
export const tasks: Tasks = { open: openChunks, identify: identifyChunks };

/** What goes into a task. */
export type InputOf<Name extends keyof Tasks> = Parameters<Tasks[Name]>[0];
/** What comes out of a task. */
export type OutputOf<Name extends keyof Tasks> = ReturnType<Tasks[Name]>['output'];
