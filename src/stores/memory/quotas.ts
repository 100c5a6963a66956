import type {
  Holdings,
  JobClaim,
  JobEnd,
  JobId,
  JobRecord,
  PlanRecord,
  Quota,
  QuotaStore,
  Reservation,
  ScheduleRecord,
  TenantId,
} from '../../core/contracts/index.ts';
import { type Asked, assertWithin, NOTHING_RESERVED } from '../quotas.ts';

type Kept = Reservation & Pick<JobRecord, 'tenant'>;

/** What the quotas of a memory store need of the rest of it. */
export interface Counted {
  /** Rejects a call of a closed store, and a claim that may not write. */
  claimed(claim: JobClaim): unknown;
  /** Rejects a call of a closed store. */
  assertOpen(): void;
  /** How many of each the tenant has. */
  counts(tenant: TenantId): Pick<Holdings['used'], 'jobs' | 'plans' | 'schedules'>;
}

/** The quotas of a memory store, and how the rest of it keeps to them. */
export interface MemoryQuotas {
  /** As the store has it. */
  readonly store: QuotaStore;
  /** Rejects what is about to be added and would be more than the tenant may have. */
  assertRoom(of: Pick<JobRecord | PlanRecord | ScheduleRecord, 'tenant'>, more: Asked, quota?: Quota): void;
  /** Adds what a job has used, and releases what it had reserved. */
  settle(job: Pick<JobRecord, 'tenant' | 'id' | 'parent'>, end: JobEnd): void;
}

/** Of each field, both together. */
const plus = (one: Reservation, other: Reservation): Reservation => ({
  checkpoints: one.checkpoints + other.checkpoints,
  protected: one.protected + other.protected,
  stored: one.stored + other.stored,
});

/** Keeps the tenants of a memory store within their quotas. */
export function memoryQuotas({ claimed, assertOpen, counts }: Counted): MemoryQuotas {
  const reservations = new Map<JobId, Kept>();
  const totals = new Map<TenantId, Reservation>();

  function holdings(tenant: TenantId): Holdings {
    const kept = [...reservations.values()].filter((one) => one.tenant === tenant);
    return {
      used: { ...counts(tenant), ...(totals.get(tenant) ?? NOTHING_RESERVED) },
      reserved: kept.reduce(plus, NOTHING_RESERVED),
    };
  }

  return {
    store: {
      async holdings(tenant) {
        assertOpen();
        return holdings(tenant);
      },
      async reserve(claim, reservation, quota) {
        claimed(claim);
        const { tenant, id } = claim.job;
        if (reservations.has(id)) return;
        const { used, reserved } = holdings(tenant);
        assertWithin(tenant, { used, reserved: plus(reserved, reservation) }, reservation, quota);
        reservations.set(id, { ...plus(NOTHING_RESERVED, reservation), tenant });
      },
    },
    assertRoom({ tenant }, more, quota) {
      if (quota === undefined) return;
      const { used, reserved } = holdings(tenant);
      const after = { ...used };
      for (const field of ['jobs', 'plans', 'schedules'] as const) after[field] += more[field] ?? 0;
      assertWithin(tenant, { used: after, reserved }, more, quota);
    },
    settle({ tenant, id, parent }, { usage }) {
      totals.set(tenant, plus(totals.get(tenant) ?? NOTHING_RESERVED, usage));
      reservations.delete(id);
      const whole = parent && reservations.get(parent);
      if (whole === undefined) return;
      const stored = Math.max(0, whole.stored - Math.max(0, usage.stored));
      reservations.set(parent as JobId, { ...whole, stored });
    },
  };
}
