import { describe, expect, it } from 'vitest';
import type { JobStore } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { type KeptLease, keepLease } from '../../../src/core/jobs/keep-lease.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { ManualClock } from './manual-clock.ts';
import { claimOf, enqueue, JOB, LEASE, TENANT } from './worker.ts';

interface Kept {
  readonly store: JobStore;
  readonly clock: ManualClock;
  readonly lease: KeptLease;
}

/** Keeps a lease on a store whose heartbeats go this way; the claim is this long old. */
async function kept(
  heartbeat?: (sound: JobStore['heartbeat']) => JobStore['heartbeat'],
  age = 0,
): Promise<Kept> {
  const sound = memoryStore();
  const store = { ...sound, heartbeat: heartbeat?.(sound.heartbeat) ?? sound.heartbeat };
  await enqueue(store);
  const clock = new ManualClock();
  const claim = await claimOf(store, clock);
  await clock.advance(age);
  return { store, clock, lease: keepLease({ store, claim, clock, leaseMilliseconds: LEASE }) };
}

const unanswered = async (): Promise<never> => {
  throw new FafnirError('UNAVAILABLE', 'no answer');
};

describe('a lease', () => {
  it('is extended well before it ends, for as long as it is kept', async () => {
    const { store, clock, lease } = await kept();
    for (let beat = 0; beat < 10; beat += 1) {
      await clock.advance(LEASE / 3);
      expect((await store.get(TENANT, JOB))?.leaseUntil).toBe(clock.now() + LEASE);
    }
    expect(lease.lost.aborted).toBe(false);
    await lease.release();
  });

  it('is extended no more once it is released', async () => {
    const { store, clock, lease } = await kept();
    await lease.release();
    await clock.advance(2 * LEASE);
    expect((await store.get(TENANT, JOB))?.leaseUntil).toBe(clock.now() - LEASE);
    expect(lease.lost.aborted).toBe(false);
  });

  it('is lost as soon as another worker has the job', async () => {
    const { store, clock, lease } = await kept();
    const now = clock.now() + LEASE + 1;
    await store.claim({ now, leaseUntil: now + LEASE });
    await clock.advance(LEASE / 3);
    expect(lease.lost.reason).toMatchObject({ code: 'FENCED' });
    await lease.release();
  });

  it('is lost before it ends where the store fails', async () => {
    const { clock, lease } = await kept(() => unanswered);
    await clock.advance(LEASE / 3);
    expect(lease.lost.aborted).toBe(false);
    await clock.advance((2 * LEASE) / 3 - 1);
    expect(lease.lost.reason).toMatchObject({ code: 'UNAVAILABLE' });
    await lease.release();
  });

  it('survives one failure of the store after the other', async () => {
    let calls = 0;
    const { clock, lease } = await kept((sound) => (claim, leaseUntil) => {
      calls += 1;
      return calls % 2 === 1 ? unanswered() : sound(claim, leaseUntil);
    });
    await clock.advance(5 * LEASE);
    expect(lease.lost.aborted).toBe(false);
    await lease.release();
  });

  it('is lost before it ends where the store never answers', async () => {
    const { clock, lease } = await kept(() => () => new Promise(() => undefined));
    await clock.advance(LEASE);
    expect(lease.lost.aborted).toBe(true);
  });

  it('is lost before it ends where the claim itself took long and the store fails', async () => {
    const { clock, lease } = await kept(() => unanswered, LEASE / 2);
    await clock.advance(LEASE / 2);
    expect(lease.lost.aborted).toBe(true);
    await lease.release();
  });
});

describe('the end of a job', () => {
  it('that was asked for before is known at once', async () => {
    const store = memoryStore();
    await enqueue(store);
    await store.requestCancel(TENANT, JOB);
    const clock = new ManualClock();
    const claim = await claimOf(store, clock);
    const lease = keepLease({ store, claim, clock, leaseMilliseconds: LEASE });
    expect(lease.cancelled.reason).toMatchObject({ code: 'CANCELLED' });
    await lease.release();
  });

  it('that is asked for meanwhile is known with the next heartbeat, and the lease is kept', async () => {
    const { store, clock, lease } = await kept();
    await store.requestCancel(TENANT, JOB);
    expect(lease.cancelled.aborted).toBe(false);
    await clock.advance(LEASE);
    expect(lease.cancelled.reason).toMatchObject({ code: 'CANCELLED' });
    expect(lease.lost.aborted).toBe(false);
    expect((await store.get(TENANT, JOB))?.leaseUntil).toBe(clock.now() + LEASE);
    await lease.release();
  });
});
