import type { Permits } from '../volume/lanes.ts';
import type { InputOf, OutputOf, Tasks } from './tasks.ts';
import type { SealingLane, SealingOptions } from './sealing-lane.ts';

/** Where the work on bytes is done: on threads of its own, or between other things on the host's. */
export interface Threads extends AsyncDisposable {
  /** How many tasks are worth having under way at once, and how many lanes are worth having. */
  readonly width: number;
  /** How many lanes are open now, of all archives. */
  readonly lanes: number;
  /** Whether lanes read sources themselves. */
  readonly readsSources: boolean;
  /** Packs that all who read may have in memory at once. */
  readonly packs: Permits;
  /**
   * Runs a task. Buffers in `transfer` change hands: the caller has them no longer. Rejects with what the task threw, and
   * with `UNAVAILABLE` where its thread died.
   */
  run<Name extends keyof Tasks>(
    name: Name,
    input: InputOf<Name>,
    transfer: readonly ArrayBuffer[],
  ): Promise<OutputOf<Name>>;
  /** Begins to seal chunks into packs, on one thread for as long as the lane is open. */
  sealing(options: SealingOptions): SealingLane;
  /** Ends the threads; what is under way rejects with `CLOSED`. */
  close(): Promise<void>;
}
