import type { JobId, TenantId } from './identity.ts';
import type { Json, JsonObject } from './json.ts';
import type { JobTemplateReference } from './template.ts';

/** Where a job is. The last three are final. */
export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** An error as a record: what a later reader needs, nothing secret. */
export type ErrorRecord = {
  /** The stable code. */
  readonly code: string;
  /** What happened. */
  readonly message: string;
  /** Whether trying again may help. */
  readonly retryable: boolean;
  /** What to do. */
  readonly hint: string;
};

/** The end of a job that did what it was asked. */
export type JobSuccess = {
  /** The final state. */
  readonly state: 'succeeded';
  /** What it made; at most 256 KiB as JSON. */
  readonly result: JsonObject;
};

/** The end of a job that did not, and undid what it had done. */
export type JobFailure = {
  /** The final state. */
  readonly state: 'failed' | 'cancelled';
  /** Why. */
  readonly error: ErrorRecord;
};

/** How a job ended. */
export type JobOutcome = JobSuccess | JobFailure;

/** A job to be run. */
export type NewJob = {
  /** Made by the caller, so that a repeat of `enqueue` is found. */
  readonly id: JobId;
  /** Whose job. */
  readonly tenant: TenantId;
  /** Who asked. */
  readonly actor: string;
  /** Which operation. */
  readonly operation: string;
  /** The version of the operation's code; a job keeps the one it began with. */
  readonly operationVersion: number;
  /** The job that this one is a part of, which waits for it. */
  readonly parent?: JobId;
  /** The template that it was made from, where it was. */
  readonly template?: JobTemplateReference;
  /** What to do; references to secrets only. At most 256 KiB as JSON. */
  readonly input: JsonObject;
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
};

/** A job as the store knows it. */
export type JobRecord = NewJob & {
  /** Where it is. */
  readonly state: JobState;
  /** How often it was claimed. Every write of a worker names the epoch of its claim. */
  readonly epoch: number;
  /** The claim ends at this time unless extended, milliseconds since 1970 UTC; 0 when never claimed. */
  readonly leaseUntil: number;
  /** Nobody takes it before this time, milliseconds since 1970 UTC; 0 unless it is postponed and not yet cancelled. */
  readonly notBefore: number;
  /** A person or program asked for its end. */
  readonly cancelRequested: boolean;
  /** When it was first claimed, milliseconds since 1970 UTC by the worker's clock; left out when never. */
  readonly startedAt?: number;
  /** When it ended, milliseconds since 1970 UTC by the worker's clock; left out until then. */
  readonly endedAt?: number;
  /** How it ended, in a final state. */
  readonly outcome?: JobOutcome;
};

/** Something that a job needs for itself while it runs, against other work that would disturb it. */
export type ResourceLease = {
  /** What is needed, as a name that all jobs of the tenant share, such as a volume or a checkpoint. */
  readonly resource: string;
  /** What the job does to it. */
  readonly kind: string;
  /** Kinds that no other job may hold the resource for; two jobs conflict where either excludes the other's kind. */
  readonly excludes: readonly string[];
};

/** One of the places under a name that all jobs of a store share, of whatever tenant. */
export type Place = {
  /** Such as that of a bank. */
  readonly name: string;
  /** How many claims may have one at once, this one included; at least 1. */
  readonly limit: number;
};

/** Which job holds a resource that another wanted. */
export type ResourceHolder = {
  /** What was wanted. */
  readonly resource: string;
  /** The job that holds it, of the same tenant. */
  readonly job: JobId;
  /** What it does to it. */
  readonly kind: string;
};

/** A worker's right to write to a job, until another claims it: the job's tenant, id and epoch. */
export type JobClaim = {
  /** The job as it was when claimed; its epoch is the one that this claim writes with. */
  readonly job: JobRecord;
};

/** Written before an effect: from here on it may exist. */
export type StepIntent = {
  /** The step's name, unique in the job. */
  readonly step: string;
  /** Tells rows apart. */
  readonly kind: 'intent';
  /** Digest of what the step was given: 32 characters of a-f 0-9. Left out where that follows from the name. */
  readonly input?: string;
};

/** Written when a step has ended: a resumed job uses the value instead of running the step. */
export type StepResult = {
  /** The step's name, unique in the job. */
  readonly step: string;
  /** Tells rows apart. */
  readonly kind: 'result';
  /** As in {@link StepIntent}. */
  readonly input?: string;
  /** What the step came to; at most 256 KiB as JSON. */
  readonly value: Json;
};

/** A row of a job's journal. A step has at most one intent and one result. */
export type StepRow = StepIntent | StepResult;
