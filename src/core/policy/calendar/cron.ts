import { FafnirError } from '../../errors.ts';
import type { WallTicks } from './wall-ticks.ts';

/** The wall times of a cron pattern of five fields; `INVALID_OPTIONS` for what is none. */
export async function cronTicks(pattern: string): Promise<WallTicks> {
  const { Cron } = await import('croner');
  let cron: InstanceType<typeof Cron>;
  try {
    // A clock without changes: what the wall clock leaves out or shows twice is decided elsewhere, for all rules alike.
    cron = new Cron(pattern, { timezone: 'UTC', mode: '5-part' });
  } catch (cause) {
    throw FafnirError.from(cause, 'INVALID_OPTIONS', `cron: ${JSON.stringify(pattern)}`);
  }
  return { after: (wall) => cron.nextRun(new Date(wall))?.getTime() };
}
