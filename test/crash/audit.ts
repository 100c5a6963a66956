import { verifyAudit } from '../../src/audit.ts';
import type { AuditRecord, JobRecord } from '../../src/index.ts';

/**
 * What is wrong with a chain: each job that is no part of another is told of twice, when it was asked for and at its end, and
 * each checkpoint once, when it was committed.
 */
export async function judgeAudit(
  records: readonly AuditRecord[],
  jobs: readonly JobRecord[],
): Promise<readonly string[]> {
  const verdict = await verifyAudit(records);
  const wrong = verdict.isIntact ? [] : [`audit record ${verdict.number}: ${verdict.fault}`];
  const told = records
    .filter(({ action }) => action === 'job.submitted' || action === 'job.ended')
    .map(({ action, object, outcome }) => `${action} ${object.job} ${outcome?.state ?? ''}`);
  const happened = jobs
    .filter(({ parent }) => parent === undefined)
    .flatMap(({ id, state }) => [`job.submitted ${id} `, `job.ended ${id} ${state}`]);
  for (const line of told)
    if (!happened.includes(line)) wrong.push(`the audit tells what is not so: ${line}`);
  for (const line of happened) {
    const times = told.filter((one) => one === line).length;
    if (times !== 1) wrong.push(`the audit tells ${times} times of ${line}`);
  }
  return [...wrong, ...judgeCheckpoints(records, jobs)];
}

// A commit that is taken back, because its job was cancelled in that moment, may have been told.
function judgeCheckpoints(records: readonly AuditRecord[], jobs: readonly JobRecord[]): readonly string[] {
  const told = records.flatMap(({ action, object }) =>
    action === 'checkpoint.committed' ? [String(object.checkpoint)] : [],
  );
  const made = jobs.filter(({ operation }) => operation === 'protect' || operation === 'adopt');
  const wrong = told
    .filter((checkpoint) => made.every(({ id }) => String(id) !== checkpoint))
    .map((checkpoint) => `the audit tells of checkpoint ${checkpoint}, which no job makes`);
  for (const { id, state } of made) {
    const times = told.filter((checkpoint) => checkpoint === id).length;
    if (times > 1 || (times === 0 && state === 'succeeded'))
      wrong.push(`the audit tells ${times} times of checkpoint ${id}, whose job ${state}`);
  }
  return wrong;
}
