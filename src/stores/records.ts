import type {
  ErrorRecord,
  JobClaim,
  JobOutcome,
  JobRecord,
  JobState,
  JobTemplateReference,
  Json,
  JsonObject,
  NewJob,
  ResourceLease,
  StepRow,
} from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { encodeBounded, encodeJson } from '../core/json-text.ts';

const STATES: readonly string[] = ['queued', 'running', 'succeeded', 'failed', 'cancelled'];

/** What is being made, field by field: to spread what may be missing takes several times as long. */
export type Mutable<Made> = { -readonly [Field in keyof Made]: Made[Field] };

/** A job as stores keep it: what callers may nest is text, so that no caller can reach what is stored. */
export type KeptJob = Omit<JobRecord, 'input' | 'outcome' | 'template'> & {
  /** The template as JSON, or null where there is none. */
  readonly template: string | null;
  /** The input as JSON. */
  readonly input: string;
  /** The outcome as JSON, or null while there is none. */
  readonly outcome: string | null;
};

/** A journal row as stores keep it. */
export type KeptStep = {
  /** The step's name. */
  readonly step: string;
  /** What the row says of the step. */
  readonly kind: StepRow['kind'];
  /** The digest of the step's input, or null where it has none. */
  readonly input: string | null;
  /** The result as JSON, or null for an intent. */
  readonly value: string | null;
};

/** A resource lease as stores keep it. */
export type KeptLease = Omit<ResourceLease, 'excludes'> & {
  /** The excluded kinds as JSON, in order and each once, so that equal leases are equal text. */
  readonly excludes: string;
};

/** A new job, queued; `LIMIT_EXCEEDED` where its input is too large. */
export function keepJob(job: NewJob): KeptJob {
  return {
    id: job.id,
    tenant: job.tenant,
    actor: job.actor,
    operation: job.operation,
    operationVersion: job.operationVersion,
    ...(job.parent === undefined ? {} : { parent: job.parent }),
    template: job.template === undefined ? null : keepReference(job.template),
    input: encodeBounded(`the input of job ${job.id}`, job.input),
    createdAt: job.createdAt,
    state: 'queued',
    epoch: 0,
    leaseUntil: 0,
    notBefore: 0,
    cancelRequested: false,
    outcome: null,
  };
}

/** A kept job as callers see it, their own copy; `CORRUPT` where what is kept cannot be one. */
export function jobRecord(kept: KeptJob): JobRecord {
  const { parent, template, startedAt, endedAt, outcome } = kept;
  const what = `the input of job ${kept.id}`;
  const input = decodeJson(what, kept.input);
  if (!isObject(input)) throw damaged(what);
  const record: Mutable<JobRecord> = {
    id: kept.id,
    tenant: kept.tenant,
    actor: kept.actor,
    operation: kept.operation,
    operationVersion: kept.operationVersion,
    input,
    createdAt: kept.createdAt,
    state: kept.state,
    epoch: kept.epoch,
    leaseUntil: kept.leaseUntil,
    notBefore: kept.notBefore,
    cancelRequested: kept.cancelRequested,
  };
  if (parent !== undefined) record.parent = parent;
  if (template !== null) record.template = decodeReference(kept, template);
  if (startedAt !== undefined) record.startedAt = startedAt;
  if (endedAt !== undefined) record.endedAt = endedAt;
  if (outcome !== null) record.outcome = decodeOutcome(kept, outcome);
  return record;
}

/** Journal rows to keep; `LIMIT_EXCEEDED` where a value is too large. */
export function keepSteps(rows: readonly StepRow[]): readonly KeptStep[] {
  return rows.map((row) => ({
    step: row.step,
    kind: row.kind,
    input: row.input ?? null,
    value: row.kind === 'result' ? encodeBounded(`the result of step ${row.step}`, row.value) : null,
  }));
}

/** A kept journal row as callers see it. */
export function stepRow({ step, kind, input, value }: KeptStep): StepRow {
  const what = `the result of step ${step}`;
  const given = input === null ? {} : { input };
  if (kind === 'intent') return { step, kind, ...given };
  if (value === null) throw damaged(what);
  return { step, kind, ...given, value: decodeJson(what, value) };
}

