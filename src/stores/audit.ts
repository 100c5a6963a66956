import * as z from 'zod';
import { followingRecord, NO_RECORDS } from '../core/audit.ts';
import type { AuditEntry, AuditHead, AuditRecord, PauseScope, TenantId } from '../core/contracts/index.ts';
import { encodeJson } from '../core/json-text.ts';
import { damaged } from './records.ts';
import { number, type Row, text } from './rows.ts';

// Members that a later version adds are part of the digest, and stay.
const recordSchema = z.looseObject({
  tenant: z.string().nullable(),
  number: z.int(),
  at: z.number(),
  actor: z.string(),
  action: z.string(),
  object: z.record(z.string(), z.string()),
  reason: z.string().exactOptional(),
  outcome: z.looseObject({ state: z.string(), code: z.string().exactOptional() }).exactOptional(),
  previous: z.string(),
  hash: z.string(),
});

/** A record as stores keep it: columns to find it, and to follow it even where its text is damaged. */
export type KeptAudit = Pick<AuditRecord, 'number' | 'at' | 'hash'> & {
  /** Which chain. */
  readonly chain: string;
  /** The record as JSON. */
  readonly record: string;
};

/** The name of a tenant's chain; no tenant's id is empty, so that the operators' chain has a name of its own. */
export const chainOf = (tenant: TenantId | null): string => tenant ?? '';

/** In whose chain a pause is told. */
export const tenantOf = (scope: PauseScope): TenantId | null => (scope.kind === 'site' ? null : scope.tenant);

/** The record of an entry to keep behind the head of its chain. */
export function keepAudit(tenant: TenantId | null, entry: AuditEntry, head: AuditHead): KeptAudit {
  const record = followingRecord(tenant, entry, head);
  const { number, at, hash } = record;
  return { chain: chainOf(tenant), number, at, hash, record: encodeJson('an audit record', record) };
}

/** A kept record as callers see it, their own copy; `CORRUPT` where what is kept cannot be one. Whether it is true the chain tells. */
export function auditRecord({ chain, number: place, at, hash, record: json }: KeptAudit): AuditRecord {
  const what = `audit record ${place}${chain === '' ? '' : ` of tenant ${chain}`}`;
  try {
    const record = recordSchema.parse(JSON.parse(json)) as AuditRecord;
    const { number, tenant } = record;
    const isFound = number === place && chainOf(tenant) === chain && record.at === at && record.hash === hash;
    if (isFound) return record;
  } catch (cause) {
    throw damaged(what, cause);
  }
  throw damaged(what);
}

/** The end of a chain as the row of its last record has it, where there is one. */
export const headIn = (row: Row | undefined): AuditHead =>
  row === undefined ? NO_RECORDS : { number: number(row, 'number'), hash: text(row, 'hash') };

/** A record as its row has it. */
export const keptAudit = (row: Row): KeptAudit => ({
  chain: text(row, 'chain'),
  number: number(row, 'number'),
  at: number(row, 'at'),
  hash: text(row, 'hash'),
  record: text(row, 'record'),
});

/** A record as callers see that of a row; `CORRUPT` where that cannot be one. */
export const auditOf = (row: Row): AuditRecord => auditRecord(keptAudit(row));
