import type { JobClaim, JobStore, NewJob } from '../../src/core/contracts/index.ts';
import { memoryStore } from '../../src/stores/memory.ts';

/** A store that forgets one duty, by name. */
export interface BrokenStore {
  readonly forgets: string;
  /** A part of the name of every case that must find it. */
  readonly foundBy: readonly string[];
  create(): JobStore;
}

/** The claim with the job's epoch of now: as if the epoch were not checked. */
async function renewed(store: JobStore, claim: JobClaim): Promise<JobClaim> {
  const job = await store.get(claim.job.tenant, claim.job.id);
  return { job: { ...claim.job, epoch: job?.epoch ?? claim.job.epoch } };
}

function unfenced(): JobStore {
  const store = memoryStore();
  return {
    ...store,
    heartbeat: async (claim, leaseUntil) => store.heartbeat(await renewed(store, claim), leaseUntil),
    append: async (claim, rows) => store.append(await renewed(store, claim), rows),
    finish: async (claim, outcome) => store.finish(await renewed(store, claim), outcome),
  };
}

function appendingRowByRow(): JobStore {
  const store = memoryStore();
  return {
    ...store,
    append: async (claim, rows) => {
      for (const row of rows) await store.append(claim, [row]);
    },
  };
}

function claimingAtTheEnd(): JobStore {
  const store = memoryStore();
  return { ...store, claim: (request) => store.claim({ ...request, now: request.now + 1 }) };
}

function mixingTenants(): JobStore {
  const store = memoryStore();
  const jobs = new Map<string, NewJob>();
  return {
    ...store,
    enqueue: async (job) => {
      jobs.set(job.id, job);
      return store.enqueue(job);
    },
    get: async (tenant, id) => store.get(jobs.get(id)?.tenant ?? tenant, id),
    journal: async (tenant, id) => store.journal(jobs.get(id)?.tenant ?? tenant, id),
  };
}

/** Doubles that the suite must catch. */
export const BROKEN_STORES: readonly BrokenStore[] = [
  {
    forgets: 'to check the epoch',
    foundBy: [
      'heartbeat of a former claim is FENCED',
      'append of a former claim is FENCED',
      'finish of a former claim is FENCED',
    ],
    create: unfenced,
  },
  {
    forgets: 'that a batch is all or none',
    foundBy: ['none of its batch is added'],
    create: appendingRowByRow,
  },
  { forgets: 'when a lease ends', foundBy: ['exactly at `now` still holds'], create: claimingAtTheEnd },
  {
    forgets: 'whose job it is',
    foundBy: ['no job of another tenant', 'another tenant sees no journal'],
    create: mixingTenants,
  },
];
