import fc from 'fast-check';
import { expect } from 'vitest';
import type {
  JobClaim,
  JobId,
  JobOutcome,
  JobStore,
  NewJob,
  ResourceLease,
  StepRow,
  TenantId,
} from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { collect, ENDED } from '../../../src/testing/job-store/fixtures.ts';
import { type Answer, PlainStore } from './plain-store.ts';

const TENANTS = ['acme', 'other'] as TenantId[];
const JOBS = ['job-1', 'job-2', 'job-3', 'job-4', 'job-5', 'job-6'] as JobId[];
const RESOURCES = ['volume/a', 'volume/b'];
const KINDS = ['read', 'write', 'remove'];
const WORKERS = [0, 1, 2];
const ERROR = { code: 'NO_SPACE', message: 'full', retryable: true, hint: 'Free space.' };
const OUTCOMES: JobOutcome[] = [
  { state: 'succeeded', result: { checkpoint: 'c1' } },
  { state: 'failed', error: ERROR },
  { state: 'cancelled', error: ERROR },
];

/** The stores under test, by name; each is asked the same. */
export type Stores = ReadonlyMap<string, JobStore>;

/** What the stores must agree with. */
export interface World {
  /** What each of them must hold. */
  readonly plain: PlainStore;
  /** All claims that a worker ever got, the newest last; the last worker is the one that looks at the end. */
  readonly claims: readonly JobClaim[][];
  /** Counts how calls ended, so that a run which tried nothing can be told. */
  readonly endings: Map<string, number>;
  /** The time. */
  now: number;
}

/** A world without jobs. */
export function emptyWorld(endings: Map<string, number>): World {
  return { plain: new PlainStore(), claims: [...WORKERS, 'observer'].map(() => []), endings, now: 100 };
}

/** A call, and the answers that are right. */
interface Call {
  readonly allowed: readonly Answer[];
  ask(store: JobStore): Promise<unknown>;
}

class StoreCommand implements fc.AsyncCommand<World, Stores> {
  readonly #label: string;
  readonly #possible: (world: World) => boolean;
  readonly #call: (world: World) => Call;

  constructor(label: string, possible: (world: World) => boolean, call: (world: World) => Call) {
    this.#label = label;
    this.#possible = possible;
    this.#call = call;
  }

  check(world: Readonly<World>): boolean {
    return this.#possible(world);
  }

  async run(world: World, stores: Stores): Promise<void> {
    const { allowed, ask } = this.#call(world);
    for (const [name, store] of stores) {
      const answer = await answerOf(ask(store));
      expect(allowed, `${name}, ${this.#label}`).toContainEqual(answer);
      for (const tenant of TENANTS) {
        const listed = await collect(store.list(tenant, {}));
        expect(listed, `${name}, the jobs after ${this.#label}`).toEqual(world.plain.list(tenant));
      }
      const ending = `${this.#label.split(' ')[0]}: ${endingOf(answer)}`;
      world.endings.set(ending, (world.endings.get(ending) ?? 0) + 1);
    }
  }

  toString(): string {
    return this.#label;
  }
}

async function answerOf(promise: Promise<unknown>): Promise<Answer> {
  try {
    return { value: await promise };
  } catch (error) {
    if (FafnirError.is(error)) return { code: error.code };
    throw error;
  }
}

function endingOf(answer: Answer): string {
  if ('code' in answer) return answer.code;
  return typeof answer.value === 'object' ? 'something' : String(answer.value);
}

const always = (): boolean => true;

function anyone(label: string, call: (world: World) => Call): StoreCommand {
  return new StoreCommand(label, always, call);
}

/** Which of a worker's claims: 0 is the newest. */
interface Hand {
  readonly worker: number;
  readonly back: number;
}

function claimIn(world: World, { worker, back }: Hand): JobClaim | undefined {
  const claims = world.claims[worker] ?? [];
  return claims[claims.length - 1 - (back % Math.max(1, claims.length))];
}

