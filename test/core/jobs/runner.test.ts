import { describe, expect, it } from 'vitest';
import type { JobStore, NewJob } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import type { EngineEvent } from '../../../src/core/events.ts';
import { parseTenantId } from '../../../src/core/identity.ts';
import type { Operation } from '../../../src/core/jobs/operation.ts';
import { JobRunner } from '../../../src/core/jobs/runner.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { ManualClock, settled } from './manual-clock.ts';
import { JOB, LEASE, operationOf, TENANT, untilAborted } from './worker.ts';
import { ENDED } from '../../../src/testing/job-store/fixtures.ts';

const job: NewJob = {
  id: JOB,
  tenant: TENANT,
  actor: 'test',
  operation: 'test',
  operationVersion: 1,
  input: {},
  createdAt: 0,
};

// How often a worker looks for jobs that others left.
const SWEEP = 500;

const call = new AbortController().signal;

interface Running {
  readonly runner: JobRunner;
  readonly clock: ManualClock;
  readonly events: EngineEvent[];
}

function runnerOn(store: JobStore, operation: Operation, worker = true): Running {
  const clock = new ManualClock();
  const events: EngineEvent[] = [];
  const runner = new JobRunner({
    store,
    operations: new Map([[operation.name, operation]]),
    clock,
    random: Math.random,
    policies: {},
    leaseMilliseconds: LEASE,
    worker,
    partsAtOnce: 2,
    emit: (event) => events.push(event),
  });
  return { runner, clock, events };
}

const quick = operationOf(async () => ({ made: 1 }));
const slow = operationOf(async ({ signal }) => untilAborted(signal));

describe('a runner', () => {
  it('runs what is submitted and tells its start and its end', async () => {
    const { runner, events } = runnerOn(memoryStore(), quick);
    await runner.start();
    await runner.submit(job);
    expect(await runner.outcome(TENANT, JOB, call)).toEqual({ state: 'succeeded', result: { made: 1 } });
    expect(events.map(({ type }) => type)).toEqual(['job.started', 'job.ended']);
    await runner.close({ drain: false });
  });

  it('that does not work leaves the job to one that does', async () => {
    const store = memoryStore();
    const asking = runnerOn(store, quick, false);
    await asking.runner.start();
    await asking.runner.submit(job);
    expect(await store.get(TENANT, JOB)).toMatchObject({ state: 'queued' });
    const working = runnerOn(store, quick);
    await working.runner.start();
    const outcome = asking.runner.outcome(TENANT, JOB, call);
    await asking.clock.advance(1_000);
    expect(await outcome).toMatchObject({ state: 'succeeded' });
    await Promise.all([asking, working].map(({ runner }) => runner.close({ drain: false })));
  });

  it('puts a job down when it closes, and the next takes it up as a second attempt', async () => {
    const store = memoryStore();
    const first = runnerOn(store, slow);
    await first.runner.start();
    await first.runner.submit(job);
    await first.runner.close({ drain: false });
    expect(first.events.map(({ type }) => type)).toEqual(['job.started']);
    const second = runnerOn(store, quick);
    await second.runner.start();
    expect(await second.runner.outcome(TENANT, JOB, call)).toMatchObject({ state: 'succeeded' });
    expect(second.events).toMatchObject([{ type: 'job.started', attempt: 2 }, { type: 'job.ended' }]);
    await second.runner.close({ drain: false });
  });

  it('lets jobs end when it drains', async () => {
    const store = memoryStore();
    const { runner } = runnerOn(
      store,
      operationOf(async () => settled().then(() => ({ made: 1 }))),
    );
    await runner.start();
    await runner.submit(job);
    await runner.close({ drain: true });
    expect(await store.get(TENANT, JOB)).toMatchObject({ state: 'succeeded' });
    await expect(runner.submit(job)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('cancels a job of its tenant only', async () => {
    const { runner } = runnerOn(memoryStore(), slow);
    const other = parseTenantId('other');
    await runner.start();
    await runner.submit(job);
    expect(await runner.cancel(other, JOB)).toBe(false);
    expect(await runner.cancel(TENANT, JOB)).toBe(true);
    await expect(runner.outcome(other, JOB, call)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await runner.outcome(TENANT, JOB, call)).toMatchObject({ state: 'cancelled' });
    expect(await runner.cancel(TENANT, JOB)).toBe(false);
    await runner.close({ drain: false });
  });

  it('does not start on a store that cannot be used', async () => {
    const store = memoryStore();
    await store.close();
    await expect(runnerOn(store, quick).runner.start()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('goes on after its store failed for a while, and says so', async () => {
    const sound = memoryStore();
    let failing = false;
    const claim: JobStore['claim'] = async (request) => {
      if (failing) throw new FafnirError('UNAVAILABLE', 'no answer');
      return sound.claim(request);
    };
    const { runner, clock, events } = runnerOn({ ...sound, claim }, quick);
    await runner.start();
    await sound.enqueue(job);
    failing = true;
    await clock.advance(SWEEP);
    expect(events).toMatchObject([{ type: 'worker.failed', error: { code: 'UNAVAILABLE' } }]);
    failing = false;
    await clock.advance(SWEEP);
    expect(await runner.outcome(TENANT, JOB, call)).toMatchObject({ state: 'succeeded' });
    await runner.close({ drain: false });
  });

  it('fails a job of an operation that it does not have, and tells its end like any other', async () => {
    const { runner, events } = runnerOn(memoryStore(), quick);
    await runner.start();
    await runner.submit({ ...job, operationVersion: 2 });
    const outcome = await runner.outcome(TENANT, JOB, call);
    expect(outcome).toMatchObject({ state: 'failed', error: { code: 'UNSUPPORTED' } });
    expect(events).toMatchObject([{ type: 'job.started' }, { type: 'job.ended', outcome }]);
    await runner.close({ drain: false });
  });
});

describe('a runner whose job another has taken over', () => {
  it('removes what may have arrived late, once the job has ended', async () => {
    const store = memoryStore();
    const removed: [string, readonly string[]][] = [];
    const operation = operationOf(
      async (context) => {
        await context.effect('make/a', () => untilAborted(context.signal));
        return {};
      },
      {
        removeLate: async ({ state }, intents) => {
          removed.push([state, intents]);
          return [];
        },
      },
    );
    const { runner, clock } = runnerOn(store, operation);
    await runner.start();
    await runner.submit(job);
    await settled();
    const claim = await store.claim({ now: clock.now() + LEASE + 1, leaseUntil: clock.now() + 9 * LEASE });
    if (claim === undefined) throw new Error('the job cannot be claimed');
    await clock.advance(LEASE);
    expect(removed).toEqual([]);
    await store.finish(claim, { state: 'succeeded', result: {} }, ENDED);
    await clock.advance(SWEEP);
    expect(removed).toEqual([['succeeded', ['make/a']]]);
    await runner.close({ drain: false });
  });
});
