import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { AuditEntry, AuditHead, AuditRecord, TenantId } from './contracts/index.ts';
import { FafnirError } from './errors.ts';

/** The head of a chain without records. */
export const NO_RECORDS: AuditHead = Object.freeze({ number: 0, hash: '0'.repeat(64) });

/** The record that follows the head of a chain: what the contract knows of the entry, and nothing else. */
export function followingRecord(tenant: TenantId | null, entry: AuditEntry, head: AuditHead): AuditRecord {
  const { at, actor, action, object, reason, outcome } = entry;
  const { number, hash: previous } = head;
  // What is no text in Unicode has no canonical form, and some stores cannot keep it.
  const ids = Object.entries(object).map(([name, id]) => [name.toWellFormed(), id.toWellFormed()]);
  const record = {
    tenant,
    number: number + 1,
    at,
    actor: actor.toWellFormed(),
    action,
    object: Object.fromEntries(ids) as AuditEntry['object'],
    ...(reason !== undefined && { reason: reason.toWellFormed() }),
    ...(outcome && { outcome: { state: outcome.state, ...(outcome.code && { code: outcome.code }) } }),
    previous,
  };
  return { ...record, hash: digestOf(record) };
}

function digestOf(record: Omit<AuditRecord, 'hash'>): string {
  const text = canonicalize(record);
  if (text === undefined) throw new TypeError('not an object');
  return createHash('sha256').update(text).digest('hex');
}

/** What a verifier knows beside the records. */
export interface VerifyAuditOptions {
  /** The records begin after this head of their chain. Default: with the first record. */
  readonly after?: AuditHead;
  /** Heads of the chain that were kept elsewhere, in any order: the record of each must be among the records, or be `after`. */
  readonly heads?: Iterable<AuditHead>;
}

/** What is wrong at a place of a chain. */
export type AuditFault =
  /** The record does not have the digest that it says: it was changed. */
  | 'changed'
  /** Another number was to come: records are missing, were put in, or come in another order. */
  | 'number'
  /** It follows another record than the one before it: a record was changed, or the chain was forked. */
  | 'previous'
  /** The record is of another chain. */
  | 'tenant'
  /** The chain has ended before a kept head. */
  | 'ended'
  /** The record is another than a kept head tells of: the chain was written anew. */
  | 'head';

/** What a verifier found. */
export type AuditVerdict =
  | {
      /** Every record follows the one before. */
      readonly isIntact: true;
      /** The end of what was verified. */
      readonly head: AuditHead;
    }
  | {
      /** One does not. */
      readonly isIntact: false;
      /** The place in the chain at which it does not: what is before is intact. */
      readonly number: number;
      /** What is wrong there. */
      readonly fault: AuditFault;
    };

/**
 * Tells whether records are a chain, or the first place at which they are not: a record that was changed, removed, put
 * in or moved is found. Records that were cut off at the end, and a chain that was written anew, are found only by
 * `heads` that were kept elsewhere. Asks for all records of one chain, in order, from `after` on.
 */
export async function verifyAudit(
  records: Iterable<AuditRecord> | AsyncIterable<AuditRecord>,
  { after = NO_RECORDS, heads = [] }: VerifyAuditOptions = {},
): Promise<AuditVerdict> {
  const kept = Map.groupBy(heads, ({ number }) => number);
  if ([...kept.keys()].some((number) => number < after.number)) {
    throw new FafnirError('INVALID_OPTIONS', 'verifyAudit: heads: one is before `after`');
  }
  let head = after;
  let tenant: AuditRecord['tenant'] | undefined;
  const broken = (number: number, fault: AuditFault): AuditVerdict => ({ isIntact: false, number, fault });
  const isOther = ({ number, hash }: AuditHead): boolean =>
    kept.get(number)?.some((one) => one.hash !== hash) === true;
  if (isOther(after)) return broken(after.number, 'head');
  for await (const record of records) {
    const number = head.number + 1;
    tenant ??= record.tenant;
    if (record.number !== number) return broken(number, 'number');
    if (!isSealed(record)) return broken(number, 'changed');
    if (record.tenant !== tenant) return broken(number, 'tenant');
    if (record.previous !== head.hash) return broken(number, 'previous');
    if (isOther(record)) return broken(number, 'head');
    head = { number, hash: record.hash };
  }
  if ([...kept.keys()].some((number) => number > head.number)) return broken(head.number + 1, 'ended');
  return { isIntact: true, head };
}

// What has no canonical form was never recorded.
function isSealed({ hash, ...record }: AuditRecord): boolean {
  try {
    return digestOf(record) === hash;
  } catch {
    return false;
  }
}
