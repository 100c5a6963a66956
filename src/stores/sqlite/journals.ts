import type { JobClaim, JobId, JobStore, StepRow } from '../../core/contracts/index.ts';
import { journalMismatch, keepSteps } from '../records.ts';
import { assertClaimed } from './claims.ts';
import { type Database, number, text } from './database.ts';
import { RowDigests } from './row-digests.ts';
import { decodeSegment, encodeSegment } from './segments.ts';

type RowKey = Pick<StepRow, 'step' | 'kind'>;

/** What is known of a job's journal: its rows as digests, and the sequence of its last segment. */
type Known = { readonly digests: RowDigests; readonly last: number };

/**
 * The journals of a SQLite job store: a segment for each group of rows that was added. That a row exists already is
 * told from memory for as long as the claim is in use: steps are named in no order, and in an index of them each row
 * of a large job would change a page of its own.
 */
export function sqliteJournals(database: Database): Pick<JobStore, 'append' | 'journal'> {
  const knownBy = new WeakMap<JobClaim, Known>();

  function readKnown(job: JobId): Known {
    const digests = new RowDigests();
    for (const { kind, step } of rowsOf(database, job)) digests.add(kind, step);
    return { digests, last: lastSequence(database, job) };
  }

  // Where digests are equal, be it by chance, the names decide.
  function assertNew(claim: JobClaim, rows: readonly RowKey[], digests: RowDigests): void {
    const doubtful = rows.filter(({ kind, step }) => !digests.add(kind, step));
    if (doubtful.length === 0) return;
    const seen = new Set<string>();
    for (const row of [...rowsOf(database, claim.job.id), ...rows]) {
      const name = `${row.kind} ${row.step}`;
      if (seen.has(name)) throw journalMismatch(claim, row);
      seen.add(name);
    }
  }

  return {
    async append(claim, rows) {
      const { id } = claim.job;
      const added = keepSteps(rows);
      const segment = encodeSegment(added);
      const before = knownBy.get(claim);
      // Holds again once these rows are durable.
      knownBy.delete(claim);
      const known = database.transaction(() => {
        assertClaimed(database, claim);
        // Another handle may have written with the same claim; nobody does between here and the commit.
        const { digests, last } = before?.last === lastSequence(database, id) ? before : readKnown(id);
        assertNew(claim, added, digests);
        database.run('INSERT INTO segments (job, sequence, rows) VALUES (?, ?, ?)', id, last + 1, segment);
        return { digests, last: last + 1 };
      });
      knownBy.set(claim, known);
    },
    async journal(tenant, job) {
      const [owned] = database.all('SELECT id FROM jobs WHERE tenant = ? AND id = ?', tenant, job);
      return owned === undefined ? [] : rowsOf(database, job);
    },
  };
}

const rowsOf = (database: Database, job: JobId): readonly StepRow[] =>
  database
    .all('SELECT rows FROM segments WHERE job = ? ORDER BY sequence', job)
    .flatMap((row) => decodeSegment(job, text(row, 'rows')));

function lastSequence(database: Database, job: JobId): number {
  const [row] = database.all('SELECT max(sequence) AS last FROM segments WHERE job = ?', job);
  return row?.last === null || row === undefined ? 0 : number(row, 'last');
}
