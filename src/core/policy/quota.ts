import * as z from 'zod';
import type { Holdings, Quota, QuotaField, TenantId } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { strictOptions } from '../options.ts';

/** Tells what a tenant may have at this moment; asked whenever something is to be added. */
export type QuotaSource = (tenant: TenantId) => Quota | Promise<Quota>;

/** The same, asked safely; undefined where there are no quotas. */
export type QuotaOf = (tenant: TenantId) => Promise<Quota | undefined>;

/** What a tenant has of one thing. */
export type QuotaUse = {
  /** What is there. */
  readonly used: number;
  /** What jobs under way may still add. */
  readonly reserved: number;
  /** What there may be at most; null where there is no limit. */
  readonly allowed: number | null;
};

/** What a tenant has of each thing that can be limited. */
export type QuotaStanding = Readonly<Record<QuotaField, QuotaUse>>;

const most = z.int().min(0).exactOptional();
const quotaSchema = strictOptions({
  jobs: most,
  plans: most,
  schedules: most,
  checkpoints: most,
  protected: most,
  stored: most,
}) satisfies z.ZodType<Quota>;

/** Asks the host; what it answers that can be no quota is `WRONG_ANSWER`. */
export function quotasFrom(source: QuotaSource | undefined): QuotaOf {
  if (source === undefined) return async () => undefined;
  return async (tenant) => {
    const what = `the quota of tenant ${tenant}`;
    let answer: Quota;
    try {
      answer = await source(tenant);
    } catch (error) {
      throw FafnirError.from(error, 'PLUGIN_FAILED', what);
    }
    const parsed = quotaSchema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new FafnirError('WRONG_ANSWER', `${what}: ${z.prettifyError(parsed.error)}`);
  };
}

/** What a tenant has, beside what it may have. */
export function standingOf({ used, reserved }: Holdings, quota: Quota = {}): QuotaStanding {
  const use = (field: QuotaField, held = 0): QuotaUse => ({
    used: used[field],
    reserved: held,
    allowed: quota[field] ?? null,
  });
  return {
    jobs: use('jobs'),
    plans: use('plans'),
    schedules: use('schedules'),
    checkpoints: use('checkpoints', reserved.checkpoints),
    protected: use('protected', reserved.protected),
    stored: use('stored', reserved.stored),
  };
}
