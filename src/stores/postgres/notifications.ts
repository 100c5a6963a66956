import type { AuditEntry, NotificationStore } from '../../core/contracts/index.ts';
import { chainOf, type KeptAudit, keptAudit } from '../audit.ts';
import { keepError, keptNotification, notificationClaim, notificationRecord } from '../notifications.ts';
import type { Row } from '../rows.ts';
import type { Database, Queries } from './database.ts';

const PAGE = 100;
const NUMBER = 'number::double precision AS number';
const COLUMNS = `chain, ${NUMBER}, notifier, state, due_at, attempts, epoch, error`;
const ONE = 'chain = $1 AND number = $2 AND notifier = $3';
// What another host is about to take is passed over.
const CLAIM = `WITH first AS MATERIALIZED
    (SELECT chain, number FROM @notifications
      WHERE notifier = $1 AND state = 'waiting' AND due_at <= $2
      ORDER BY due_at, chain, number LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
  UPDATE @notifications SET due_at = $3, attempts = attempts + 1, epoch = epoch + 1
  WHERE (chain, number) = (SELECT chain, number FROM first) AND notifier = $1 RETURNING ${COLUMNS}`;

/** Adds the notifications of a record. Called inside the transaction of the record. */
export async function notify(
  queries: Queries,
  { chain, number, at }: KeptAudit,
  entry: AuditEntry,
): Promise<void> {
  if (entry.notify === undefined || entry.notify.length === 0) return;
  await queries.all(
    `INSERT INTO @notifications (chain, number, notifier, state, due_at, attempts, epoch)
     SELECT $1, $2, notifier, 'waiting', $3, 0, 0 FROM unnest($4::text[]) AS notifier`,
    chain,
    number,
    at,
    entry.notify,
  );
}

/** The notifications of a PostgreSQL job store. */
export function postgresNotifications(database: Database): NotificationStore {
  return {
    async claim({ notifier, now, leaseUntil }) {
      const [row] = await database.all(CLAIM, notifier, now, leaseUntil);
      if (row === undefined) return undefined;
      // Read after the commit: one that is damaged does not keep others from being claimed.
      const kept = keptNotification(row);
      const [told] = await database.all(
        `SELECT chain, ${NUMBER}, at, hash, record FROM @audit WHERE chain = $1 AND number = $2`,
        kept.chain,
        kept.number,
      );
      return notificationClaim(kept, told && keptAudit(told));
    },
    async settle({ tenant, number, notifier, epoch }, outcome) {
      const which = [chainOf(tenant), number, notifier, epoch];
      const claimed = `${ONE} AND epoch = $4 AND state = 'waiting'`;
      const [settled] =
        outcome.state === 'delivered'
          ? await database.all(`DELETE FROM @notifications WHERE ${claimed} RETURNING notifier`, ...which)
          : await database.all(
              `UPDATE @notifications SET state = $5, due_at = $6, error = $7 WHERE ${claimed} RETURNING notifier`,
              ...which,
              outcome.state,
              outcome.dueAt,
              keepError(outcome),
            );
      return settled !== undefined;
    },
    async *list({ tenant, notifier = null, state = null }) {
      const chain = tenant === undefined ? null : chainOf(tenant);
      let after: [string, number, string] = ['', 0, ''];
      let page: readonly Row[];
      do {
        page = await database.all(
          `SELECT ${COLUMNS} FROM @notifications AS kept
           WHERE (chain, kept.number, notifier) > ($1, $2, $3)
             AND ($4::text IS NULL OR chain = $4) AND ($5::text IS NULL OR notifier = $5)
             AND ($6::text IS NULL OR state = $6)
           ORDER BY chain, kept.number, notifier LIMIT $7`,
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
      const [resent] = await database.all(
        `UPDATE @notifications SET state = 'waiting', due_at = $4, attempts = 0, epoch = epoch + 1
         WHERE ${ONE} AND state = 'dead' RETURNING notifier`,
        chainOf(tenant),
        number,
        notifier,
        now,
      );
      return resent !== undefined;
    },
  };
}
