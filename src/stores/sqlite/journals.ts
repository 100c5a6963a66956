import type { JobClaim, JobId, JobStore, StepRow } from '../../core/contracts/index.ts';
import { damaged, journalMismatch, keepSteps, stepRow } from '../records.ts';
import { assertClaimed } from './claims.ts';
import { type Database, number, type Row, text, textOrNull } from './database.ts';
import { StepNames } from './step-names.ts';

/** The steps that have a row, by kind, and the sequence of the last row. */
type Known = { readonly steps: Readonly<Record<StepRow['kind'], StepNames>>; readonly last: number };

/**
 * The journals of a SQLite job store. That a row exists already is told from memory, less than 50 bytes a row beside
 * its name for as long as the claim is in use: names are in no order, and in an index of them each row of a large job
 * would change a page of its own.
 */
export function sqliteJournals(database: Database): Pick<JobStore, 'append' | 'journal'> {
  const knownBy = new WeakMap<JobClaim, Known>();

  function readKnown(job: JobId): Known {
    const steps = { intent: new StepNames(), result: new StepNames() };
    const rows = database.all('SELECT step, kind FROM steps WHERE job = ? ORDER BY sequence', job);
    for (const row of rows) steps[kindOf(row)].add(text(row, 'step'));
    return { steps, last: lastSequence(database, job) };
  }

  return {
    async append(claim, rows) {
      const { id } = claim.job;
      const added = keepSteps(rows);
      const before = knownBy.get(claim);
      // Holds again once these rows are durable.
      knownBy.delete(claim);
      const known = database.transaction(() => {
        assertClaimed(database, claim);
        // Another handle may have written with the same claim; nobody does between here and the commit.
        const { steps, last } = before?.last === lastSequence(database, id) ? before : readKnown(id);
        for (const [at, row] of added.entries()) {
          const { step, kind, input, value } = row;
          if (!steps[kind].add(step)) throw journalMismatch(claim, row);
          database.run(
            'INSERT INTO steps (job, sequence, step, kind, input, value) VALUES (?, ?, ?, ?, ?, ?)',
            id,
            last + 1 + at,
            step,
            kind,
            input,
            value,
          );
        }
        return { steps, last: last + added.length };
      });
      knownBy.set(claim, known);
    },
    async journal(tenant, job) {
      return database
        .all(
          `SELECT step, kind, input, value FROM steps
           WHERE job = (SELECT id FROM jobs WHERE tenant = ? AND id = ?) ORDER BY sequence`,
          tenant,
          job,
        )
        .map(fromRow);
    },
  };
}

function lastSequence(database: Database, job: JobId): number {
  const [row] = database.all('SELECT sequence FROM steps WHERE job = ? ORDER BY sequence DESC LIMIT 1', job);
  return row === undefined ? 0 : number(row, 'sequence');
}

function kindOf(row: Row): StepRow['kind'] {
  const kind = text(row, 'kind');
  if (kind !== 'intent' && kind !== 'result') throw damaged(`the kind of step ${text(row, 'step')}`);
  return kind;
}

function fromRow(row: Row): StepRow {
  return stepRow({
    step: text(row, 'step'),
    kind: kindOf(row),
    input: textOrNull(row, 'input'),
    value: textOrNull(row, 'value'),
  });
}
