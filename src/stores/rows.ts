import type {
  JobId,
  JobRecord,
  JobTemplateRecord,
  PlanId,
  PlanRecord,
  ScheduleId,
  ScheduleRecord,
  TenantId,
  UsageRecord,
} from '../core/contracts/index.ts';
import { planRecord } from './plan-records.ts';
import { damaged, isJobState, jobRecord, type KeptJob, type Mutable } from './records.ts';
import { scheduleRecord } from './schedule-records.ts';
import { type KeptTemplate, templateRecord } from './template-records.ts';
import { usageRecord } from './usage.ts';

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

/** A number column that may be null. */
export function numberOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : number(row, column);
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
    template: textOrNull(row, 'template'),
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
  if (row.started_at !== null) kept.startedAt = number(row, 'started_at');
  if (row.ended_at !== null) kept.endedAt = number(row, 'ended_at');
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
    retention: text(row, 'retention'),
    createdAt: number(row, 'created_at'),
  });
}

/** A template as its row keeps it. */
export const keptTemplateOf = (row: Row): KeptTemplate => ({
  tenant: text(row, 'tenant') as TenantId,
  name: text(row, 'name'),
  asked: text(row, 'asked'),
});

/** A template as its row has it; `CORRUPT` where that cannot be one. */
export const templateOf = (row: Row): JobTemplateRecord => templateRecord(keptTemplateOf(row));

/** What an ended job used, as its row has it; `CORRUPT` where that cannot be. */
export function usageOf(row: Row): UsageRecord {
  const id = text(row, 'id') as JobId;
  const state = text(row, 'state');
  if (!isJobState(state) || state === 'queued' || state === 'running')
    throw damaged(`the state of job ${id}`);
  return usageRecord({
    id,
    tenant: text(row, 'tenant') as TenantId,
    actor: text(row, 'actor'),
    operation: text(row, 'operation'),
    parent: textOrNull(row, 'parent') as JobId | null,
    state,
    createdAt: number(row, 'created_at'),
    startedAt: number(row, 'started_at'),
    endedAt: number(row, 'ended_at'),
    usage: text(row, 'usage'),
  });
}

/** Whose schedule a row is about. */
export const scheduleKeyOf = (row: Row): Pick<ScheduleRecord, 'tenant' | 'id'> => ({
  tenant: text(row, 'tenant') as TenantId,
  id: text(row, 'id') as ScheduleId,
});

/** A schedule as its row has it, with `by_site`, `by_plan` and `by_schedule` for who pauses it; `CORRUPT` where that cannot be one. */
export function scheduleOf(row: Row): ScheduleRecord {
  const kept = {
    ...scheduleKeyOf(row),
    plan: text(row, 'plan') as PlanId,
    site: text(row, 'site'),
    asked: text(row, 'asked'),
    next: numberOrNull(row, 'next'),
    wakeAt: numberOrNull(row, 'wake_at'),
    revision: number(row, 'revision'),
    lastJob: textOrNull(row, 'last_job') as JobId | null,
    resumedAt: number(row, 'resumed_at'),
  };
  const kinds = (['site', 'plan', 'schedule'] as const).filter((kind) => flag(row, `by_${kind}`));
  return scheduleRecord(kept, kinds);
}
