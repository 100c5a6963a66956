import type { JobClaim, JobId, JobStore, StepRow, TenantId } from '../../core/contracts/index.ts';
import { damaged, journalMismatch } from '../records.ts';
import { tell } from './audit.ts';
import { assertClaimed, CLAIMED, claimKey } from './claims.ts';
import { text } from '../rows.ts';
import type { Database } from './database.ts';
import { RowDigests } from './row-digests.ts';
import { decodeSegment, encodeSegment } from './segments.ts';

// A segment's position is its job's number, and in the lower half its own among the job's, from 1 without a gap: to
// look a segment up by more than one number, SQLite would read those that it passes, and they are long. Whatever
// removes a job has to remove its segments with it, for SQLite may give its number again.
const INSERT = `INSERT INTO segments (position, rows)
  SELECT (number << 32) + ?, ? FROM jobs WHERE ${CLAIMED} ON CONFLICT DO NOTHING`;
const NUMBER = 'SELECT number FROM jobs WHERE tenant = ?1 AND id = ?2';
const SELECT = `SELECT rows FROM segments
  WHERE position > (${NUMBER}) << 32 AND position < ((${NUMBER}) + 1) << 32 ORDER BY position`;

type RowKey = Pick<StepRow, 'step' | 'kind'>;

/** What is known of a job's journal: its rows as digests, and which of its segments is the last, 0 for none. */
type Known = { readonly digests: RowDigests; readonly last: number };

/**
 * The journals of a SQLite job store: a segment for each group of rows that was added. That a row exists already is
 * told from memory for as long as the claim is in use: steps are named in no order, and in an index of them each row of
 * a large job would change a page of its own.
 */
export function sqliteJournals(database: Database): Pick<JobStore, 'append' | 'journal'> {
  const knownBy = new WeakMap<JobClaim, Known>();

  // Under the write lock, by what the store has.
  function appendRead(claim: JobClaim, rows: readonly RowKey[], segment: string): Known {
    assertClaimed(database, claim);
    const { digests, last } = readKnown(database, claim);
    assertNew(database, claim, rows, digests);
    if (!insertAfter(database, claim, last, segment)) throw damaged(`the journal of job ${claim.job.id}`);
    return { digests, last: last + 1 };
  }

  return {
    async append(claim, rows, entries = []) {
      const segment = encodeSegment(rows);
      const { digests, last } = knownBy.get(claim) ?? { digests: new RowDigests(), last: 0 };
      // Holds again once these rows are durable.
      knownBy.delete(claim);
      const areNew = rows.every(({ kind, step }) => digests.add(kind, step));
      const insert = (): Known | undefined =>
        areNew && insertAfter(database, claim, last, segment) ? { digests, last: last + 1 } : undefined;
      // A single statement is a transaction.
      const inserted = entries.length === 0 ? insert() : undefined;
      const known =
        inserted ??
        database.transaction(() => {
          const added = insert() ?? appendRead(claim, rows, segment);
          for (const entry of entries) tell(database, claim.job.tenant, entry);
          return added;
        });
      knownBy.set(claim, known);
    },
    async journal(tenant, job) {
      return segmentsOf(database, tenant, job).flat();
    },
  };
}

/**
 * Adds a segment after the last one; false where that is not the last one any more, because another handle wrote with
 * the same claim, or where the claim may not write.
 */
function insertAfter(database: Database, claim: JobClaim, last: number, segment: string): boolean {
  return database.run(INSERT, last + 1, segment, ...claimKey(claim)) === 1;
}

function readKnown(database: Database, { job }: JobClaim): Known {
  const digests = new RowDigests();
  const segments = segmentsOf(database, job.tenant, job.id);
  for (const { kind, step } of segments.flat()) digests.add(kind, step);
  return { digests, last: segments.length };
}

// Where digests are equal, be it by chance, the names decide.
function assertNew(database: Database, claim: JobClaim, rows: readonly RowKey[], digests: RowDigests): void {
  const doubtful = rows.filter(({ kind, step }) => !digests.add(kind, step));
  if (doubtful.length === 0) return;
  const seen = new Set<string>();
  for (const row of [...segmentsOf(database, claim.job.tenant, claim.job.id).flat(), ...rows]) {
    const name = `${row.kind} ${row.step}`;
    if (seen.has(name)) throw journalMismatch(claim, row);
    seen.add(name);
  }
}

const segmentsOf = (database: Database, tenant: TenantId, job: JobId): readonly (readonly StepRow[])[] =>
  database.all(SELECT, tenant, job).map((row) => decodeSegment(job, text(row, 'rows')));
