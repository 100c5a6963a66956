import type { JobId, JobRecord, PlanId, PlanRecord, TenantId } from '../core/contracts/index.ts';
import { damaged, isJobState, jobRecord, type KeptJob, type Mutable, planRecord } from './records.ts';

/** A row as a database returned it. */
export type Row = Readonly<Record<string, unknown>>;

/** A text column. */
export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw damaged(`column ${column}`);
  return value;
}

/** A text column that may be null. */
export function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : text(row, column);
}

/** A number column. */
export function number(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw damaged(`column ${column}`);
  return value;
}

/** A column that is true or false, or 1 or 0 where a database has no such type. */
export function flag(row: Row, column: string): boolean {
  const value = row[column];
  if (typeof value === 'boolean') return value;
  return number(row, column) === 1;
}

/** A job as its row has it; `CORRUPT` where that cannot be one. */
export function jobOf(row: Row): JobRecord {
  const state = text(row, 'state');
  if (!isJobState(state)) throw damaged(`the state of job ${text(row, 'id')}`);
  const kept: Mutable<KeptJob> = {
    id: text(row, 'id') as JobId,
    tenant: text(row, 'tenant') as TenantId,
    actor: text(row, 'actor'),
    operation: text(row, 'operation'),
    operationVersion: number(row, 'operation_version'),
    input: text(row, 'input'),
    createdAt: number(row, 'created_at'),
    state,
    epoch: number(row, 'epoch'),
    leaseUntil: number(row, 'lease_until'),
    notBefore: number(row, 'not_before'),
    cancelRequested: flag(row, 'cancel_requested'),
    outcome: textOrNull(row, 'outcome'),
  };
  if (row.parent !== null) kept.parent = text(row, 'parent') as JobId;
  return jobRecord(kept);
}

/** A plan as its row has it; `CORRUPT` where that cannot be one. */
export function planOf(row: Row): PlanRecord {
  return planRecord({
    id: text(row, 'id') as PlanId,
    tenant: text(row, 'tenant') as TenantId,
    name: text(row, 'name'),
    provider: text(row, 'provider'),
    resources: text(row, 'resources'),
    exclude: text(row, 'exclude'),
    dependencies: text(row, 'dependencies'),
    incomplete: text(row, 'incomplete'),
    onFailure: text(row, 'on_failure'),
    policy: text(row, 'policy'),
    createdAt: number(row, 'created_at'),
  });
}
