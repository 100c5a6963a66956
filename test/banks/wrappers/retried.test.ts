import { expect, test } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { type RetriedOptions, retried } from '../../../src/banks/wrappers/retried.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { type CallOptions, FafnirError } from '../../../src/index.ts';
import { bankSuite } from '../../../src/testing/bank-suite.ts';
import { runSuite } from '../../../src/testing/suite.ts';
import { bytes, creating, fill, keys, live, read, replacing, whole } from './calls.ts';
import { type Faults, failingFirst, failingOnce, flakyBank, unavailable } from './flaky-bank.ts';
import { VirtualClock } from './virtual-clock.ts';

const calm = { clock: new VirtualClock(), firstPauseMilliseconds: 100, random: () => 1 };
const never = (): undefined => undefined;

/** A retried bank whose faults begin when told. */
function unreliable(options: RetriedOptions = {}) {
  const clock = new VirtualClock();
  const sound = memoryBank({ name: 'sound' });
  const state = { faults: never as Faults, calls: 0 };
  const flaky = flakyBank((when, what) => {
    if (when === 'before') state.calls += 1;
    return state.faults(when, what);
  }, sound);
  return { clock, sound, state, bank: retried(flaky, { ...calm, clock, ...options }) };
}

test('a bank that fails every call twice keeps its contract when retried', async () => {
  const clock = {
    ...systemClock,
    sleep: async (_pause: number, { signal }: CallOptions) => signal.throwIfAborted(),
  };
  const hasty = { clock, attempts: 100 };
  const suite = bankSuite({
    name: 'retried',
    create: async () => ({
      bank: retried(flakyBank(failingFirst(2)), hasty),
      dispose: async () => undefined,
    }),
  });
  const report = await runSuite(suite);
  expect(report.failed).toEqual([]);
  expect(report.passed.length).toBeGreaterThan(30);
});

test('pauses double up to the longest, with half of each left to chance', async () => {
  for (const [chance, expected] of [
    [1, [100, 200, 300, 300]],
    [0, [50, 100, 150, 150]],
  ] as const) {
    const { bank, clock, state } = unreliable({
      attempts: 5,
      longestPauseMilliseconds: 300,
      random: () => chance,
    });
    state.faults = failingFirst(4);
    expect(await clock.until(bank.head('key', live))).toBeUndefined();
    expect(clock.sleeps).toEqual(expected);
  }
});

test('a pause is as long as the bank asks for, also beyond the longest', async () => {
  const { bank, clock, state } = unreliable({ longestPauseMilliseconds: 300 });
  state.faults = failingOnce('before', 'head key', () => unavailable(7_000));
  await clock.until(bank.head('key', live));
  expect(clock.sleeps).toEqual([7_000]);
});

test('the last attempt tells why it failed', async () => {
  const { bank, clock, state } = unreliable({ attempts: 3 });
  const error = unavailable();
  state.faults = () => error;
  const calls: readonly (() => Promise<unknown>)[] = [
    () => bank.put('key', bytes('body'), creating),
    () => bank.get('key', whole, live),
    () => bank.head('key', live),
    () => keys(bank),
    () => bank.remove(['key'], live),
  ];
  for (const call of calls) {
    state.calls = 0;
    await expect(clock.until(call())).rejects.toBe(error);
    expect(state.calls).toBe(3);
  }
});

test.each([
  ['an error that is not retryable', new FafnirError('ACCESS_DENIED', 'no')],
  ['an error that its thrower calls lasting', new FafnirError('UNAVAILABLE', 'gone', { retryable: false })],
  ['an error that is not ours', new TypeError('oops')],
])('%s is not tried again', async (_name, error) => {
  const { bank, state } = unreliable();
  state.faults = () => error;
  await expect(bank.head('key', live)).rejects.toBe(error);
  await expect(keys(bank)).rejects.toBe(error);
  expect(state.calls).toBe(2);
});

