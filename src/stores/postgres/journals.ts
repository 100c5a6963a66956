import { createHash } from 'node:crypto';
import type { JobClaim, JobId, JobStore, StepRow, TenantId } from '../../core/contracts/index.ts';
import { damaged, fenced, journalMismatch, type KeptStep, keepSteps, stepRow } from '../records.ts';
import { number, type Row, text, textOrNull } from '../rows.ts';
import { tell } from './audit.ts';
import { claimKey, LOCK_CLAIMED } from './claims.ts';
import type { Database, Queries } from './database.ts';
import { sqlState } from './errors.ts';

const UNIQUE_VIOLATION = '23505';

// Positions are given in the order of the rows.
const APPEND = `WITH claimed AS MATERIALIZED (${LOCK_CLAIMED}),
  added AS (
    INSERT INTO @steps (tenant, job, key, step, kind, input, value)
    SELECT claimed.tenant, claimed.id, key, step, kind, input, value
    FROM claimed, unnest($4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[])
      WITH ORDINALITY AS rows (key, step, kind, input, value, place)
    ORDER BY place
  )
  SELECT count(*)::integer AS claims FROM claimed`;

/** The journals of a PostgreSQL job store: a row each for what was added. */
export function postgresJournals(database: Database): Pick<JobStore, 'append' | 'journal'> {
  async function journal(tenant: TenantId, job: JobId): Promise<readonly StepRow[]> {
    const rows = await database.all(
      'SELECT step, kind, input, value FROM @steps WHERE tenant = $1 AND job = $2 ORDER BY position',
      tenant,
      job,
    );
    return rows.map((row) => stepRow(keptStep(job, row)));
  }

  return {
    journal,
    async append(claim, rows, entries = []) {
      const steps = keepSteps(rows);
      const columns = [
        steps.map(keyOf),
        steps.map(({ step }) => step),
        steps.map(({ kind }) => kind),
        steps.map(({ input }) => input),
        steps.map(({ value }) => value),
      ];
      const add = async (queries: Queries): Promise<void> => {
        const [added] = await queries.all(APPEND, ...claimKey(claim), ...columns);
        if (added === undefined || number(added, 'claims') === 0) throw fenced(claim);
      };
      const both = async (queries: Queries): Promise<void> => {
        await add(queries);
        for (const entry of entries) await tell(queries, claim.job.tenant, entry);
      };
      try {
        // One statement is a transaction by itself.
        await (entries.length === 0 ? add(database) : database.transaction(both));
      } catch (error) {
        if (!(error instanceof Error) || sqlState(error.cause) !== UNIQUE_VIOLATION) throw error;
        throw known(claim, await journal(claim.job.tenant, claim.job.id), rows) ?? error;
      }
    },
  };
}

/** Tells rows of a job apart, however long the step's name is. */
const keyOf = ({ step, kind }: Pick<StepRow, 'step' | 'kind'>): Buffer =>
  createHash('sha256').update(`${kind} ${step}`).digest();

function known(claim: JobClaim, written: readonly StepRow[], rows: readonly StepRow[]): Error | undefined {
  const seen = new Set<string>(written.map(({ kind, step }) => `${kind} ${step}`));
  for (const row of rows) {
    const name = `${row.kind} ${row.step}`;
    if (seen.has(name)) return journalMismatch(claim, row);
    seen.add(name);
  }
  return undefined;
}

function keptStep(job: JobId, row: Row): KeptStep {
  const kind = text(row, 'kind');
  if (kind !== 'intent' && kind !== 'result') throw damaged(`the journal of job ${job}`);
  return { step: text(row, 'step'), kind, input: textOrNull(row, 'input'), value: textOrNull(row, 'value') };
}
