import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { JobRecord, JobStore, NewJob } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import type { EngineEvent } from '../../../src/core/events.ts';
import type { Operation } from '../../../src/core/jobs/operation.ts';
import { JobRunner } from '../../../src/core/jobs/runner.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { JOB, LEASE, operationOf, TENANT, untilAborted } from './worker.ts';

const forever: AbortSignal = new AbortController().signal;

const parentJob: NewJob = {
  id: JOB,
  tenant: TENANT,
  actor: 'test',
  operation: 'parent',
  operationVersion: 1,
  input: {},
  createdAt: 0,
};

interface Running {
  readonly runner: JobRunner;
  readonly events: EngineEvent[];
}

function runnerOn(store: JobStore, operations: readonly Operation[], worker = true): Running {
  const events: EngineEvent[] = [];
  const runner = new JobRunner({
    store,
    operations: new Map(operations.map((operation) => [operation.name, operation])),
    clock: { ...systemClock, sleep: (_, call) => systemClock.sleep(5, call) },
    random: Math.random,
    policies: {},
    leaseMilliseconds: LEASE,
    worker,
    partsAtOnce: 2,
    emit: (event) => events.push(event),
  });
  return { runner, events };
}

/** Runs one child, and tells in which order things were undone. */
const parentOf = (log: string[]): Operation =>
  operationOf(
    async (context) => {
      const part = { operation: 'part', input: { number: 1 } };
      return context.child('one', part, ({ bytes }) => log.push(`progress ${bytes.done}`));
    },
    { name: 'parent', undo: async () => void log.push('parent undone') },
  );

const partOf = (run: Operation['run'], log: string[] = []): Operation =>
  operationOf(run, { name: 'part', undo: async () => void log.push('part undone') });

async function jobsIn(store: JobStore): Promise<readonly JobRecord[]> {
  const jobs: JobRecord[] = [];
  for await (const job of store.list(TENANT, {})) jobs.push(job);
  return jobs;
}

