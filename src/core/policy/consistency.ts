import type { SnapshotPolicy } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';

type Consistency = SnapshotPolicy['consistency'];

const ASCENDING: readonly Consistency[] = ['none', 'crash', 'group', 'application'];

/** What a snapshot of volumes that belong together is worth. */
export type Worth = {
  /** For people. */
  readonly what: string;
  /** How many volumes. */
  readonly volumes: number;
  /** What is achieved. */
  readonly consistency: Consistency;
};

/** `INCONSISTENT` where a snapshot is worth less than is asked for, and that is to be refused. */
export function assertConsistency(
  { consistency: asked, onInconsistency }: Pick<SnapshotPolicy, 'consistency' | 'onInconsistency'>,
  { what, volumes, consistency }: Worth,
): void {
  // One instant of the only volume is one instant of all.
  const worth = consistency === 'crash' && volumes === 1 ? 'group' : consistency;
  if (onInconsistency === 'degrade' || ASCENDING.indexOf(worth) >= ASCENDING.indexOf(asked)) return;
  throw new FafnirError(
    'INCONSISTENT',
    `the snapshot of ${what} is worth ${consistency}, and ${asked} is asked for`,
  );
}