function byWorker(label: string, hand: Hand, call: (claim: JobClaim, world: World) => Call): StoreCommand {
  return new StoreCommand(
    `${label} by worker ${hand.worker}, claim ${hand.back}`,
    (world) => claimIn(world, hand) !== undefined,
    (world) => {
      const claim = claimIn(world, hand);
      if (claim === undefined) throw new Error('the worker has no claim');
      return call(claim, world);
    },
  );
}

const jobOf = (id: JobId, tenant: TenantId): NewJob => ({
  id,
  tenant,
  actor: 'ops',
  operation: 'protect',
  operationVersion: 1,
  input: { plan: 'p1' },
  createdAt: 1.5,
});

function enqueue(id: JobId, tenant: TenantId): StoreCommand {
  const job = jobOf(id, tenant);
  return anyone(`enqueue ${id} of ${tenant}`, ({ plain }) => ({
    allowed: [plain.enqueue(job)],
    ask: (store) => store.enqueue(job),
  }));
}

const enqueuePart = (hand: Hand, id: JobId): StoreCommand =>
  byWorker(`enqueue ${id} as a part`, hand, (claim, { plain }) => {
    const part: NewJob = { ...jobOf(id, claim.job.tenant), parent: claim.job.id };
    return { allowed: [plain.enqueue(part, claim)], ask: (store) => store.enqueue(part, claim) };
  });

function claim(worker: number, name: JobId | undefined, length: number): StoreCommand {
  return anyone(`claim ${name ?? 'any'} by worker ${worker} for ${length}`, ({ plain, claims, now }) => {
    const leaseUntil = now + length;
    const taken = plain.claim(now, leaseUntil, name);
    if (taken !== undefined) claims[worker]?.push(taken);
    return {
      allowed: [{ value: taken }],
      ask: (store) => store.claim({ now, leaseUntil, ...(name === undefined ? {} : { job: name }) }),
    };
  });
}

function acquire(hand: Hand, leases: readonly ResourceLease[]): StoreCommand {
  const wanted = leases.map(({ resource, kind, excludes }) => `${kind} ${resource} without ${excludes}`);
  return byWorker(`acquire [${wanted.join('; ')}]`, hand, (claim, { plain }) => ({
    allowed: plain.acquire(claim, leases),
    ask: (store) => store.acquire(claim, leases),
  }));
}

const heartbeat = (hand: Hand, length: number): StoreCommand =>
  byWorker(`heartbeat for ${length}`, hand, (claim, { plain, now }) => ({
    allowed: [plain.heartbeat(claim, now + length)],
    ask: (store) => store.heartbeat(claim, now + length),
  }));

const postpone = (hand: Hand, length: number): StoreCommand =>
  byWorker(`postpone for ${length}`, hand, (claim, { plain, now }) => ({
    allowed: [plain.postpone(claim, now + length)],
    ask: (store) => store.postpone(claim, now + length),
  }));

const append = (hand: Hand, rows: readonly StepRow[]): StoreCommand =>
  byWorker(
    `append [${rows.map(({ kind, step }) => `${kind} ${step}`).join('; ')}]`,
    hand,
    (claim, { plain }) => ({
      allowed: [plain.append(claim, rows)],
      ask: (store) => store.append(claim, rows),
    }),
  );

const finish = (hand: Hand, outcome: JobOutcome): StoreCommand =>
  byWorker(`finish as ${outcome.state}`, hand, (claim, { plain, now }) => {
    const end = { ...ENDED, at: now };
    return {
      allowed: [plain.finish(claim, outcome, end)],
      ask: (store) => store.finish(claim, outcome, end),
    };
  });

const readUsage = (tenant: TenantId, first: number, length: number): StoreCommand =>
  anyone(`usage of ${tenant} from ${first} for ${length}`, ({ plain }) => {
    const [from, until] = [100 + first, 100 + first + length];
    return {
      allowed: [{ value: plain.usage(tenant, from, until) }],
      ask: (store) => collect(store.usage(tenant, { from, until })),
    };
  });

const requestCancel = (tenant: TenantId, id: JobId): StoreCommand =>
  anyone(`requestCancel of ${id} by ${tenant}`, ({ plain }) => ({
    allowed: [plain.requestCancel(tenant, id)],
    ask: (store) => store.requestCancel(tenant, id),
  }));

