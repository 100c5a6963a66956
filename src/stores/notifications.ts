import * as z from 'zod';
import type {
  NotificationClaim,
  NotificationError,
  NotificationOutcome,
  NotificationRecord,
  TenantId,
} from '../core/contracts/index.ts';
import { encodeJson } from '../core/json-text.ts';
import { auditRecord, type KeptAudit } from './audit.ts';
import { damaged } from './records.ts';
import { number, type Row, text, textOrNull } from './rows.ts';

const errorSchema = z.object({ code: z.string(), message: z.string() });

/** A notification as stores keep it. */
export type KeptNotification = Pick<
  NotificationClaim,
  'notifier' | 'number' | 'attempts' | 'dueAt' | 'epoch'
> & {
  /** Which chain. */
  readonly chain: string;
  /** Its word, checked when it is read. */
  readonly state: string;
  /** Why the last try failed, as JSON, or null where none has. */
  readonly error: string | null;
};

/** Why a try failed, to keep; null for one that did not. */
export function keepError(outcome: NotificationOutcome): string | null {
  if (outcome.state === 'delivered') return null;
  const { code, message } = outcome.error;
  return encodeJson('an error', { code, message });
}

/** A kept notification as callers see it; `CORRUPT` where what is kept cannot be one. */
export function notificationRecord(kept: KeptNotification): NotificationRecord {
  const { chain, number: place, notifier, state, attempts, dueAt } = kept;
  if (state !== 'waiting' && state !== 'dead') throw damaged(whatOf(kept));
  const tenant = chain === '' ? null : (chain as TenantId);
  const record: NotificationRecord = { tenant, number: place, notifier, state, attempts, dueAt };
  return kept.error === null ? record : { ...record, error: errorIn(kept, kept.error) };
}

/** A kept notification as the one who claims it sees it; `CORRUPT` where its record can no longer be read. */
export function notificationClaim(kept: KeptNotification, told: KeptAudit | undefined): NotificationClaim {
  if (told === undefined) throw damaged(whatOf(kept));
  return { ...notificationRecord(kept), epoch: kept.epoch, record: auditRecord(told) };
}

/** A notification as its row has it. */
export const keptNotification = (row: Row): KeptNotification => ({
  chain: text(row, 'chain'),
  number: number(row, 'number'),
  notifier: text(row, 'notifier'),
  state: text(row, 'state'),
  dueAt: number(row, 'due_at'),
  attempts: number(row, 'attempts'),
  epoch: number(row, 'epoch'),
  error: textOrNull(row, 'error'),
});

const whatOf = ({ chain, number: place, notifier }: KeptNotification): string =>
  `what ${notifier} is to hear of audit record ${place}${chain === '' ? '' : ` of tenant ${chain}`}`;

function errorIn(kept: KeptNotification, json: string): NotificationError {
  try {
    return errorSchema.parse(JSON.parse(json));
  } catch (cause) {
    throw damaged(whatOf(kept), cause);
  }
}
