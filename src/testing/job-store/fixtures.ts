import assert from 'node:assert/strict';
import type {
  ErrorRecord,
  JobClaim,
  JobEnd,
  JobId,
  JobOutcome,
  JobStore,
  JobTemplateRecord,
  MissedReason,
  NewJob,
  NewSchedule,
  PlanId,
  PlanRecord,
  ScheduleId,
  ScheduleTick,
  StepRow,
  TenantId,
} from '../../core/contracts/index.ts';
import { type ErrorCode, FafnirError } from '../../core/errors.ts';

/** Obligations of a job store by name, each tried on an empty store. */
export type Cases = Readonly<Record<string, (store: JobStore) => Promise<void>>>;

/** The tenant of most records. */
export const ACME: TenantId = 'acme' as TenantId;
/** A tenant that must see none of them. */
export const OTHER: TenantId = 'other' as TenantId;
/** The largest input or value, in bytes of JSON. */
export const LARGEST_JSON: number = 256 * 1024;
/** Text that a careless store would change, or run. */
export const ODD: string = `'"\`; -- \\ % _ ? {} \u2028 \u00e9e\u0301 \u{1f409} constructor __proto__`;
/** An error of an outcome. */
export const ERROR: ErrorRecord = { code: 'NO_SPACE', message: ODD, retryable: true, hint: 'Free space.' };
/** An outcome. */
export const FAILED: JobOutcome = { state: 'failed', error: ERROR };
/** Another outcome. */
export const SUCCEEDED: JobOutcome = { state: 'succeeded', result: { checkpoint: 'c1' } };
/** An end, with what the job used. */
export const ENDED: JobEnd = {
  at: 1_700_000_100_000.5,
  usage: {
    provider: 'gold',
    plan: 'p1' as PlanId,
    checkpoint: null,
    logical: 2 ** 40,
    changed: 3,
    array: -5,
    stored: -(2 ** 41),
    checkpoints: -1,
    protected: -(2 ** 40),
    banks: [{ bank: ODD, stored: -(2 ** 41), corrected: 7, checkpoints: -1, protected: -(2 ** 40) }],
    calls: { arrays: 1, banks: 2 },
    isWhole: false,
  },
};
/** A journal row. */
export const INTENT: StepRow = { step: 'protect/snapshot/a', kind: 'intent' };
/** The row that follows it. */
export const RESULT: StepRow = { step: 'protect/snapshot/a', kind: 'result', value: { name: 'faf-1' } };

/** A new job whose id sorts by its number. */
export const job = (number: number, changes: Partial<NewJob> = {}): NewJob => ({
  id: `job-${String(number).padStart(5, '0')}` as JobId,
  tenant: ACME,
  actor: 'ops',
  operation: 'protect',
  operationVersion: 3,
  input: { plan: 'p1', nested: { list: [1, 'two', null, true] } },
  createdAt: 1_700_000_000_000 + number,
  ...changes,
});

/** A plan whose id sorts by its number. */
export const plan = (number: number, changes: Partial<PlanRecord> = {}): PlanRecord => ({
  id: `plan-${String(number).padStart(5, '0')}` as PlanId,
  tenant: ACME,
  name: `plan ${number}`,
  provider: 'gold',
  resources: [{ type: 'Local::Application', id: 'shop' }],
  exclude: [],
  dependencies: [],
  incomplete: 'refuse',
  onFailure: 'fail',
  policy: {},
  createdAt: 1_700_000_000_000.25,
  ...changes,
});

/** A schedule whose id sorts by its number. */
export const schedule = (number: number, changes: Partial<NewSchedule> = {}): NewSchedule => ({
  id: `schedule-${String(number).padStart(5, '0')}` as ScheduleId,
  tenant: ACME,
  actor: 'ops',
  plan: plan(1).id,
  site: 'fra',
  when: { cron: '0 2 * * *', timeZone: 'Europe/Berlin', start: 1_700_000_000_000.25 },
  windowMilliseconds: 600_000,
  jitterMilliseconds: 0,
  operation: { name: 'protect', options: {} },
  missed: 'run-once',
  overlap: 'skip',
  createdAt: 1_700_000_000_000.25,
  next: 1_000 * number,
  wakeAt: 1_000 * number,
  ...changes,
});

/** A template whose name sorts by its number. */
export const template = (number: number, changes: Partial<JobTemplateRecord> = {}): JobTemplateRecord => ({
  tenant: ACME,
  name: `template-${String(number).padStart(5, '0')}`,
  description: '',
  operation: { name: 'verify', options: { sample: { $parameter: 'share' } } },
  parameters: { share: { type: 'number', default: 0.25 } },
  version: '0123456789abcdef',
  actor: 'ops',
  storedAt: 1_700_000_000_000.25,
  ...changes,
});

/** A tick that was fired. */
export const fired = (time: number, { id }: Pick<NewJob, 'id'>): ScheduleTick => ({
  time,
  recordedAt: time + 0.5,
  state: 'fired',
  job: id,
});

/** A tick that was missed. */
export const missed = (time: number, reason: MissedReason = 'stopped'): ScheduleTick => ({
  time,
  recordedAt: time + 0.5,
  state: 'missed',
  reason,
});

/** JSON of exactly this many bytes: a string of three-byte characters and what is left in ASCII. */
export const sized = (bytes: number): string => {
  const content = bytes - 2;
  return '\u20ac'.repeat(Math.floor(content / 3)) + 'x'.repeat(content % 3);
};

/** A claim of a job that must be there. */
export async function claimOf(
  store: JobStore,
  changes: { now?: number; leaseUntil?: number; job?: JobId } = {},
): Promise<JobClaim> {
  const claim = await store.claim({ now: 1_000, leaseUntil: 2_000, ...changes });
  assert.ok(claim, 'there was a job to claim, and claim() found none');
  return claim;
}

/** A job that a first worker claimed, and a second one after the first one's lease ended. */
export async function takenOver(store: JobStore): Promise<{ former: JobClaim; current: JobClaim }> {
  await store.enqueue(job(1));
  const former = await claimOf(store);
  return { former, current: await claimOf(store, { now: 2_001, leaseUntil: 3_000 }) };
}

/** The code that the promise rejects with, or what it did instead. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (FafnirError.is(error) ? error.code : `rejected without a code: ${error}`),
  );
}

/** Fails unless the promise rejects with this code. */
export async function rejects(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  assert.equal(await codeOf(promise), code);
}

/** All items of a list. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** The ids of records. */
export const ids = (records: readonly { readonly id: string }[]): string[] => records.map(({ id }) => id);
