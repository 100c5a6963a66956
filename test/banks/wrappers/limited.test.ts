import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { type LimitedOptions, limited } from '../../../src/banks/wrappers/limited.ts';
import { wrap } from '../../../src/banks/wrappers/wrap.ts';
import type { Bank } from '../../../src/index.ts';
import { bytes, creating, fill, keys, live, replacing, whole } from './calls.ts';
import { VirtualClock } from './virtual-clock.ts';

const KIBIBYTE = 1_024;

/** A bank that counts the calls under way; each takes some turns. */
function crowded(): { readonly bank: Bank; readonly seen: { now: number; most: number; begun: string[] } } {
  const sound = memoryBank({ name: 'crowded' });
  const seen = { now: 0, most: 0, begun: [] as string[] };
  const through = async <Answer>(what: string, work: () => Promise<Answer>): Promise<Answer> => {
    seen.begun.push(what);
    seen.now += 1;
    seen.most = Math.max(seen.most, seen.now);
    try {
      for (let turn = 0; turn < 3; turn += 1) await setImmediate();
      return await work();
    } finally {
      seen.now -= 1;
    }
  };
  const bank = wrap(sound, {
    put: (key, body, call) => through(`put ${key}`, () => sound.put(key, body, call)),
    get: (key, read, call) => through(`get ${key}`, () => sound.get(key, read, call)),
    head: (key, call) => through(`head ${key}`, () => sound.head(key, call)),
    async *list(prefix, call) {
      for await (const object of sound.list(prefix, call)) {
        await through('list', () => Promise.resolve());
        yield object;
      }
    },
    remove: (names, call) => through('remove', () => sound.remove(names, call)),
  });
  return { bank, seen };
}

test.each([1, 3])(
  'at most %i calls of all kinds are under way, and all get their turn',
  async (concurrency) => {
    const { bank: crowd, seen } = crowded();
    const bank = limited(crowd, { concurrency });
    const names = Array.from({ length: 12 }, (_, at) => `key-${at}`);
    await Promise.all([
      ...names.map((name) => bank.put(name, bytes(name), creating)),
      ...names.map((name) => bank.head(name, live)),
      keys(bank),
      keys(bank),
      bank.remove(['other'], live),
    ]);
    expect(seen).toMatchObject({ now: 0, most: concurrency });
    expect(await keys(bank)).toHaveLength(names.length);
  },
);

test('calls start in the order they came', async () => {
  const { bank: crowd, seen } = crowded();
  const bank = limited(crowd, { concurrency: 1 });
  const names = ['c', 'a', 'd', 'b'];
  await Promise.all(names.map((name) => bank.head(name, live)));
  expect(seen.begun).toEqual(names.map((name) => `head ${name}`));
});

test('a list that is being read holds no place, and lets go of the bank when it is left', async () => {
  const sound = memoryBank({ name: 'memory' });
  await fill(sound, 'a', 'b', 'c');
  let left = 0;
  const watched = wrap(sound, {
    async *list(prefix, call) {
      try {
        yield* sound.list(prefix, call);
      } finally {
        left += 1;
      }
    },
  });
  const bank = limited(watched, { concurrency: 1 });
  const sizes: (number | undefined)[] = [];
  for await (const { key } of bank.list('', live)) {
    sizes.push((await bank.head(key, live))?.size);
    if (sizes.length === 2) break;
  }
  expect(sizes).toEqual([1, 1]);
  expect(left).toBe(1);
});

