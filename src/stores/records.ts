import type {
  DeclaredDependency,
  ErrorRecord,
  JobClaim,
  JobOutcome,
  JobRecord,
  JobState,
  Json,
  JsonObject,
  NewJob,
  PlanRecord,
  ResourceKey,
  ResourceLease,
  ResourceRule,
  ResourceSelector,
  SnapshotPolicy,
  SnapshotPolicyWish,
  StepRow,
} from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { encodeBounded, encodeJson } from '../core/json-text.ts';

const STATES: readonly string[] = ['queued', 'running', 'succeeded', 'failed', 'cancelled'];

/** What is being made, field by field: to spread what may be missing takes several times as long. */
export type Mutable<Made> = { -readonly [Field in keyof Made]: Made[Field] };

/** A job as stores keep it: what callers may nest is text, so that no caller can reach what is stored. */
export type KeptJob = Omit<JobRecord, 'input' | 'outcome'> & {
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

/** A plan as stores keep it. */
export type KeptPlan = Omit<
  PlanRecord,
  'resources' | 'exclude' | 'dependencies' | 'incomplete' | 'onFailure' | 'policy'
> & {
  /** The selectors of the roots as JSON. */
  readonly resources: string;
  /** The selectors of what stays out as JSON. */
  readonly exclude: string;
  /** The declared dependencies as JSON. */
  readonly dependencies: string;
  /** Its word, checked when it is read. */
  readonly incomplete: string;
  /** Its word, checked when it is read. */
  readonly onFailure: string;
  /** Its wishes as JSON. */
  readonly policy: string;
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
  const { parent, startedAt, endedAt, outcome } = kept;
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

/** A plan to keep: what the contract knows of it, and nothing else. */
export function keepPlan(plan: PlanRecord): KeptPlan {
  const dependencies = plan.dependencies.map(({ from, to }) => ({ from: keepKey(from), to: keepKey(to) }));
  return {
    id: plan.id,
    tenant: plan.tenant,
    name: plan.name,
    provider: plan.provider,
    resources: encodeJson(fieldOf(plan, 'resources'), plan.resources.map(keepSelector)),
    exclude: encodeJson(fieldOf(plan, 'exclude'), plan.exclude.map(keepSelector)),
    dependencies: encodeJson(fieldOf(plan, 'dependencies'), dependencies),
    incomplete: plan.incomplete,
    onFailure: plan.onFailure,
    policy: encodeJson(fieldOf(plan, 'policy'), keepWish(plan.policy)),
    createdAt: plan.createdAt,
  };
}

/** A kept plan as callers see it, their own copy; `CORRUPT` where what is kept cannot be one. */
export function planRecord(kept: KeptPlan): PlanRecord {
  const { id, tenant, name, provider, incomplete, onFailure, createdAt } = kept;
  const listOf = <Item extends Json>(
    field: 'resources' | 'exclude' | 'dependencies',
    isItem: (value: Json) => value is Item,
  ): readonly Item[] => {
    const items = decodeJson(fieldOf(kept, field), kept[field]);
    if (Array.isArray(items) && items.every(isItem)) return items;
    throw damaged(fieldOf(kept, field));
  };
  // A damaged word is not guessed: each choice would protect something else.
  if (incomplete !== 'refuse' && incomplete !== 'allow') throw damaged(fieldOf(kept, 'incomplete'));
  if (onFailure !== 'fail' && onFailure !== 'continue') throw damaged(fieldOf(kept, 'onFailure'));
  const policy = decodeJson(fieldOf(kept, 'policy'), kept.policy);
  if (!isWish(policy)) throw damaged(fieldOf(kept, 'policy'));
  return {
    id,
    tenant,
    name,
    provider,
    resources: listOf('resources', isResourceSelector),
    exclude: listOf('exclude', isResourceSelector),
    dependencies: listOf('dependencies', isDeclaredDependency),
    incomplete,
    onFailure,
    policy,
    createdAt,
  };
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

/** The tenant has a plan of this name or id. */
export function planExists(plan: PlanRecord): FafnirError {
  return new FafnirError(
    'ALREADY_EXISTS',
    `tenant ${plan.tenant} has a plan named ${JSON.stringify(plan.name)} or with id ${plan.id} already`,
  );
}

/** The store was closed. */
export function storeClosed(): FafnirError {
  return new FafnirError('CLOSED', 'the job store is closed');
}

function decodeJson(what: string, text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw damaged(what, cause);
  }
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

function isObject(value: Json | undefined): value is JsonObject {
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

const fieldOf = ({ id }: Pick<PlanRecord, 'id'>, field: keyof PlanRecord): string =>
  `the field ${field} of plan ${id}`;

const keepKey = ({ type, id }: ResourceKey): ResourceKey => ({ type, id });

function keepSelector(selector: ResourceSelector): JsonObject {
  if ('id' in selector) return keepKey(selector);
  const { type, tags, name, attributes } = selector;
  return { type, tags, name, attributes };
}

const keepWish = ({
  archive,
  keep,
  background,
  consistency,
  onInconsistency,
}: SnapshotPolicyWish): JsonObject => ({ archive, keep, background, consistency, onInconsistency });

const isText = (value: Json | undefined): value is string => typeof value === 'string';

// Nothing may be there that is not understood: a condition that is passed over would choose more.
function isResourceSelector(value: Json): value is ResourceSelector {
  return isObject(value) && (isResourceKey(value) || isResourceRule(value));
}

function isResourceKey(value: Json | undefined): value is ResourceKey {
  return isObject(value) && isText(value.type) && isText(value.id) && Object.keys(value).length === 2;
}

function isResourceRule({ type, tags, name, attributes, ...others }: JsonObject): boolean {
  return (
    Object.keys(others).length === 0 &&
    [type, tags, name, attributes].some((condition) => condition !== undefined) &&
    (type === undefined || isText(type)) &&
    (tags === undefined || isTagConditions(tags)) &&
    (name === undefined || isText(name)) &&
    (attributes === undefined || isObject(attributes))
  );
}

function isTagConditions(value: Json): value is NonNullable<ResourceRule['tags']> {
  return isObject(value) && Object.values(value).every((tag) => tag === null || isText(tag));
}

function isDeclaredDependency(value: Json): value is DeclaredDependency {
  return (
    isObject(value) && isResourceKey(value.from) && isResourceKey(value.to) && Object.keys(value).length === 2
  );
}

const POLICY_FIELDS: Readonly<Record<keyof SnapshotPolicy, (value: Json | undefined) => boolean>> = {
  archive: (value) => typeof value === 'boolean',
  keep: (value) => value === 'all' || (Number.isSafeInteger(value) && Number(value) >= 0),
  background: (value) => typeof value === 'boolean',
  consistency: (value) => isOneOf(value, ['none', 'crash', 'group', 'application']),
  onInconsistency: (value) => isOneOf(value, ['refuse', 'degrade']),
};

const isOneOf = (value: Json | undefined, words: readonly string[]): boolean =>
  isText(value) && words.includes(value);

function isWish(value: Json): value is SnapshotPolicyWish {
  return (
    isObject(value) &&
    Object.entries(value).every(([field, asked]) => isPolicyField(field) && POLICY_FIELDS[field](asked))
  );
}

const isPolicyField = (field: string): field is keyof SnapshotPolicy => Object.hasOwn(POLICY_FIELDS, field);
