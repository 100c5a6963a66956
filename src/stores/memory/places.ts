import type { JobClaim, JobId, JobRecord, Place } from '../../core/contracts/index.ts';

type Kept = Pick<JobRecord, 'state' | 'epoch' | 'leaseUntil'>;

/** Who has which places in a memory store. */
export class MemoryPlaces {
  readonly #taken = new Map<string, Map<JobId, number>>();

  /** Takes places for a claim, all or none; false where there is no room. */
  occupy(
    { job: { id, epoch } }: JobClaim,
    places: readonly Place[],
    now: number,
    jobs: ReadonlyMap<JobId, Kept>,
  ): boolean {
    const inUse = ([job, of]: readonly [JobId, number]): boolean => {
      const { state, epoch: current, leaseUntil = 0 } = jobs.get(job) ?? {};
      return job !== id && state === 'running' && current === of && leaseUntil >= now;
    };
    const others = new Map(
      places.map(({ name }) => [name, [...(this.#taken.get(name) ?? [])].filter(inUse)]),
    );
    if (places.some(({ name, limit }) => (others.get(name)?.length ?? 0) >= limit)) return false;
    for (const [name, kept] of others) this.#taken.set(name, new Map([...kept, [id, epoch]]));
    return true;
  }
}
