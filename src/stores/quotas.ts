import type { Holdings, Quota, QuotaField, Reservation, TenantId } from '../core/contracts/index.ts';
import { type ErrorFacts, FafnirError } from '../core/errors.ts';
import { number, type Row } from './rows.ts';

const NAMES: Readonly<Record<QuotaField, string>> = {
  jobs: 'jobs at once',
  plans: 'plans',
  schedules: 'schedules',
  checkpoints: 'checkpoints',
  protected: 'bytes of volumes in checkpoints',
  stored: 'bytes in banks',
};
// Jobs end by themselves.
const PASSING: ErrorFacts = { retryable: true, hint: 'Try again when one of the jobs has ended.' };

/** What a tenant asks for. */
export type Asked = Partial<Readonly<Record<QuotaField, number>>>;

/** Of nothing, nothing is reserved. */
export const NOTHING_RESERVED: Reservation = { checkpoints: 0, protected: 0, stored: 0 };

/**
 * `QUOTA_EXCEEDED` where a tenant has more of what it asks for than its quota. `holdings` are those with what is asked for, in
 * a transaction that is undone where this throws.
 */
export function assertWithin(tenant: TenantId, holdings: Holdings, asked: Asked, quota: Quota): void {
  for (const [name, more] of Object.entries(asked)) {
    const field = name as QuotaField;
    const allowed = quota[field] ?? Number.POSITIVE_INFINITY;
    const reserved = field in holdings.reserved ? holdings.reserved[field as keyof Reservation] : 0;
    const used = holdings.used[field];
    if (more === 0 || used + reserved <= allowed) continue;
    // What is counted at once is among what is used by now, and what is reserved among that.
    const [usedBefore, reservedBefore] =
      field in NOTHING_RESERVED ? [used, reserved - more] : [used - more, 0];
    throw new FafnirError(
      'QUOTA_EXCEEDED',
      `tenant ${tenant} may have ${allowed} ${NAMES[field]}: ${usedBefore} used, ${reservedBefore} reserved by jobs, ${more} asked for`,
      field === 'jobs' ? PASSING : {},
    );
  }
}

/** Holdings as their row has them: columns named by field, and those of what is reserved with `reserved_` before. */
export const holdingsOf = (row: Row): Holdings => ({
  used: {
    jobs: number(row, 'jobs'),
    plans: number(row, 'plans'),
    schedules: number(row, 'schedules'),
    checkpoints: number(row, 'checkpoints'),
    protected: number(row, 'protected'),
    stored: number(row, 'stored'),
  },
  reserved: {
    checkpoints: number(row, 'reserved_checkpoints'),
    protected: number(row, 'reserved_protected'),
    stored: number(row, 'reserved_stored'),
  },
});

/** The query for a row of {@link holdingsOf}; `table` names a table, `tenant` stands for the tenant, `whole` makes a number of a sum. */
export function holdingsQuery(
  table: (name: string) => string,
  tenant: string,
  whole: (sum: string) => string,
): string {
  const count = (name: string, as: string, where = ''): string =>
    `(SELECT ${whole('count(*)')} FROM ${table(name)} WHERE tenant = ${tenant}${where}) AS ${as}`;
  const sum = (name: string, column: string, as = column): string =>
    `(SELECT ${whole(`coalesce(sum(${column}), 0)`)} FROM ${table(name)} WHERE tenant = ${tenant}) AS ${as}`;
  return `SELECT ${[
    count('jobs', 'jobs', ' AND outcome IS NULL AND parent IS NULL'),
    count('plans', 'plans'),
    count('schedules', 'schedules'),
    ...Object.keys(NOTHING_RESERVED).flatMap((column) => [
      sum('quota_totals', column),
      sum('quota_reservations', column, `reserved_${column}`),
    ]),
  ].join(', ')}`;
}
