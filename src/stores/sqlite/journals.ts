import type { JobClaim, JobId, JobStore, StepRow } from '../../core/contracts/index.ts';
import { damaged, journalMismatch, keepSteps } from '../records.ts';
import { assertClaimed, CLAIMED, claimKey } from './claims.ts';
import { type Database, number, text } from './database.ts';
import { RowDigests } from './row-digests.ts';
import { decodeSegment, encodeSegment } from './segments.ts';

const INSERT = `INSERT INTO segments (job, sequence, rows) SELECT id, ?, ? FROM jobs WHERE ${CLAIMED}`;
// Numbers of segments that were migrated may begin anywhere.
const INSERT_FIRST = `${INSERT} AND NOT EXISTS (SELECT 1 FROM segments WHERE job = jobs.id)`;
const INSERT_NEXT = `${INSERT} ON CONFLICT DO NOTHING`;

type RowKey = Pick<StepRow, 'step' | 'kind'>;

/** What is known of a job's journal: its rows as digests, and the sequence of its last segment. */
type Known = { readonly digests: RowDigests; readonly last: number };

/**
 * The journals of a SQLite job store: a segment for each group of rows that was added, each numbered one above the last.
 * That a row exists already is told from memory for as long as the claim is in use: steps are named in no order, and
 * in an index of them each row of a large job would change a page of its own.
 */
export function sqliteJournals(database: Database): Pick<JobStore, 'append' | 'journal'> {
  const knownBy = new WeakMap<JobClaim, Known>();

  // Under the write lock, by what the store has.
  function appendRead(claim: JobClaim, rows: readonly RowKey[], segment: string): Known {
    return database.transaction(() => {
      assertClaimed(database, claim);
      const { digests, last } = readKnown(database, claim.job.id);
      assertNew(database, claim, rows, digests);
      if (!insertAfter(database, claim, last, segment)) throw damaged(`the journal of job ${claim.job.id}`);
      return { digests, last: last + 1 };
    });
  }

  return {
    async append(claim, rows) {
      const added = keepSteps(rows);
      const segment = encodeSegment(added);
      const { digests, last } = knownBy.get(claim) ?? { digests: new RowDigests(), last: 0 };
      // Holds again once these rows are durable.
      knownBy.delete(claim);
      const isAdded =
        added.every(({ kind, step }) => digests.add(kind, step)) &&
        insertAfter(database, claim, last, segment);
      knownBy.set(claim, isAdded ? { digests, last: last + 1 } : appendRead(claim, added, segment));
    },
    async journal(tenant, job) {
      const [owned] = database.all('SELECT id FROM jobs WHERE tenant = ? AND id = ?', tenant, job);
      return owned === undefined ? [] : rowsOf(database, job);
    },
  };
}

/**
 * Adds a segment after the last one, 0 for none; false where that is not the last one any more, because another handle
 * wrote with the same claim, or where the claim may not write.
 */
function insertAfter(database: Database, claim: JobClaim, last: number, segment: string): boolean {
  return database.run(last === 0 ? INSERT_FIRST : INSERT_NEXT, last + 1, segment, ...claimKey(claim)) === 1;
}

function readKnown(database: Database, job: JobId): Known {
  const digests = new RowDigests();
  for (const { kind, step } of rowsOf(database, job)) digests.add(kind, step);
  return { digests, last: lastSequence(database, job) };
}

// Where digests are equal, be it by chance, the names decide.
function assertNew(database: Database, claim: JobClaim, rows: readonly RowKey[], digests: RowDigests): void {
  const doubtful = rows.filter(({ kind, step }) => !digests.add(kind, step));
  if (doubtful.length === 0) return;
  const seen = new Set<string>();
  for (const row of [...rowsOf(database, claim.job.id), ...rows]) {
    const name = `${row.kind} ${row.step}`;
    if (seen.has(name)) throw journalMismatch(claim, row);
    seen.add(name);
  }
}

const rowsOf = (database: Database, job: JobId): readonly StepRow[] =>
  database
    .all('SELECT rows FROM segments WHERE job = ? ORDER BY sequence', job)
    .flatMap((row) => decodeSegment(job, text(row, 'rows')));

function lastSequence(database: Database, job: JobId): number {
  const [row] = database.all('SELECT max(sequence) AS last FROM segments WHERE job = ?', job);
  return row?.last === null || row === undefined ? 0 : number(row, 'last');
}