test('a failed call gives its place back', async () => {
  const bank = limited(memoryBank({ name: 'memory' }), { concurrency: 1 });
  for (let time = 0; time < 3; time += 1) {
    await expect(bank.get('absent', whole, live)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }
  expect(await bank.put('key', bytes('body'), creating)).toBe('created');
});

test('who gives up waiting for a place takes none', async () => {
  const { bank: crowd, seen } = crowded();
  const bank = limited(crowd, { concurrency: 1 });
  const caller = new AbortController();
  const first = bank.head('first', live);
  const second = bank.head('second', caller);
  const third = bank.head('third', live);
  caller.abort(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  await Promise.all([first, third]);
  expect(seen.begun).toEqual(['head first', 'head third']);
  await bank.head('fourth', live);
});

function narrow(options: Partial<LimitedOptions> = {}) {
  const clock = new VirtualClock();
  const sound = memoryBank({ name: 'memory' });
  const rate = { concurrency: 4, bytesPerSecond: KIBIBYTE, clock };
  return { clock, sound, bank: limited(sound, { ...rate, ...options }) };
}

test('bytes of puts and gets pass at the rate, those of one second at once', async () => {
  const { bank, clock } = narrow();
  const start = clock.now();
  const body = new Uint8Array(KIBIBYTE / 2);
  for (let at = 0; at < 2; at += 1)
    await clock.until(bank.put(`key-${at}`, [body, body.subarray(0, 0)], creating));
  expect(clock.sleeps).toEqual([]);
  await clock.until(bank.get('key-0', whole, live));
  await clock.until(bank.get('key-1', whole, live));
  await clock.until(bank.put('last', body, creating));
  // Two halves were free, two had to be paid before the last put.
  expect(clock.now() - start).toBe(1_000);
});

test('calls beside each other keep to the rate in the long run', async () => {
  const { bank, clock } = narrow();
  const start = clock.now();
  const body = new Uint8Array(KIBIBYTE);
  const puts = Array.from({ length: 11 }, (_, at) => bank.put(`key-${at}`, body, creating));
  await clock.until(Promise.all(puts));
  expect(clock.now() - start).toBe(10_000 - 1_000);
  const gets = puts.map((_, at) => bank.get(`key-${at}`, whole, live));
  await clock.until(Promise.all(gets));
  await clock.until(bank.put('last', body, replacing));
  expect(clock.now() - start).toBeGreaterThanOrEqual(20_000);
});

test('a call larger than the bucket passes at once, and those behind it pay for it', async () => {
  const { bank, clock } = narrow();
  await clock.until(bank.put('large', new Uint8Array(10 * KIBIBYTE), creating));
  expect(clock.sleeps).toEqual([]);
  await clock.until(bank.put('small', bytes('x'), creating));
  expect(clock.sleeps).toEqual([9_000]);
  await clock.until(bank.get('large', whole, live));
  await clock.until(bank.get('small', whole, live));
  // A byte of the small put, then the large get.
  expect(clock.sleeps).toEqual([9_000, 1, 10_000]);
});

test('what was not used is not saved up beyond one second', async () => {
  const { bank, clock } = narrow();
  clock.advance(3_600_000);
  await clock.until(bank.put('one', new Uint8Array(2 * KIBIBYTE), creating));
  await clock.until(bank.put('two', bytes('x'), creating));
  expect(clock.sleeps).toEqual([1_000]);
});

test('head, list and remove wait for no bandwidth', async () => {
  const { bank, clock } = narrow();
  await bank.put('large', new Uint8Array(10 * KIBIBYTE), creating);
  await bank.head('large', live);
  await keys(bank);
  await bank.remove(['large'], live);
  expect(clock.sleeps).toEqual([]);
});

test('an abort while waiting for bandwidth leaves no timer, takes nothing and gives the place back', async () => {
  const { bank, clock, sound } = narrow({ concurrency: 1 });
  await bank.put('large', new Uint8Array(2 * KIBIBYTE), creating);
  const caller = new AbortController();
  const { signal } = caller;
  const waiting = bank.put('huge', new Uint8Array(100 * KIBIBYTE), { signal, ifAbsent: true });
  while (clock.sleeping === 0) await setImmediate();
  caller.abort(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  expect(clock.sleeping).toBe(0);
  expect(await keys(sound)).toEqual(['large']);
  await clock.until(bank.put('small', bytes('x'), creating));
  expect(clock.sleeps).toEqual([1_000, 1_000]);
});

test('options are checked', () => {
  const bank = memoryBank({ name: 'memory' });
  for (const options of [
    {},
    { concurrency: 0 },
    { concurrency: 1, bytesPerSecond: 0 },
    { concurrency: 1, rate: 1 },
  ]) {
    expect(() => limited(bank, options as LimitedOptions)).toThrow(/limited: /);
  }
});
