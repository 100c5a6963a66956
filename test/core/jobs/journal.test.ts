import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { AuditEntry, JobStore, StepRow } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { Journal, type JournaledStep } from '../../../src/core/jobs/journal.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { collect } from '../../../src/testing/job-store/fixtures.ts';
import { ManualClock, settled } from './manual-clock.ts';
import { claimOf, enqueue, JOB, LEASE, TENANT } from './worker.ts';

interface Opened {
  readonly store: JobStore;
  readonly journal: Journal;
  /** The transactions that reached the store, each as the names of its rows. */
  readonly transactions: string[][];
  /** What each of them tells. */
  readonly told: (readonly AuditEntry[])[];
}

/** A journal on a store that does this before each of its writes. */
async function opened(before: (rows: readonly StepRow[]) => Promise<void> = settled): Promise<Opened> {
  const sound = memoryStore();
  const transactions: string[][] = [];
  const told: (readonly AuditEntry[])[] = [];
  const store: JobStore = {
    ...sound,
    append: async (claim, rows, entries = []) => {
      transactions.push(rows.map(({ step, kind }) => `${kind} ${step}`));
      told.push(entries);
      await before(rows);
      await sound.append(claim, rows, entries);
    },
  };
  await enqueue(store);
  const journal = await Journal.open(store, await claimOf(store, new ManualClock()));
  return { store, journal, transactions, told };
}

/** Writes that wait until they are let through. */
function held(): { before(): Promise<void>; release(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { before: () => promise, release: resolve };
}

/** A step, begun by somebody new. */
const begin = (journal: Journal, name: string, input?: string): JournaledStep =>
  journal.begin(name, {}, input);

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown> | undefined): Promise<boolean> {
  const pending = Symbol('pending');
  await settled();
  return (await Promise.race([promise?.catch(() => undefined), Promise.resolve(pending)])) !== pending;
}

