import { verifyAudit } from '../../src/audit.ts';
import type { AuditRecord, JobRecord } from '../../src/index.ts';

/** What is wrong with a chain: each job that is no part of another is told of twice, when it was asked for and at its end. */
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
  return wrong;
}
