import { createHash } from 'node:crypto';
import type { NewSchedule } from '../../contracts/index.ts';

/** When a tick is due: later than its time by what follows from schedule and tick, so that all hosts say the same. */
export function dueAt(
  { id, jitterMilliseconds }: Pick<NewSchedule, 'id' | 'jitterMilliseconds'>,
  tick: number,
): number {
  if (jitterMilliseconds === 0) return tick;
  const digest = createHash('sha256').update(`${id} ${tick}`).digest();
  return tick + Math.floor((digest.readUInt32BE() / 2 ** 32) * jitterMilliseconds);
}
