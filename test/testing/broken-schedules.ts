import type {
  JobStore,
  ScheduleRecord,
  ScheduleStore,
  ScheduleTick,
} from '../../src/core/contracts/index.ts';
import { KEPT_TICKS } from '../../src/core/kept-ticks.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import type { BrokenStore } from './broken-stores.ts';

/** A store whose schedules are sound but for what is changed. */
const changed = (change: (store: JobStore) => Partial<ScheduleStore>) => (): JobStore => {
  const store = memoryStore();
  return { ...store, schedules: { ...store.schedules, ...change(store) } };
};

async function now({ schedules }: JobStore, { tenant, id }: ScheduleRecord): Promise<ScheduleRecord> {
  const record = await schedules.get(tenant, id);
  if (record === undefined) throw new Error('the schedule was removed');
  return record;
}

/** Doubles with careless schedules that the suite must catch. */
export const BROKEN_SCHEDULES: readonly BrokenStore[] = [
  {
    forgets: 'that old ticks go',
    foundBy: ['of ticks that no event fired the newest are kept'],
    create: changed((store) => {
      const all: ScheduleTick[] = [];
      return {
        advance: async (schedule, advance) => {
          const done = await store.schedules.advance(schedule, advance);
          if (done) all.push(...advance.ticks);
          return done;
        },
        ticks: async function* () {
          yield* all;
        },
      };
    }),
  },
  {
    forgets: 'that a tick whose record has gone was recorded',
    foundBy: ['of ticks that no event fired the newest are kept'],
    create: changed((store) => ({
      advance: async (schedule, { ticks, ...advance }) => {
        const kept: ScheduleTick[] = [];
        for await (const tick of store.schedules.ticks(schedule.tenant, schedule.id, {})) kept.push(tick);
        const oldest = kept.find(({ event }) => event === undefined)?.time ?? 0;
        const later = kept.length < KEPT_TICKS ? ticks : ticks.filter(({ time }) => time >= oldest);
        return store.schedules.advance(schedule, { ...advance, ticks: later });
      },
    })),
  },
  {
    forgets: 'the revision of a schedule',
    foundBy: ['an advance of an earlier revision'],
    create: changed((store) => ({
      advance: async (schedule, advance) => {
        const found = await store.schedules.get(schedule.tenant, schedule.id);
        return found !== undefined && store.schedules.advance(found, advance);
      },
    })),
  },
  {
    forgets: 'that a tick and its job are one transaction',
    foundBy: ['a job that the store refuses'],
    create: changed((store) => ({
      advance: async (schedule, { job, ...advance }) => {
        const done = await store.schedules.advance(schedule, advance);
        if (done && job !== undefined) await store.enqueue(job);
        return done;
      },
    })),
  },
  {
    forgets: 'pauses when a tick is fired',
    foundBy: ['a paused schedule is not advanced with a job'],
    create: changed((store) => ({
      advance: async (schedule, advance) => {
        const paused = (await now(store, schedule).catch(() => undefined))?.pausedBy.length ?? 0;
        if (advance.job !== undefined && paused > 0) {
          await store.enqueue(advance.job);
          return true;
        }
        return store.schedules.advance(schedule, advance);
      },
    })),
  },
  {
    forgets: 'to fence what was decided before a resume',
    foundBy: ['a resume ends one pause'],
    create: changed((store) => ({
      get: async (tenant, id) => {
        const found = await store.schedules.get(tenant, id);
        return found && { ...found, revision: 0 };
      },
    })),
  },
  {
    forgets: 'the pause of a schedule that goes',
    foundBy: ['the pause of a schedule goes with it'],
    create: changed((store) => ({
      remove: async (tenant, id) => {
        const found = await store.schedules.get(tenant, id);
        await store.schedules.remove(tenant, id);
        if (found?.pausedBy.includes('schedule')) {
          await store.schedules.pause({ kind: 'schedule', tenant, schedule: id });
        }
      },
    })),
  },
  {
    forgets: 'whose schedules are to be looked at first',
    foundBy: ['the earliest schedules'],
    create: changed((store) => ({
      earliest: async (limit) => (await store.schedules.earliest(100)).toReversed().slice(0, limit),
    })),
  },
];