test('an abort ends a pause, and its reason is not tried again though it is retryable', async () => {
  const { bank, clock, state } = unreliable();
  const caller = new AbortController();
  const { signal } = caller;
  const reason = unavailable();
  state.faults = () => unavailable();
  const waiting = [
    bank.put('key', bytes('body'), { signal, ifAbsent: true }),
    bank.get('key', whole, { signal }),
    bank.list('', { signal })[Symbol.asyncIterator]().next(),
  ];
  const outcomes = Promise.allSettled(waiting);
  while (clock.sleeping < waiting.length) await Promise.resolve();
  caller.abort(reason);
  expect((await outcomes).map((one) => one.status === 'rejected' && one.reason)).toEqual([
    reason,
    reason,
    reason,
  ]);
  expect(clock.sleeping).toBe(0);
  state.calls = 0;
  state.faults = never;
  await expect(bank.head('key', { signal })).rejects.toBe(reason);
  expect(state.calls).toBe(1);
});

test('an abort counts even where the last attempt failed by itself', async () => {
  const { bank, state } = unreliable({ attempts: 1 });
  const caller = new AbortController();
  const reason = new Error('gone');
  state.faults = () => {
    caller.abort(reason);
    return unavailable();
  };
  await expect(bank.head('key', caller)).rejects.toBe(reason);
});

test('a list goes on after the last object that it gave, however often it breaks', async () => {
  const { bank, clock, sound, state } = unreliable({ attempts: 2 });
  const names = Array.from({ length: 30 }, (_, at) => `a/${String(at).padStart(2, '0')}`);
  await fill(sound, ...names, 'b');
  state.faults = (_when, what) =>
    what.startsWith('list past') && !what.endsWith('b') ? unavailable() : undefined;
  expect(await clock.until(keys(bank, 'a/'))).toEqual(names);
  expect(await clock.until(keys(bank, '', 'a/27'))).toEqual(['a/28', 'a/29', 'b']);
  // Each break is the first since an object came.
  expect(new Set(clock.sleeps)).toEqual(new Set([100]));
});

test('a list whose reader fails is not begun again', async () => {
  const { bank, sound, state } = unreliable();
  await fill(sound, 'a', 'b');
  const error = unavailable();
  const reading = async (): Promise<void> => {
    for await (const _ of bank.list('', live)) throw error;
  };
  await expect(reading()).rejects.toBe(error);
  expect(state.calls).toBe(1);
});

test('a put whose answer was lost finds its own object: it is there, whole, and called existing', async () => {
  const { bank, clock, sound, state } = unreliable();
  state.faults = failingOnce('after', 'put key');
  expect(await clock.until(bank.put('key', bytes('mine'), creating))).toBe('exists');
  expect(await read(sound, 'key')).toBe('mine');
  state.faults = failingOnce('before', 'put other');
  expect(await clock.until(bank.put('other', bytes('mine'), creating))).toBe('created');
  state.faults = failingOnce('after', 'put key');
  expect(await clock.until(bank.put('key', bytes('new'), replacing))).toBe('created');
  expect(await read(sound, 'key')).toBe('new');
});

test('of many puts with ifAbsent at most one hears created, whichever answers are lost', async () => {
  for (let lost = 0; lost < 64; lost += 1) {
    const { bank, clock, sound, state } = unreliable();
    let call = 0;
    state.faults = (when) => {
      if (when === 'before') return undefined;
      call += 1;
      return call <= 6 && (lost >> (call - 1)) % 2 === 1 ? unavailable() : undefined;
    };
    const bodies = ['one', 'two', 'three'];
    const puts = bodies.map((body) => bank.put('key', bytes(body), creating));
    const outcomes = await clock.until(Promise.all(puts));
    const stored = await read(sound, 'key');
    const winners = bodies.filter((_, at) => outcomes[at] === 'created');
    expect(winners.length).toBeLessThanOrEqual(1);
    for (const winner of winners) expect(winner).toBe(stored);
  }
});

test('options are checked', () => {
  const bank = memoryBank({ name: 'memory' });
  for (const options of [{ attempts: 0 }, { firstPauseMilliseconds: -1 }, { retries: 3 }, { clock: {} }]) {
    expect(() => retried(bank, options as RetriedOptions)).toThrow(/retried: /);
  }
});
