import type { JobClaim, Place } from '../../core/contracts/index.ts';
import { number } from '../rows.ts';
import { assertClaimed } from './claims.ts';
import type { Database } from './database.ts';

// Of claims that have ended, or whose job was claimed again.
const CLEAR = `DELETE FROM job_places WHERE name = ? AND NOT EXISTS (SELECT 1 FROM jobs
  WHERE jobs.id = job AND state = 'running' AND jobs.epoch = job_places.epoch AND lease_until >= ?)`;
const COUNT = 'SELECT count(*) AS others FROM job_places WHERE name = ? AND job <> ?';
const TAKE = `INSERT INTO job_places (name, job, epoch) VALUES (?, ?, ?)
  ON CONFLICT (name, job) DO UPDATE SET epoch = excluded.epoch`;

/** Takes places for a claim, all or none; false where there is no room. */
export function occupyPlaces(
  database: Database,
  claim: JobClaim,
  places: readonly Place[],
  now: number,
): boolean {
  const { id, epoch } = claim.job;
  return database.transaction(() => {
    assertClaimed(database, claim);
    for (const { name, limit } of places) {
      database.run(CLEAR, name, now);
      const [row] = database.all(COUNT, name, id);
      if (row === undefined || number(row, 'others') >= limit) return false;
    }
    for (const { name } of places) database.run(TAKE, name, id, epoch);
    return true;
  });
}
