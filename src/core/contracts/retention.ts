import type { CopyKind, Proof } from './snapshot-copy.ts';

/**
 * Which copies of one kind stay: those that any of the rules wants, of checkpoints that count. At least one rule is given.
 * None looks at today's date, so that nothing goes because runs fail.
 */
export type RetentionRules = {
  /** The newest so many, and beside them the newest so many that are `spacing` apart. */
  readonly last?: number;
  /**
   * Milliseconds between those of `last` that are no others' burst: a flood of new checkpoints does not push out what is
   * older. Default: an hour.
   */
  readonly spacing?: number;
  /** All that are at most so many milliseconds older than the newest. */
  readonly within?: number;
  /** The newest of each of the last so many hours that have any. */
  readonly hourly?: number;
  /** The same of days. */
  readonly daily?: number;
  /** The same of weeks, which begin on Monday. */
  readonly weekly?: number;
  /** The same of months. */
  readonly monthly?: number;
  /** The same of years. */
  readonly yearly?: number;
};

/**
 * How long the checkpoints of a plan stay. Each kind of copy has rules of its own; a kind without stays as long as its
 * checkpoint, and a checkpoint goes when no copy of it is to stay.
 */
export type RetentionPolicy = { readonly [Kind in CopyKind]?: RetentionRules } & {
  /** The least proof that each volume of a checkpoint needs for the checkpoint to count. Default: `read-back`. */
  readonly proof?: Proof;
  /** How many of the newest that count stay whole, whatever the rules say. Default: 1. */
  readonly least?: number;
  /** The IANA time zone whose days, weeks, months and years are meant. Default: `UTC`. */
  readonly timeZone?: string;
};