describe('a job that is a part of another', () => {
  it('runs as a job of its own, gives its result, and tells through the other', async () => {
    const store = memoryStore();
    const log: string[] = [];
    const part = partOf(async ({ job, progress }) => {
      progress.expect({ bytes: 10 });
      progress.share(10).finish();
      return { twice: Number(job.input.number) * 2 };
    });
    const { runner, events } = runnerOn(store, [parentOf(log), part]);
    await runner.start();
    await runner.submit(parentJob);
    expect(await runner.outcome(TENANT, JOB, forever)).toEqual({ state: 'succeeded', result: { twice: 2 } });
    expect(await jobsIn(store)).toMatchObject([
      { id: JOB, operation: 'parent' },
      { parent: JOB, operation: 'part', actor: 'test', state: 'succeeded', input: { number: 1 } },
    ]);
    expect(log).toContain('progress 10');
    expect(new Set(events.flatMap((event) => ('job' in event ? [event.job] : [])))).toEqual(new Set([JOB]));
    await runner.close({ drain: false });
  });

  it('fails the step that runs it with its own error', async () => {
    const store = memoryStore();
    const log: string[] = [];
    const part = partOf(() => Promise.reject(new FafnirError('NO_SPACE', 'the bank is full')), log);
    const { runner } = runnerOn(store, [parentOf(log), part]);
    await runner.start();
    await runner.submit(parentJob);
    expect(await runner.outcome(TENANT, JOB, forever)).toMatchObject({
      state: 'failed',
      error: { code: 'NO_SPACE', message: 'the bank is full' },
    });
    expect(log).toEqual(['part undone', 'parent undone']);
    await runner.close({ drain: false });
  });

  it('is run by whoever takes it up', async () => {
    const store = memoryStore();
    const takesNoParts: JobStore = {
      ...store,
      claim: async (request) => (request.job === JOB ? store.claim(request) : undefined),
    };
    const part = (where: string): Operation => partOf(async () => ({ where }));
    const here = runnerOn(takesNoParts, [parentOf([]), part('here')]);
    await here.runner.start();
    await here.runner.submit(parentJob);
    const there = runnerOn(store, [parentOf([]), part('there')]);
    await there.runner.start();
    const outcome = await here.runner.outcome(TENANT, JOB, forever);
    expect(outcome).toEqual({ state: 'succeeded', result: { where: 'there' } });
    for (const { runner } of [here, there]) await runner.close({ drain: false });
  });

  it('holds nothing itself: what it needs is held for it', async () => {
    const store = memoryStore();
    const lease = { resource: 'volume', kind: 'write', excludes: ['write'] };
    const parent = operationOf(
      async (context) => {
        await context.hold([lease], 'refuse');
        return context.child('one', { operation: 'part', input: {} }, () => undefined);
      },
      { name: 'parent' },
    );
    const part = partOf(async (context) => {
      await context.hold([lease], 'refuse');
      return { held: true };
    });
    const { runner } = runnerOn(store, [parent, part]);
    await runner.start();
    await runner.submit(parentJob);
    expect(await runner.outcome(TENANT, JOB, forever)).toEqual({
      state: 'succeeded',
      result: { held: true },
    });
    await runner.close({ drain: false });
  });

  it('has ended before the job that was cancelled is undone', async () => {
    const store = memoryStore();
    const log: string[] = [];
    const began = Promise.withResolvers<void>();
    const part = partOf(async ({ signal }) => {
      began.resolve();
      return untilAborted(signal);
    }, log);
    const { runner } = runnerOn(store, [parentOf(log), part]);
    await runner.start();
    await runner.submit(parentJob);
    await began.promise;
    await runner.cancel(TENANT, JOB);
    expect(await runner.outcome(TENANT, JOB, forever)).toMatchObject({ state: 'cancelled' });
    expect(log).toEqual(['part undone', 'parent undone']);
    expect((await jobsIn(store)).map(({ state }) => state)).toEqual(['cancelled', 'cancelled']);
    await runner.close({ drain: false });
  });

  it('goes on with the other when its worker closes, and is not run twice', async () => {
    const store = memoryStore();
    const began = Promise.withResolvers<void>();
    const ran: number[] = [];
    const part = partOf(async (context) => {
      ran.push(context.job.epoch);
      began.resolve();
      return context.job.epoch === 1 ? untilAborted(context.signal) : { epoch: context.job.epoch };
    });
    const first = runnerOn(store, [parentOf([]), part]);
    await first.runner.start();
    await first.runner.submit(parentJob);
    await began.promise;
    await first.runner.close({ drain: false });
    expect((await jobsIn(store)).map(({ state }) => state)).toEqual(['running', 'running']);
    const second = runnerOn(store, [parentOf([]), part]);
    await second.runner.start();
    expect(await second.runner.outcome(TENANT, JOB, forever)).toEqual({
      state: 'succeeded',
      result: { epoch: 2 },
    });
    expect(ran).toEqual([1, 2]);
    await second.runner.close({ drain: false });
  });

  it('is ended first by a worker that finds the other one being undone', async () => {
    const store = memoryStore();
    const log: string[] = [];
    const began = Promise.withResolvers<void>();
    const part = partOf(async ({ signal }) => {
      began.resolve();
      return untilAborted(signal);
    }, log);
    const parent = parentOf(log);
    const first = runnerOn(store, [parent, part]);
    await first.runner.start();
    await first.runner.submit(parentJob);
    await began.promise;
    await first.runner.close({ drain: false });
    await store.requestCancel(TENANT, JOB);
    const second = runnerOn(store, [parent, part]);
    await second.runner.start();
    expect(await second.runner.outcome(TENANT, JOB, forever)).toMatchObject({ state: 'cancelled' });
    expect(log.toSorted()).toEqual(['parent undone', 'part undone']);
    expect(log.indexOf('part undone')).toBeLessThan(log.indexOf('parent undone'));
    await second.runner.close({ drain: false });
  });
});
