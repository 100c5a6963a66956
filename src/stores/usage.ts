import * as z from 'zod';
import type { JobEnd, JobRecord, JobUsage, UsageRecord } from '../core/contracts/index.ts';
import { encodeJson } from '../core/json-text.ts';
import { damaged, type Mutable } from './records.ts';

const count = z.int();
// Records of before these were counted have none.
const countOrNone = count.default(0);
const nameOrNull = z.string().nullable();
const usageSchema = z.object({
  provider: nameOrNull,
  plan: nameOrNull,
  checkpoint: nameOrNull,
  logical: count,
  changed: count,
  array: count,
  stored: count,
  checkpoints: countOrNone,
  protected: countOrNone,
  banks: z.array(
    z.object({
      bank: z.string(),
      stored: count,
      corrected: count,
      checkpoints: countOrNone,
      protected: countOrNone,
    }),
  ),
  calls: z.object({ arrays: count, banks: count }),
  isWhole: z.boolean(),
});

/** What stores keep of an ended job to tell what it used; `usage` is JSON. */
export type KeptUsage = Pick<JobRecord, 'id' | 'tenant' | 'actor' | 'operation' | 'createdAt'> &
  Required<Pick<JobRecord, 'startedAt' | 'endedAt'>> & {
    /** The job that it is a part of, or null. */
    readonly parent: JobRecord['parent'] | null;
    /** How it ended. */
    readonly state: UsageRecord['state'];
    /** What it used, as JSON. */
    readonly usage: string;
  };

/** Usage to keep: what the contract knows of it, and nothing else. */
export function keepUsage(job: Pick<JobRecord, 'id'>, { usage }: JobEnd): string {
  const what = usageOf(job);
  const parsed = usageSchema.safeParse(usage);
  if (!parsed.success) throw new TypeError(`${what}: ${z.prettifyError(parsed.error)}`);
  return encodeJson(what, parsed.data);
}

/** Kept usage as callers see it; `CORRUPT` where what is kept cannot be one. */
export function usageRecord(kept: KeptUsage): UsageRecord {
  const { id: job, tenant, actor, operation, parent, state, createdAt, startedAt, endedAt } = kept;
  try {
    const used = usageSchema.parse(JSON.parse(kept.usage)) as JobUsage;
    const record: Mutable<UsageRecord> = {
      ...used,
      job,
      tenant,
      actor,
      operation,
      state,
      createdAt,
      startedAt,
      endedAt,
    };
    if (parent !== null && parent !== undefined) record.parent = parent;
    return record;
  } catch (cause) {
    throw damaged(usageOf(kept), cause);
  }
}

const usageOf = ({ id }: Pick<JobRecord, 'id'>): string => `the usage of job ${id}`;
