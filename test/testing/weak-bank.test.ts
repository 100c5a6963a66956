import { describe, expect, test } from 'vitest';
import { memoryBank } from '../../src/banks/memory.ts';
import type { Bank, CallOptions } from '../../src/core/contracts/index.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { runSuite, type SuiteReport } from '../../src/testing/suite.ts';
import { type WeakBankOptions, weakBank } from '../../src/testing/weak-bank.ts';

const live: CallOptions = { signal: new AbortController().signal };
const creating = { ...live, ifAbsent: true } as const;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const KEYS = Array.from({ length: 40 }, (_, at) => `key-${at}`).sort();

const weak = (options: Partial<WeakBankOptions> = {}, bank: Bank = memoryBank({ name: 'memory' })): Bank =>
  weakBank(bank, { staleness: { reads: 0, lists: 0 }, conditionalCreate: 'none', seed: 1, ...options });

async function listed(bank: Bank): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of bank.list('', live)) keys.push(key);
  return keys;
}

/** How many calls miss an object that was just put. */
async function misses(bank: Bank, key: string, look: () => Promise<boolean>): Promise<number> {
  await bank.put(key, bytes(key), creating);
  let missed = 0;
  while (!(await look())) missed += 1;
  return missed;
}

const suiteOf = (options: Partial<WeakBankOptions>): Promise<SuiteReport> =>
  runSuite(
    bankSuite({
      name: 'weak',
      conditionalCreate: options.conditionalCreate ?? 'none',
      create: async () => ({ bank: weak(options), dispose: async () => undefined }),
    }),
  );

test.each(['none', 'best-effort'] as const)(
  'with nothing hidden it keeps the contract of a bank whose conditional create is %s',
  async (conditionalCreate) => {
    const { failed, skipped } = await suiteOf({ conditionalCreate });
    expect(failed).toEqual([]);
    expect(skipped).toHaveLength(conditionalCreate === 'none' ? 9 : 7);
  },
);

test('the suite tells a bank that hides new objects from a sound one', async () => {
  const reads = await suiteOf({ staleness: { reads: 2, lists: 0 } });
  expect(reads.failed.map(({ name }) => name)).toContain('stores 5 MiB in one part and in many');
  const lists = await suiteOf({ staleness: { reads: 0, lists: 2 } });
  expect(lists.failed.map(({ name }) => name)).toContain('lists keys in the order of their bytes');
});

describe('a new object', () => {
  test('is missed by reads for a while, by get and head alike', async () => {
    const bank = weak({ staleness: { reads: 3, lists: 0 } });
    const missed: number[] = [];
    for (const [at, key] of KEYS.entries()) {
      const look = async (): Promise<boolean> => {
        if (at % 2 === 0) return (await bank.head(key, live)) !== undefined;
        return bank.get(key, { limit: 100 }, live).then(
          () => true,
          (error: { readonly code?: string }) => {
            expect(error.code).toBe('NOT_FOUND');
            return false;
          },
        );
      };
      missed.push(await misses(bank, key, look));
      expect(await look()).toBe(true);
    }
    expect([...new Set(missed)].sort()).toEqual([0, 1, 2, 3]);
  });

  test('is missed by lists for a while, and the others are not', async () => {
    const bank = weak({ staleness: { reads: 0, lists: 3 } });
    const missed: number[] = [];
    for (const [at, key] of KEYS.entries()) {
      missed.push(await misses(bank, key, async () => (await listed(bank)).includes(key)));
      expect(await listed(bank)).toEqual(KEYS.slice(0, at + 1).sort());
    }
    expect([...new Set(missed)].sort()).toEqual([0, 1, 2, 3]);
  });

  test('is hidden for as long in every run of a seed, in whatever order it came', async () => {
    const shown = async (seed: number, keys: readonly string[]): Promise<string[]> => {
      const bank = weak({ staleness: { reads: 0, lists: 1 }, seed });
      for (const key of keys) await bank.put(key, bytes(key), creating);
      return listed(bank);
    };
    expect(await shown(7, KEYS.toReversed())).toEqual(await shown(7, KEYS));
    expect(await shown(8, KEYS)).not.toEqual(await shown(7, KEYS));
  });

  test('is hidden anew after it was removed and put again', async () => {
    const bank = weak({ staleness: { reads: 3, lists: 0 } });
    const look = (key: string) => async () => (await bank.head(key, live)) !== undefined;
    const first: number[] = [];
    const second: number[] = [];
    for (const key of KEYS) first.push(await misses(bank, key, look(key)));
    await bank.remove(KEYS, live);
    for (const key of KEYS) second.push(await misses(bank, key, look(key)));
    expect(second).toEqual(first);
  });
});

test('an object that was seen stays in sight when it is replaced', async () => {
  const bank = weak({ staleness: { reads: 3, lists: 3 } });
  for (const key of KEYS) await misses(bank, key, async () => (await bank.head(key, live)) !== undefined);
  for (let lists = 0; lists < 3; lists += 1) await listed(bank);
  for (const key of KEYS) await bank.put(key, bytes('new'), creating);
  expect(await listed(bank)).toEqual(KEYS);
  for (const key of KEYS) expect(await bank.head(key, live)).toEqual({ key, size: 3 });
});

test('of two puts with ifAbsent the last one wins while the first is hidden, or always', async () => {
  const twice = async (options: Partial<WeakBankOptions>): Promise<unknown> => {
    const sound = memoryBank({ name: 'memory' });
    const bank = weak(options, sound);
    const first = await bank.put('key', bytes('first'), creating);
    const second = await bank.put('key', bytes('second'), creating);
    const stored = await sound.get('key', { limit: 100 }, live);
    return [first, second, new TextDecoder().decode(stored)];
  };
  const replaced = ['created', 'created', 'second'];
  const kept = ['created', 'exists', 'first'];
  expect(await twice({ conditionalCreate: 'none' })).toEqual(replaced);
  expect(await twice({ conditionalCreate: 'best-effort' })).toEqual(kept);
  const outcomes = [];
  for (let seed = 0; seed < 10; seed += 1) {
    const staleness = { reads: 1, lists: 0 };
    outcomes.push(await twice({ conditionalCreate: 'best-effort', staleness, seed }));
  }
  expect(outcomes).toContainEqual(replaced);
  expect(outcomes).toContainEqual(kept);
});

test('what came into the bank another way is not hidden', async () => {
  const sound = memoryBank({ name: 'memory' });
  for (const key of KEYS) await sound.put(key, bytes(key), creating);
  const bank = weak({ staleness: { reads: 9, lists: 9 } }, sound);
  expect(await listed(bank)).toEqual(KEYS);
});

test('options are checked', () => {
  const wrong = [
    { staleness: { reads: -1, lists: 0 } },
    { conditionalCreate: 'atomic' },
    { seed: 0.5 },
    { x: 1 },
  ];
  for (const options of wrong) expect(() => weak(options as never)).toThrow(/weakBank: /);
});
