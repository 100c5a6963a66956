import type { Commit } from '../archive/checkpoint.ts';
import type { CheckpointId, Provider } from '../contracts/index.ts';
import { FafnirError, withMore } from '../errors.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { valuesOf } from '../policy/cascade.ts';
import type { ProtectInput } from './protect-commit.ts';

const DAY = 86_400_000;
const LOCK = 'lock';

/**
 * Decides once until when what a protect job puts into the bank is locked, in milliseconds since 1970 UTC; null where its
 * policy locks nothing. All parts have this one instant, whichever host makes them, so that none goes before the others.
 */
export async function decideLock(context: OperationContext): Promise<number | null> {
  const { lock } = valuesOf((context.job.input as ProtectInput).policy);
  if (lock === 0) return null;
  return context.step(LOCK, async () => context.clock.now() + lock * DAY);
}

/** What was decided. */
export const lockedUntilOf = (context: OperationContext): number | null =>
  (context.result(LOCK) as number | undefined) ?? null;

/** Does what writes to the bank; a failure says that what was written by then stays for as long as it is locked. */
export async function tellingLock<Value>(
  context: OperationContext,
  { bank }: Pick<Provider, 'bank'>,
  work: () => Promise<Value>,
): Promise<Value> {
  const until = lockedUntilOf(context);
  try {
    return await work();
  } catch (error) {
    if (until === null || context.signal.aborted) throw error;
    const day = new Date(until).toISOString();
    throw withMore(error, [`what it has written by now is locked in bank ${bank.name} until ${day}`]);
  }
}

/** Until when the objects of a checkpoint are locked, in milliseconds since 1970 UTC; null where they were not. */
export const lockOf = ({ lockedUntil }: Pick<Commit, 'lockedUntil'>): number | null =>
  lockedUntil === undefined ? null : Date.parse(lockedUntil);

/** Whether the bank still keeps the objects of a checkpoint, by this clock. */
export const isLocked = (commit: Pick<Commit, 'lockedUntil'>, now: number): boolean =>
  (lockOf(commit) ?? 0) > now;

/** `LOCKED` where the bank keeps the objects of a checkpoint. */
export function assertNotLocked(commit: Pick<Commit, 'id' | 'lockedUntil'>, now: number): void {
  if (isLocked(commit, now)) throw lockedCheckpoint(commit.id, commit.lockedUntil);
}

const lockedCheckpoint = (id: CheckpointId, until = ''): FafnirError =>
  new FafnirError('LOCKED', `checkpoint ${id} is locked in its bank until ${until}`);
