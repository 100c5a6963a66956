import type { Holdings, JobRecord, UsageRecord } from '../../src/index.ts';

/** What is wrong with usage records: each job has one, which fits its end. */
export function judgeUsage(records: readonly UsageRecord[], jobs: readonly JobRecord[]): readonly string[] {
  const ends = new Map(jobs.map((job) => [job.id, job]));
  const wrong: string[] = [];
  for (const { job, operation, state, endedAt } of records) {
    const ended = ends.get(job);
    ends.delete(job);
    if (ended === undefined) wrong.push(`${operation} ${job} has two usage records, or should have none`);
    else if (ended.state !== state || ended.endedAt !== endedAt) {
      wrong.push(`the usage record of ${operation} ${job} says that it ended ${state} at ${endedAt}`);
    }
  }
  for (const { id, operation, state } of ends.values()) {
    wrong.push(`${operation} ${id} ended ${state} without a usage record`);
  }
  return wrong;
}

/** What is wrong about what counts against quotas where no job is under way: it is what the records add up to. */
export function judgeHoldings(
  { used, reserved }: Holdings,
  records: readonly UsageRecord[],
): readonly string[] {
  const wrong: string[] = [];
  for (const field of ['checkpoints', 'protected', 'stored'] as const) {
    const sum = records.reduce((total, record) => total + record[field], 0);
    if (used[field] !== sum) wrong.push(`quotas count ${used[field]} ${field}, and usage records ${sum}`);
    if (reserved[field] !== 0) wrong.push(`${reserved[field]} ${field} are reserved for no job`);
  }
  return wrong;
}