/** Resource leases to keep. */
export function keepLeases(leases: readonly ResourceLease[]): readonly KeptLease[] {
  return leases.map(({ resource, kind, excludes }) => ({
    resource,
    kind,
    excludes: JSON.stringify([...new Set(excludes)].sort()),
  }));
}

/** True where two jobs cannot have these leases of one resource at the same time: either excludes the other's kind. */
export function standAgainstEachOther(one: KeptLease, other: KeptLease): boolean {
  return excludedKinds(one).includes(other.kind) || excludedKinds(other).includes(one.kind);
}

/** An outcome to keep; `LIMIT_EXCEEDED` where its result is too large. */
export function keepOutcome(claim: JobClaim, outcome: JobOutcome): string {
  const what = `the outcome of job ${claim.job.id}`;
  if (outcome.state === 'succeeded') {
    return `{"state":"succeeded","result":${encodeBounded(what, outcome.result)}}`;
  }
  // Field by field, for an Error also fits the type and would lose its message as JSON.
  const { code, message, retryable, hint } = outcome.error;
  return encodeJson(what, { state: outcome.state, error: { code, message, retryable, hint } });
}

/** True for the name of a job state. */
export function isJobState(text: string): text is JobState {
  return STATES.includes(text);
}

/** What is kept cannot be what was stored. */
export function damaged(what: string, cause?: unknown): FafnirError {
  return new FafnirError('CORRUPT', `${what} is damaged in the store`, {
    cause,
    hint: 'Restore the job store from a copy; checkpoints in banks are not affected.',
  });
}

/** The claim lost its right to write. */
export function fenced(claim: JobClaim): FafnirError {
  return new FafnirError('FENCED', `job ${claim.job.id}: epoch ${claim.job.epoch} may not write any more`);
}

/** The journal has this row already. */
export function journalMismatch(claim: JobClaim, row: Pick<StepRow, 'step' | 'kind'>): FafnirError {
  return new FafnirError(
    'JOURNAL_MISMATCH',
    `job ${claim.job.id}: step ${row.step} has its ${row.kind} already`,
  );
}

/** The id of a job to be added belongs to another tenant, whose job must not be shown. */
export function jobExists(job: NewJob): FafnirError {
  return new FafnirError('ALREADY_EXISTS', `job ${job.id} belongs to another tenant`);
}

/** The store was closed. */
export function storeClosed(): FafnirError {
  return new FafnirError('CLOSED', 'the job store is closed');
}

/** What text that is kept says; `CORRUPT` where it is not JSON. */
export function decodeJson(what: string, text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw damaged(what, cause);
  }
}

const keepReference = ({ name, version }: JobTemplateReference): string => JSON.stringify({ name, version });

function decodeReference(job: KeptJob, text: string): JobTemplateReference {
  const what = `the template of job ${job.id}`;
  const reference = decodeJson(what, text);
  if (!isObject(reference)) throw damaged(what);
  const { name, version } = reference;
  if (typeof name !== 'string' || typeof version !== 'string') throw damaged(what);
  return { name, version };
}

function decodeOutcome(job: KeptJob, text: string): JobOutcome {
  const what = `the outcome of job ${job.id}`;
  const outcome = decodeJson(what, text);
  if (!isObject(outcome) || outcome.state !== job.state) throw damaged(what);
  const { state, result, error } = outcome;
  if (state === 'succeeded' && isObject(result)) return { state, result };
  if ((state === 'failed' || state === 'cancelled') && isErrorRecord(error)) return { state, error };
  throw damaged(what);
}

function excludedKinds({ resource, excludes }: KeptLease): readonly Json[] {
  const what = `a lease of resource ${resource}`;
  const kinds = decodeJson(what, excludes);
  if (!Array.isArray(kinds)) throw damaged(what);
  return kinds;
}

/** True for an object of JSON. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isErrorRecord(value: Json | undefined): value is ErrorRecord {
  return (
    isObject(value) &&
    typeof value.code === 'string' &&
    typeof value.message === 'string' &&
    typeof value.retryable === 'boolean' &&
    typeof value.hint === 'string'
  );
}