describe('a journal', () => {
  it('writes the rows of one turn in one transaction, in the order they came', async () => {
    const { store, journal, transactions } = await opened();
    await journal.recordBehind(begin(journal, 'a'), 1);
    await journal.recordBehind(begin(journal, 'b'), 2);
    await journal.intend(begin(journal, 'c'));
    expect(transactions).toEqual([['result a', 'result b', 'intent c']]);
    expect((await store.journal(TENANT, JOB)).map(({ step }) => step)).toEqual(['a', 'b', 'c']);
  });

  it('waits for intents and awaited results, and not for what is written behind', async () => {
    const { before, release } = held();
    const { store, journal } = await opened(before);
    await journal.recordBehind(begin(journal, 'a'), 1);
    expect(journal.result('a')).toBe(1);
    const intended = journal.intend(begin(journal, 'b'));
    const recorded = journal.record(begin(journal, 'b'), 2);
    expect(await Promise.all([intended, recorded].map(isSettled))).toEqual([false, false]);
    expect(await store.journal(TENANT, JOB)).toEqual([]);
    release();
    await Promise.all([intended, recorded]);
    expect(await store.journal(TENANT, JOB)).toHaveLength(3);
  });

  it('writes what the audit is to tell in the transaction of the row that says so', async () => {
    const { before, release } = held();
    const { store, journal, told } = await opened(before);
    journal.recordBehind(begin(journal, 'a'), 1);
    const entry = { at: 1, actor: 'test', action: 'checkpoint.committed', object: {} } as const;
    const recorded = journal.record(begin(journal, 'b'), 2, entry);
    await settled();
    journal.recordBehind(begin(journal, 'c'), 3);
    release();
    await recorded;
    await journal.intend(begin(journal, 'd'));
    expect(told).toEqual([[entry], []]);
    expect(await collect(store.audit.list(TENANT, {}))).toMatchObject([entry]);
  });

  it('begins no transaction before the last has ended', async () => {
    const { before, release } = held();
    const { journal, transactions } = await opened(before);
    const first = journal.record(begin(journal, 'a'), 1);
    await settled();
    const recorded = journal.record(begin(journal, 'b'), 2);
    await settled();
    expect(transactions).toEqual([['result a']]);
    release();
    await Promise.all([first, recorded]);
    expect(transactions).toEqual([['result a'], ['result b']]);
  });

  it('writes what nobody waits for all the same', async () => {
    const { store, journal } = await opened();
    journal.recordBehind(begin(journal, 'a'), 1);
    await expect.poll(() => store.journal(TENANT, JOB)).toHaveLength(1);
  });

  it('refuses a second step of a name, but not that another goes on with the first', async () => {
    const { journal } = await opened();
    const one = {};
    journal.begin('a', one);
    expect(() => journal.begin('a', one)).toThrow(expect.objectContaining({ code: 'JOURNAL_MISMATCH' }));
    expect(journal.begin('a', {}).name).toBe('a');
  });

  it.each([
    ['that differ at the end', (at: number) => `main/Local::Volume/${at}`],
    ['that differ at the beginning only', (at: number) => `${at}/of-the-same-ending`],
    ['of odd characters', (at: number) => '\u{1f409}'.repeat(at)],
  ])('keeps steps apart by names %s', async (_, name) => {
    const { journal } = await opened();
    const all = Array.from({ length: 1_000 }, (_, at) => name(at));
    for (const [at, one] of all.entries()) {
      expect(journal.result(one)).toBeUndefined();
      await journal.recordBehind(journal.begin(one, journal), at);
      expect(() => journal.begin(one, journal)).toThrow(
        expect.objectContaining({ code: 'JOURNAL_MISMATCH' }),
      );
    }
    for (const [at, one] of all.entries()) expect(journal.result(one)).toBe(at);
    expect(journal.results('')).toEqual(new Map(all.map((one, at) => [one, at])));
  });

  it('writes no intent twice', async () => {
    const { journal, transactions } = await opened();
    await journal.intend(begin(journal, 'a'));
    await journal.intend(begin(journal, 'a'));
    expect(transactions).toEqual([['intent a']]);
  });

  it('divides what is too much for one transaction', async () => {
    const { store, journal, transactions } = await opened();
    for (let at = 0; at < 2_500; at += 1) void journal.recordBehind(begin(journal, String(at)), at);
    await journal.record(begin(journal, 'last'), 0);
    expect(transactions.map((rows) => rows.length)).toEqual([1_000, 1_000, 501]);
    const steps = (await store.journal(TENANT, JOB)).map(({ step }) => step);
    expect(steps).toEqual([...Array.from({ length: 2_500 }, (_, at) => String(at)), 'last']);
  });

  it('divides what is too long for one transaction', async () => {
    const { journal, transactions } = await opened();
    for (let at = 0; at < 5; at += 1) journal.recordBehind(begin(journal, String(at)), 'x'.repeat(200_000));
    await journal.record(begin(journal, 'last'), 0);
    expect(transactions.map((rows) => rows.length)).toEqual([3, 3]);
  });

  it('lets whoever writes behind wait where too many rows do', async () => {
    const { before, release } = held();
    const { journal } = await opened(before);
    for (let at = 0; at < 2_000; at += 1) {
      expect(journal.recordBehind(begin(journal, String(at)), at)).toBeUndefined();
    }
    const oneMore = journal.recordBehind(begin(journal, 'one more'), 0);
    expect(await isSettled(oneMore)).toBe(false);
    release();
    await oneMore;
  });

  it('refuses a value that is too large, and writes the others of its turn', async () => {
    const { journal, transactions } = await opened();
    await journal.recordBehind(begin(journal, 'a'), 1);
    await expect(journal.record(begin(journal, 'large'), 'x'.repeat(300_000))).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringMatching(/large/),
    });
    await journal.record(begin(journal, 'b'), 2);
    expect(transactions).toEqual([['result a', 'result b']]);
    expect(journal.failed.aborted).toBe(false);
    expect(journal.result('large')).toBeUndefined();
  });

  it('shows the next worker what was written, and refuses a step of another input', async () => {
    const { store, journal } = await opened();
    await journal.intend(begin(journal, 'make/a', 'digest'));
    await journal.record(begin(journal, 'read/a'), { found: true });
    const clock = new ManualClock();
    await clock.advance(LEASE + 1);
    const next = await Journal.open(store, await claimOf(store, clock));
    expect(next.intents()).toEqual(['make/a']);
    expect(next.result('make/a')).toBeUndefined();
    expect([...next.results('read/')]).toEqual([['read/a', { found: true }]]);
    begin(next, 'make/a', 'digest');
    begin(next, 'make/b', 'digest');
    expect(() => begin(next, 'make/a', 'another')).toThrow(
      expect.objectContaining({ code: 'JOURNAL_MISMATCH' }),
    );
  });
});

describe('a journal whose store fails', () => {
  it('writes nothing more, and tells everybody', async () => {
    const reason = new FafnirError('UNAVAILABLE', 'no answer');
    const { store, journal, transactions } = await opened(() => Promise.reject(reason));
    journal.recordBehind(begin(journal, 'a'), 1);
    await once(journal.failed, 'abort');
    expect(journal.failed.reason).toBe(reason);
    await expect(journal.intend(begin(journal, 'b'))).rejects.toBe(reason);
    await expect(journal.record(begin(journal, 'b'), 2)).rejects.toBe(reason);
    expect(() => journal.recordBehind(begin(journal, 'b'), 2)).toThrow(reason);
    expect(transactions).toEqual([['result a']]);
    expect(await store.journal(TENANT, JOB)).toEqual([]);
  });

  it('does not write what waited behind the failure, for that would leave a hole', async () => {
    const { before, release } = held();
    const reason = new FafnirError('UNAVAILABLE', 'no answer');
    const { journal, transactions } = await opened(() =>
      before().then(() => {
        throw reason;
      }),
    );
    const first = journal.record(begin(journal, 'a'), 1);
    await settled();
    const second = journal.record(begin(journal, 'b'), 2);
    release();
    await expect(first).rejects.toBe(reason);
    await expect(second).rejects.toBe(reason);
    expect(transactions).toEqual([['result a']]);
  });
});
