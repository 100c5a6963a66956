import type { JobClaim, Place } from '../../core/contracts/index.ts';
import { number } from '../rows.ts';
import { assertClaimed } from './claims.ts';
import type { Database } from './database.ts';

// Of those that ask at the same time, each sees what the one before it has taken. A collision of digests only delays.
const ONE_AT_A_TIME = `SELECT pg_advisory_xact_lock(hashtextextended($1, '@job_places'::regclass::oid::bigint))`;
// Of claims that have ended, or whose job was claimed again.
const CLEAR = `DELETE FROM @job_places AS place WHERE name = ANY ($1) AND NOT EXISTS (SELECT 1 FROM @jobs AS one
  WHERE one.id = place.job AND state = 'running' AND one.epoch = place.epoch AND lease_until >= $2)`;
const COUNT =
  'SELECT name, count(*)::integer AS others FROM @job_places WHERE name = ANY ($1) AND job <> $2 GROUP BY name';
const TAKE = `INSERT INTO @job_places (name, job, epoch) SELECT name, $2, $3 FROM unnest($1::text[]) AS name
  ON CONFLICT (name, job) DO UPDATE SET epoch = excluded.epoch`;

/** Takes places for a claim, all or none; false where there is no room. */
export function occupyPlaces(
  database: Database,
  claim: JobClaim,
  places: readonly Place[],
  now: number,
): Promise<boolean> {
  const { id, epoch } = claim.job;
  const names = places.map(({ name }) => name);
  return database.transaction(async (queries) => {
    await assertClaimed(queries, claim);
    // In one order, so that no two wait for each other.
    for (const name of names.toSorted()) await queries.all(ONE_AT_A_TIME, name);
    await queries.all(CLEAR, names, now);
    const counts = await queries.all(COUNT, names, id);
    const others = new Map(counts.map((row) => [row.name, number(row, 'others')]));
    if (places.some(({ name, limit }) => (others.get(name) ?? 0) >= limit)) return false;
    await queries.all(TAKE, names, id, epoch);
    return true;
  });
}
