import { expect, it } from 'vitest';
import type { JobStore, UsageRecord } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import type { OperationContext } from '../../../src/core/jobs/operation.ts';
import { currentMeter } from '../../../src/core/meter.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { all } from '../engine/world.ts';
import { ManualClock, settled } from './manual-clock.ts';
import { claimOf, enqueue, LEASE, operationOf, TENANT, untilAborted, work } from './worker.ts';

/** A step that calls a bank once and stores so many bytes. */
const storing = (context: OperationContext, name: string, bytes: number): Promise<null> =>
  context.effect(name, async () => {
    const meter = currentMeter();
    if (meter === undefined) throw new Error('nobody counts');
    meter.bankCalls += 1;
    meter.store('bank', bytes);
    return null;
  });

const usageOf = async (store: JobStore): Promise<UsageRecord> => {
  const [record, ...more] = await all(store.usage(TENANT, {}));
  if (record === undefined || more.length > 0) throw new Error(`${more.length} more records`);
  return record;
};

it('what a job used is counted for it alone, with its settling and its undoing', async () => {
  const [store, clock] = [memoryStore(), new ManualClock()];
  await enqueue(store);
  const operation = operationOf(
    async (context) => {
      context.usage.concerns({ provider: 'gold', logical: 7 });
      await storing(context, 'a', 100);
      throw new FafnirError('NO_SPACE', 'full', { retryable: false });
    },
    { undo: async (context) => void (await storing(context, 'undo/a', -100)) },
  );
  const begun = clock.now();
  const { ended } = await work(store, clock, operation);
  await clock.advance(1_000);
  expect(await ended).toMatchObject({ state: 'failed' });
  expect(currentMeter()).toBeUndefined();
  expect(await usageOf(store)).toMatchObject({
    state: 'failed',
    provider: 'gold',
    logical: 7,
    stored: 0,
    banks: [],
    calls: { arrays: 0, banks: 2 },
    isWhole: true,
    startedAt: begun,
  });
});

it('a worker that lets go of a job writes down what it counted, for the next one to add to', async () => {
  const [store, clock] = [memoryStore(), new ManualClock()];
  await enqueue(store);
  let isFirst = true;
  const operation = operationOf(async (context) => {
    await storing(context, 'a', 100);
    if (isFirst) await untilAborted(context.signal);
    await storing(context, 'b', 20);
    return {};
  });
  const first = await work(store, clock, operation);
  await clock.advance(100);
  first.closing.abort(new FafnirError('CLOSED', 'the engine was closed'));
  await clock.advance(100);
  expect(await first.ended).toBe('put-down');
  isFirst = false;
  const second = await work(store, clock, operation);
  await clock.advance(100);
  expect(await second.ended).toMatchObject({ state: 'succeeded' });
  expect(await usageOf(store)).toMatchObject({ stored: 120, calls: { banks: 2 }, isWhole: true });
});

it('a worker that died leaves a record that says that it may not be whole', async () => {
  const [store, clock] = [memoryStore(), new ManualClock()];
  await enqueue(store);
  const dead = await claimOf(store, clock);
  await store.append(dead, [{ step: 'a', kind: 'intent' }]);
  await clock.advance(LEASE + 1);
  const { ended } = await work(
    store,
    clock,
    operationOf(async (context) => {
      await storing(context, 'a', 100);
      return {};
    }),
  );
  await clock.advance(1_000);
  expect(await ended).toMatchObject({ state: 'succeeded' });
  expect(await usageOf(store)).toMatchObject({ stored: 100, isWhole: false });
});

it('what was counted before the job was decided is there when a worker dies after that', async () => {
  const [store, clock] = [memoryStore(), new ManualClock()];
  await enqueue(store);
  let isStuck = true;
  const operation = operationOf(
    async (context) => {
      context.usage.concerns({ provider: 'gold' });
      await storing(context, 'a', 100);
      return { done: true };
    },
    { settle: async (context, result) => (isStuck ? untilAborted(context.signal) : result) },
  );
  const first = await work(store, clock, operation);
  await clock.advance(100);
  // Another worker takes over, as if this one had died.
  const stolen = await store.claim({ now: clock.now() + LEASE * 10, leaseUntil: clock.now() - 1 });
  expect(stolen?.job.epoch).toBe(2);
  await clock.advance(LEASE);
  expect(await first.ended).toBe('unaccounted');
  isStuck = false;
  const third = await work(store, clock, operation);
  await settled();
  await clock.advance(100);
  expect(await third.ended).toMatchObject({ state: 'succeeded' });
  expect(await usageOf(store)).toMatchObject({ stored: 100, provider: 'gold', isWhole: false });
});
