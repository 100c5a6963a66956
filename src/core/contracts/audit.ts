import type { TenantId } from './identity.ts';
import type { JobOutcome } from './job.ts';

/** What was done. */
export type AuditAction =
  /** A job was asked for: by a call, by a schedule, or by a job that goes on with another. */
  | 'job.submitted'
  /** A job's end was asked for. */
  | 'job.cancel-requested'
  /** A job has ended. */
  | 'job.ended'
  /** A job has made a checkpoint. */
  | 'checkpoint.committed'
  /** A job has found out that an array called bytes unchanged that were not. */
  | 'array.distrusted'
  | 'plan.created'
  | 'plan.removed'
  | 'schedule.created'
  | 'schedule.removed'
  /** A schedule, all of a plan, or all of a site stand still. */
  | 'schedule.paused'
  | 'schedule.resumed'
  /** Ticks of a schedule were not fired, for the reason that `object` has. */
  | 'schedule.missed'
  /** A template of a tenant was written, or says something else than before. */
  | 'template.stored'
  | 'template.removed'
  /** Somebody began to look for what ended jobs left behind, and to remove it. */
  | 'reconcile.started';

/** Something that was done, to be recorded with it. */
export type AuditEntry = {
  /** When, milliseconds since 1970 UTC by the clock of the host that asked. */
  readonly at: number;
  /** Who did it, or in whose name it was done. */
  readonly actor: string;
  /** What was done. */
  readonly action: AuditAction;
  /** To what: names and ids by what they are, such as `job`, `operation`, `plan` and `checkpoint`. No secret is ever in it. */
  readonly object: Readonly<Record<string, string>>;
  /** Why, as the caller said. */
  readonly reason?: string;
  /** How a job ended, with the code of its error where it has one. */
  readonly outcome?: {
    /** The final state. */
    readonly state: JobOutcome['state'];
    /** The stable code. */
    readonly code?: string;
  };
  /** Names of the notifiers that are to hear of it; no part of the record. */
  readonly notify?: readonly string[];
};

/** A link of a chain: what was done, and the digest of all that is before it. */
export type AuditRecord = Omit<AuditEntry, 'notify'> & {
  /** Whose chain; null for the chain of the installation's operators, which is about no tenant alone. */
  readonly tenant: TenantId | null;
  /** Its place in the chain: 1, 2, 3 and so on without a gap. */
  readonly number: number;
  /** `hash` of the record before; 64 zeros in the first one. */
  readonly previous: string;
  /** SHA-256 over the canonical JSON (RFC 8785) of the record without this member: 64 characters of a-f 0-9. */
  readonly hash: string;
};

/** The end of a chain: number and hash of its last record; 0 and 64 zeros where there is none. */
export type AuditHead = Pick<AuditRecord, 'number' | 'hash'>;

/** Which records of a chain. */
export type AuditFilter = {
  /** Those of this time and later, milliseconds since 1970 UTC. Clocks of hosts differ: the number is the order. */
  readonly from?: number;
  /** Those before this time. */
  readonly until?: number;
  /** Those with a higher number. */
  readonly after?: number;
};

/**
 * What was done, in a chain for each tenant and one for the operators: each record has the digest of the one before, so
 * that no record can be changed, removed or put in without all that follow being written anew. Records are only ever
 * added. Calls that change something take an entry and add its record in their own transaction; where nothing is changed,
 * and where the call rejects, no record is added. Appends of any number of hosts to one chain follow one another.
 */
export interface AuditLog {
  /** Adds a record that tells of no change in the store. */
  append(tenant: TenantId | null, entry: AuditEntry): Promise<AuditRecord>;
  /** The records of a chain in ascending order of number; ends with `CORRUPT` at one that can no longer be read. */
  list(tenant: TenantId | null, filter: AuditFilter): AsyncIterable<AuditRecord>;
  /** The end of a chain; `CORRUPT` where the last record can no longer be read. */
  head(tenant: TenantId | null): Promise<AuditHead>;
}
