/** One measured number, beside the rival that was measured in the same run. */
export interface Figure {
  /** What was measured. */
  readonly name: string;
  /** The median of the rounds. */
  readonly value: number;
  /** Of the value, such as `MB/s`. */
  readonly unit: string;
  /** What it was measured against, with its version; null where the number stands alone. */
  readonly rival: string | null;
  /** The value divided by the rival's value; null without a rival. */
  readonly ratio: number | null;
  /** The lowest and the highest of the rounds: of the ratio, or of the value where there is none. */
  readonly range?: readonly [lowest: number, highest: number];
  /** What was promised, such as `ratio >= 0.8`; null where nothing was. */
  readonly goal: string | null;
  /** Whether the promise was kept; null without a goal. */
  readonly met: boolean | null;
  /** How often it was measured. */
  readonly rounds: number;
}

/** What each file of this folder exports beside its own helpers. */
export interface Bench {
  /** Measures, cleans up, and tells what it found. */
  run(): Promise<readonly Figure[]>;
}
