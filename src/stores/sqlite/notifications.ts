import type { AuditEntry, NotificationStore } from '../../core/contracts/index.ts';
import { chainOf, type KeptAudit, keptAudit } from '../audit.ts';
import { keepError, keptNotification, notificationClaim, notificationRecord } from '../notifications.ts';
import { number, type Row, text } from '../rows.ts';
import type { Database } from './database.ts';

const PAGE = 100;
const ONE = 'chain = ? AND number = ? AND notifier = ?';
const DUE = `SELECT chain, number FROM notifications INDEXED BY notifications_due
  WHERE notifier = ? AND state = 'waiting' AND due_at <= ? ORDER BY due_at, chain, number LIMIT 1`;

/** Adds the notifications of a record. Called inside the transaction of the record. */
export function notify(database: Database, { chain, number, at }: KeptAudit, entry: AuditEntry): void {
  for (const notifier of entry.notify ?? []) {
    database.run(
      `INSERT INTO notifications (chain, number, notifier, state, due_at, attempts, epoch)
       VALUES (?, ?, ?, 'waiting', ?, 0, 0)`,
      chain,
      number,
      notifier,
      at,
    );
  }
}

/** The notifications of a SQLite job store. */
export function sqliteNotifications(database: Database): NotificationStore {
  return {
    async claim({ notifier, now, leaseUntil }) {
      // Most often there is none, and then nothing is locked.
      if (database.all(DUE, notifier, now).length === 0) return undefined;
      const [claimed, told] = database.transaction(() => {
        const [due] = database.all(DUE, notifier, now);
        if (due === undefined) return [];
        const place = [text(due, 'chain'), number(due, 'number')] as const;
        const [row] = database.all(
          `UPDATE notifications SET due_at = ?, attempts = attempts + 1, epoch = epoch + 1
           WHERE ${ONE} RETURNING *`,
          leaseUntil,
          ...place,
          notifier,
        );
        const [record] = database.all('SELECT * FROM audit WHERE chain = ? AND number = ?', ...place);
        return [row, record];
      });
      // Read after the commit: one that is damaged does not keep others from being claimed.
      return claimed && notificationClaim(keptNotification(claimed), told && keptAudit(told));
    },
    async settle({ tenant, number, notifier, epoch }, outcome) {
      const which = [chainOf(tenant), number, notifier, epoch] as const;
      const claimed = `${ONE} AND epoch = ? AND state = 'waiting'`;
      const settled =
        outcome.state === 'delivered'
          ? database.run(`DELETE FROM notifications WHERE ${claimed}`, ...which)
          : database.run(
              `UPDATE notifications SET state = ?, due_at = ?, error = ? WHERE ${claimed}`,
              outcome.state,
              outcome.dueAt,
              keepError(outcome),
              ...which,
            );
      return settled === 1;
    },
    async *list({ tenant, notifier = null, state = null }) {
      const chain = tenant === undefined ? null : chainOf(tenant);
      let after: [string, number, string] = ['', 0, ''];
      let page: readonly Row[];
      do {
        page = database.all(
          `SELECT * FROM notifications WHERE (chain, number, notifier) > (?, ?, ?)
             AND chain = coalesce(?, chain) AND notifier = coalesce(?, notifier) AND state = coalesce(?, state)
           ORDER BY chain, number, notifier LIMIT ?`,
          ...after,
          chain,
          notifier,
          state,
          PAGE,
        );
        for (const row of page) {
          const kept = keptNotification(row);
          after = [kept.chain, kept.number, kept.notifier];
          yield notificationRecord(kept);
        }
      } while (page.length === PAGE);
    },
    async resend({ tenant, number, notifier }, now) {
      const resent = database.run(
        `UPDATE notifications SET state = 'waiting', due_at = ?, attempts = 0, epoch = epoch + 1
         WHERE ${ONE} AND state = 'dead'`,
        now,
        chainOf(tenant),
        number,
        notifier,
      );
      return resent === 1;
    },
  };
}
