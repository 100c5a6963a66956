import type { JobRecord, Session } from 'fafnir';

const TENSES: Readonly<Record<JobRecord['state'], string>> = {
  queued: 'future',
  running: 'current',
  succeeded: 'past',
  failed: 'past',
  cancelled: 'past',
};

/** Prints all jobs of the tenant, whoever asked for them and wherever they run. */
export async function showJobs(session: Session): Promise<void> {
  for await (const { operation, state, outcome } of session.jobs.list()) {
    const why = outcome !== undefined && 'error' in outcome ? `: ${outcome.error.message}` : '';
    console.log(`  ${TENSES[state].padEnd(7)}  ${operation.padEnd(7)}  ${state}${why}`);
  }
}
