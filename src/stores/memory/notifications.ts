import type { AuditEntry, NotificationKey, NotificationStore } from '../../core/contracts/index.ts';
import { chainOf, type KeptAudit } from '../audit.ts';
import { keepError, type KeptNotification, notificationClaim, notificationRecord } from '../notifications.ts';

/** The notifications of a memory store. */
export interface MemoryNotifications {
  /** The contract's part. */
  readonly store: NotificationStore;
  /** Adds those of a record. */
  notify(record: KeptAudit, entry: Pick<AuditEntry, 'notify'>): void;
}

const keyOf = ({
  chain,
  number,
  notifier,
}: Pick<KeptNotification, 'chain' | 'number' | 'notifier'>): string =>
  JSON.stringify([chain, number, notifier]);
const asked = ({ tenant, number, notifier }: NotificationKey) => ({
  chain: chainOf(tenant),
  number,
  notifier,
});
const compare = (one: string | number, other: string | number): number =>
  one < other ? -1 : Number(one > other);

/** The notifications of a memory store, about records that `told` finds. */
export function memoryNotifications(
  assertOpen: () => void,
  told: (chain: string, number: number) => KeptAudit | undefined,
): MemoryNotifications {
  const all = new Map<string, KeptNotification>();
  const put = (kept: KeptNotification): void => {
    all.set(keyOf(kept), kept);
  };
  const inOrder = (one: KeptNotification, other: KeptNotification): number =>
    compare(one.chain, other.chain) ||
    compare(one.number, other.number) ||
    compare(one.notifier, other.notifier);

  return {
    notify({ chain, number, at }, { notify = [] }) {
      for (const notifier of notify) {
        put({ chain, number, notifier, state: 'waiting', dueAt: at, attempts: 0, epoch: 0, error: null });
      }
    },
    store: {
      async claim({ notifier, now, leaseUntil }) {
        assertOpen();
        const [first] = [...all.values()]
          .filter((one) => one.notifier === notifier && one.state === 'waiting' && one.dueAt <= now)
          .sort((one, other) => compare(one.dueAt, other.dueAt) || inOrder(one, other));
        if (first === undefined) return undefined;
        const { attempts, epoch } = first;
        const claimed = { ...first, dueAt: leaseUntil, attempts: attempts + 1, epoch: epoch + 1 };
        put(claimed);
        return notificationClaim(claimed, told(claimed.chain, claimed.number));
      },
      async settle(claim, outcome) {
        assertOpen();
        const kept = all.get(keyOf(asked(claim)));
        if (kept?.epoch !== claim.epoch || kept.state !== 'waiting') return false;
        if (outcome.state === 'delivered') return all.delete(keyOf(kept));
        put({ ...kept, state: outcome.state, dueAt: outcome.dueAt, error: keepError(outcome) });
        return true;
      },
      async *list({ tenant, notifier, state }) {
        assertOpen();
        for (const kept of [...all.values()].sort(inOrder)) {
          const isAsked =
            (tenant === undefined || kept.chain === chainOf(tenant)) &&
            (notifier === undefined || kept.notifier === notifier) &&
            (state === undefined || kept.state === state);
          if (isAsked) yield notificationRecord(kept);
        }
      },
      async resend(key, now) {
        assertOpen();
        const kept = all.get(keyOf(asked(key)));
        if (kept?.state !== 'dead') return false;
        put({ ...kept, state: 'waiting', dueAt: now, attempts: 0, epoch: kept.epoch + 1 });
        return true;
      },
    },
  };
}
