import { Readable } from 'node:stream';
import type {
  JobClaim,
  JobId,
  JobStore,
  NewJob,
  ResourceLease,
  TenantId,
  UsageRecord,
} from '../../src/core/contracts/index.ts';
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
    enqueue: (job) => store.enqueue(job),
    heartbeat: async (claim, leaseUntil) => store.heartbeat(await renewed(store, claim), leaseUntil),
    acquire: async (claim, leases) => store.acquire(await renewed(store, claim), leases),
    postpone: async (claim, until) => store.postpone(await renewed(store, claim), until),
    append: async (claim, rows, audit) => store.append(await renewed(store, claim), rows, audit),
    finish: async (claim, outcome, end) => store.finish(await renewed(store, claim), outcome, end),
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

function droppingInputs(): JobStore {
  const store = memoryStore();
  return {
    ...store,
    journal: async (tenant, id) => (await store.journal(tenant, id)).map(({ input: _, ...row }) => row),
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

function movingHouse(): JobStore {
  let asked = 0;
  return {
    ...memoryStore(),
    installation: async () => {
      asked += 1;
      return asked.toString(16).padStart(12, '0');
    },
  };
}

function postponingForNoTime(): JobStore {
  const store = memoryStore();
  return { ...store, postpone: (claim) => store.postpone(claim, 0) };
}

function billingLateWorkers(): JobStore {
  const store = memoryStore();
  const late: UsageRecord[] = [];
  return {
    ...store,
    finish: async (claim, outcome, end) => {
      const { id, startedAt = 0, ...rest } = claim.job;
      const times = { startedAt, endedAt: end.at };
      late.push({ ...end.usage, ...rest, ...times, job: id, state: outcome.state });
      await store.finish(claim, outcome, end);
    },
    usage: (_tenant, _filter) => Readable.from(late),
  };
}

type HeldLease = ResourceLease & { readonly tenant: TenantId; readonly job: JobId };

/** How a store with leases of its own goes about them; it is a sound one with {@link SOUND}. */
interface LeaseRules {
  readonly released: readonly ('claim' | 'finish' | 'postpone')[];
  readonly allOrNone: boolean;
  conflict(held: HeldLease, wanted: HeldLease): boolean;
}

const SOUND: LeaseRules = {
  released: ['finish', 'postpone'],
  allOrNone: true,
  conflict: (held, wanted) =>
    held.tenant === wanted.tenant &&
    held.resource === wanted.resource &&
    held.job !== wanted.job &&
    (held.excludes.includes(wanted.kind) || wanted.excludes.includes(held.kind)),
};

/** A store whose leases follow these rules. */
function leasing(changes: Partial<LeaseRules>): () => JobStore {
  const rules = { ...SOUND, ...changes };
  return () => {
    const store = memoryStore();
    let held: HeldLease[] = [];
    const release = (by: LeaseRules['released'][number], claim: JobClaim | undefined): void => {
      if (rules.released.includes(by)) held = held.filter(({ job }) => job !== claim?.job.id);
    };
    return {
      ...store,
      claim: async (request) => {
        const claim = await store.claim(request);
        release('claim', claim);
        return claim;
      },
      acquire: async (claim, leases) => {
        await store.acquire(claim, []);
        const { tenant, id } = claim.job;
        const added: HeldLease[] = [];
        for (const lease of leases) {
          const wanted = { ...lease, excludes: [...lease.excludes], tenant, job: id };
          const holder = held.find((other) => rules.conflict(other, wanted));
          if (holder !== undefined) return { resource: lease.resource, job: holder.job, kind: holder.kind };
          (rules.allOrNone ? added : held).push(wanted);
        }
        held.push(...added);
        return undefined;
      },
      postpone: async (claim, until) => {
        await store.postpone(claim, until);
        release('postpone', claim);
      },
      finish: async (claim, outcome, end) => {
        await store.finish(claim, outcome, end);
        release('finish', claim);
      },
    };
  };
}

/** A store with leases of its own that forgets nothing, to show that it is the rules which are found. */
export const soundLeases: () => JobStore = leasing({});

/** A double that the suite must catch, and that no sequence of jobs shows. */
export const FORGETFUL_STORE: BrokenStore = {
  forgets: 'which installation it is',
  foundBy: ['the installation is 12 characters'],
  create: movingHouse,
};

/** Doubles that the suite must catch. */
export const BROKEN_STORES: readonly BrokenStore[] = [
  {
    forgets: 'that a job is billed once, and to its tenant',
    foundBy: ['a worker that may not end a job adds no usage', 'only ended jobs of this tenant have usage'],
    create: billingLateWorkers,
  },
  {
    forgets: 'to check the epoch',
    foundBy: [
      'heartbeat of a former claim is FENCED',
      'append of a former claim is FENCED',
      'finish of a former claim is FENCED',
      'postpone of a former claim',
      'a former claim takes nothing and is FENCED',
    ],
    create: unfenced,
  },
  {
    forgets: 'that a batch is all or none',
    foundBy: ['none of its batch is added'],
    create: appendingRowByRow,
  },
  {
    forgets: 'the inputs of steps',
    foundBy: ['the input of a step comes back'],
    create: droppingInputs,
  },
  { forgets: 'when a lease ends', foundBy: ['exactly at `now` still holds'], create: claimingAtTheEnd },
  {
    forgets: 'whose job it is',
    foundBy: ['no job of another tenant', 'another tenant sees no journal'],
    create: mixingTenants,
  },
  {
    forgets: 'until when a job was postponed',
    foundBy: ['by nobody before its time', 'lets younger ones pass'],
    create: postponingForNoTime,
  },
  {
    forgets: 'to release leases',
    foundBy: ['every end of a job frees', 'a postponed job loses its leases'],
    create: leasing({ released: [] }),
  },
  {
    forgets: 'that leases end with the job only',
    foundBy: ['a new claim of the job holds them still'],
    create: leasing({ released: ['claim', 'finish', 'postpone'] }),
  },
  {
    forgets: 'that leases are taken all or none',
    foundBy: ['of several leases all are taken or none'],
    create: leasing({ allOrNone: false }),
  },
  {
    forgets: 'what a held lease excludes',
    foundBy: ['what the held lease excludes'],
    create: leasing({
      conflict: (held, wanted) => SOUND.conflict({ ...held, excludes: [] }, wanted),
    }),
  },
  {
    forgets: 'what a wanted lease excludes',
    foundBy: ['what the wanted lease excludes'],
    create: leasing({
      conflict: (held, wanted) => SOUND.conflict(held, { ...wanted, excludes: [] }),
    }),
  },
  {
    forgets: 'whose lease it is',
    foundBy: ['leases of another tenant do not count'],
    create: leasing({
      conflict: (held, wanted) => SOUND.conflict({ ...held, tenant: wanted.tenant }, wanted),
    }),
  },
];
