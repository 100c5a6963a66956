import type { JobClaim, JobStore, Reservation } from '../../src/core/contracts/index.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import type { BrokenStore } from './broken-stores.ts';

/** A memory store some of whose duties about quotas and places are done otherwise. */
const but = (change: (store: JobStore) => Partial<JobStore>) => (): JobStore => {
  const store = memoryStore();
  return { ...store, ...change(store) };
};

const reserving =
  (reserve: (store: JobStore, ...args: Parameters<JobStore['quotas']['reserve']>) => Promise<void>) =>
  (store: JobStore): Partial<JobStore> => ({
    quotas: { ...store.quotas, reserve: (...args) => reserve(store, ...args) },
  });

/** Reservations that no end of a job takes away. */
const leaking = but((store) => {
  const kept = new Map<string, Reservation>();
  return {
    quotas: {
      ...store.quotas,
      holdings: async (tenant) => {
        const holdings = await store.quotas.holdings(tenant);
        const leaked = [...kept.values()].at(-1);
        return leaked === undefined ? holdings : { ...holdings, reserved: leaked };
      },
      reserve: async (claim: JobClaim, reservation, quota) => {
        await store.quotas.reserve(claim, reservation, quota);
        kept.set(claim.job.id, reservation);
      },
    },
  };
});

/** Doubles that the suite must catch by what they do about quotas and limits. */
export const BROKEN_QUOTAS: readonly BrokenStore[] = [
  {
    forgets: 'that jobs may be too many',
    foundBy: ['of jobs that are added at once', 'whatever the quota; one that ended makes room'],
    create: but((store) => ({ enqueue: (job, parent) => store.enqueue(job, parent) })),
  },
  {
    forgets: 'that plans may be too many',
    foundBy: ['of plans that are made at once'],
    create: but((store) => ({ plans: { ...store.plans, create: (plan) => store.plans.create(plan) } })),
  },
  {
    forgets: 'that schedules, and the jobs of ticks, may be too many',
    foundBy: ['of schedules that are made at once', 'a tick whose job is one too many'],
    create: but((store) => ({
      schedules: {
        ...store.schedules,
        create: (schedule) => store.schedules.create(schedule),
        advance: (schedule, { quota: _, ...advance }) => store.schedules.advance(schedule, advance),
      },
    })),
  },
  {
    forgets: 'what a quota allows',
    foundBy: ['of reservations that are asked for at once', 'what is used counts against a reservation'],
    create: but(reserving((store, claim, reservation) => store.quotas.reserve(claim, reservation, {}))),
  },
  {
    forgets: 'to release reservations',
    foundBy: ['what is reserved is counted until its job ends'],
    create: leaking,
  },
  {
    forgets: 'that places are few',
    foundBy: ['a name has as many places as its limit says', 'of claims that ask at once'],
    create: but((store) => ({
      occupy: async (claim, _places, now) => store.occupy(claim, [], now),
    })),
  },
  {
    forgets: 'that places end with leases',
    foundBy: ['the places of a worker that is not heard of come back'],
    create: but((store) => ({ occupy: (claim, places) => store.occupy(claim, places, 0) })),
  },
];
