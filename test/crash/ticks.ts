import type {
  JobRecord,
  PlanId,
  ScheduleId,
  ScheduleRequest,
  ScheduleTick,
  Session,
} from '../../src/index.ts';
import { all } from '../core/engine/world.ts';
import type { CaseStore } from './case-store.ts';
import { TENANT } from './world.ts';

const MINUTE = 60_000;

/** How far the clock is behind by which a schedule is made, so that all its ticks are due when a case begins. */
export const BEHIND: number = 10 * MINUTE;

/** The host's name of the event that fires a schedule. */
export const EVENT = 'before upgrade';

/** What a scenario has of a schedule. */
export interface PreparedSchedule {
  /** How many ticks are due; 0 where it is fired by an event. */
  readonly ticks: number;
  /** What becomes of them, all of which are late. */
  readonly missed: 'run-once' | 'catch-up';
}

/** The schedule of a case, and what must have become of it. */
export interface ScheduleFacts {
  readonly id: ScheduleId;
  /** The times of its ticks. */
  readonly ticks: readonly number[];
  /** Those that are fired; the others are missed. */
  readonly fired: readonly number[];
}

/** Makes a schedule by a clock that is behind, and the template that it names. */
export async function prepareSchedule(
  session: Session,
  plan: PlanId,
  { ticks: count, missed }: PreparedSchedule,
  now: number,
): Promise<ScheduleFacts> {
  await session.templates.put({
    name: 'check',
    operation: { name: 'verify', options: { level: { $parameter: 'level' } } },
    parameters: { level: { type: 'text', choices: ['tags', 'deep'] } },
  });
  // Not the next one, which may come before the clock is gone.
  const start = Math.ceil(now / MINUTE) * MINUTE + MINUTE;
  const ticks = Array.from({ length: count }, (_, at) => start + at * MINUTE);
  const asked: ScheduleRequest = {
    plan,
    operation: { template: 'check', arguments: { level: 'tags' } },
    missed,
    overlap: 'queue',
    ...(count > 0 && { when: { cron: '* * * * *', start, end: ticks.at(-1) ?? start, window: MINUTE } }),
  };
  const { id } = await session.schedules.create(asked);
  return { id, ticks, fired: missed === 'catch-up' ? ticks : ticks.slice(-1) };
}

/** What is wrong with the ticks of a schedule: each is fired once, with a job of its own, or recorded as missed. */
export async function judgeTicks(
  { id, ticks: times, fired: expected }: ScheduleFacts,
  earlier: readonly string[],
  directory: string,
  cases: CaseStore,
): Promise<readonly string[]> {
  await using store = cases.open(directory);
  const schedule = await store.schedules.get(TENANT, id);
  if (schedule === undefined) return [`schedule ${id} is lost`];
  const ticks = await all(store.schedules.ticks(TENANT, id, {}));
  const jobs = (await all(store.list(TENANT, {}))).filter(
    (job) => job.parent === undefined && !earlier.includes(job.id),
  );
  const fired = ticks.flatMap((tick) => (tick.state === 'fired' ? [tick] : []));
  const wrong = times.length === 0 ? judgeEvent(ticks) : judgeTimes(ticks, times, expected);
  if (schedule.next !== null)
    wrong.push(`schedule ${id} has a tick of ${schedule.next} that nobody dealt with`);
  if (schedule.lastJob !== (fired.at(-1)?.job ?? null))
    wrong.push(`schedule ${id} names another job than its last`);
  return [
    ...wrong,
    ...judgeJobs(
      fired.map(({ job }) => job),
      jobs,
    ),
  ];
}

const describe = (ticks: readonly ScheduleTick[]): string =>
  ticks.map(({ time, event, state }) => `${event ?? time} ${state}`).join(', ') || 'none';

function judgeTimes(
  ticks: readonly ScheduleTick[],
  times: readonly number[],
  fired: readonly number[],
): string[] {
  const isRight =
    ticks.length === times.length &&
    ticks.every(
      ({ time, event, state }, at) =>
        time === times[at] && event === undefined && state === (fired.includes(time) ? 'fired' : 'missed'),
    );
  return isRight ? [] : [`of the ticks ${times.join(', ')} there was recorded: ${describe(ticks)}`];
}

function judgeEvent(ticks: readonly ScheduleTick[]): string[] {
  const [tick] = ticks;
  const isRight = ticks.length === 1 && tick?.event === EVENT && tick.state === 'fired';
  return isRight ? [] : [`of the event there was recorded: ${describe(ticks)}`];
}

/** A tick's job is there, and no job is that no tick made. */
function judgeJobs(fired: readonly string[], jobs: readonly JobRecord[]): string[] {
  const made = new Set<string>(jobs.map(({ id }) => id));
  return [
    ...fired.filter((id) => !made.has(id)).map((id) => `job ${id} of a tick is lost`),
    ...jobs.filter(({ id }) => !fired.includes(id)).map(({ id }) => `job ${id} was made by no tick`),
    ...jobs
      .filter(({ template }) => template?.name !== 'check')
      .map(({ id }) => `job ${id} tells no template`),
  ];
}