class Tick implements fc.AsyncCommand<World, Stores> {
  readonly #by: number;

  constructor(by: number) {
    this.#by = by;
  }

  check(): boolean {
    return true;
  }

  async run(world: World): Promise<void> {
    world.now += this.#by;
  }

  toString(): string {
    return `tick ${this.#by}`;
  }
}

// The newest claim and the first tenant come more often, so that most calls have an effect.
const hand = fc.record({
  worker: fc.constantFrom(...WORKERS),
  back: fc.constantFrom(0, 0, 0, 0, 1, 2, 3),
});
const tenant = fc.constantFrom(...TENANTS, 'acme' as TenantId, 'acme' as TenantId);
const id = fc.constantFrom(...JOBS);
const length = fc.integer({ min: -1, max: 4 });
const kind = fc.constantFrom(...KINDS);
const lease = fc.record({ resource: fc.constantFrom(...RESOURCES), kind, excludes: fc.subarray(KINDS) });
const step = fc.constantFrom('a', 'b', 'c');
const intent = { step, kind: fc.constant('intent') };
const result = { step, kind: fc.constant('result'), value: fc.jsonValue({ maxDepth: 1 }) };
const input = fc.constantFrom('0'.repeat(32), '1'.repeat(32));
const row = fc.oneof(
  fc.record(intent),
  fc.record({ ...intent, input }),
  fc.record(result),
  fc.record({ ...result, input }),
) as fc.Arbitrary<StepRow>;

const enqueues = fc.tuple(id, tenant).map((of) => enqueue(...of));
const claims = fc
  .tuple(fc.constantFrom(...WORKERS), fc.option(id, { nil: undefined }), length)
  .map((of) => claim(...of));
const acquires = fc.tuple(hand, fc.array(lease, { maxLength: 3 })).map((of) => acquire(...of));
const ticks = fc.integer({ min: 1, max: 3 }).map((by) => new Tick(by));

/** Lists of commands; a kind that is named twice comes twice as often. */
export const commandLists: fc.Arbitrary<Iterable<fc.AsyncCommand<World, Stores>>> = fc.commands(
  [
    enqueues,
    enqueues,
    fc.tuple(hand, id).map((of) => enqueuePart(...of)),
    claims,
    claims,
    claims,
    acquires,
    acquires,
    ticks,
    ticks,
    fc.tuple(hand, length).map((of) => heartbeat(...of)),
    fc.tuple(hand, length).map((of) => postpone(...of)),
    fc.tuple(hand, fc.array(row, { maxLength: 3 })).map((of) => append(...of)),
    fc.tuple(hand, fc.constantFrom(...OUTCOMES)).map((of) => finish(...of)),
    fc.tuple(tenant, id).map((of) => requestCancel(...of)),
    fc.tuple(tenant, fc.nat({ max: 20 }), fc.nat({ max: 20 })).map((of) => readUsage(...of)),
  ],
  { maxCommands: 80, size: 'max' },
);

/** Looks at the end for what the calls did not show: the journals, and which leases are held. */
export async function compareAll(world: World, stores: Stores): Promise<void> {
  for (const [name, store] of stores) {
    for (const tenant of TENANTS) {
      for (const id of JOBS) {
        const journal = await store.journal(tenant, id);
        expect(journal, `${name}, the journal of ${id}`).toEqual(world.plain.journal(tenant, id));
        const found = await store.get(tenant, id);
        expect(found, `${name}, ${id} of ${tenant}`).toEqual(world.plain.get(tenant, id));
      }
    }
  }
  for (const tenant of TENANTS) await readUsage(tenant, 0, 1_000_000).run(world, stores);
  const observer = { worker: WORKERS.length, back: 0 };
  for (const tenant of TENANTS) {
    const probe = `observer-${tenant}` as JobId;
    await enqueue(probe, tenant).run(world, stores);
    await claim(observer.worker, probe, 1).run(world, stores);
    for (const resource of RESOURCES) {
      for (const kind of KINDS)
        await acquire(observer, [{ resource, kind, excludes: [] }]).run(world, stores);
      await acquire(observer, [{ resource, kind: 'observe', excludes: KINDS }]).run(world, stores);
    }
  }
}
