import assert from 'node:assert/strict';
import type { Bank } from '../../core/contracts/index.ts';
import {
  creating,
  holds,
  type LockClock,
  listed,
  live,
  type Obligation,
  put,
  refuses,
  replacing,
  text,
} from './obligation.ts';

// Services count in seconds, and their clocks are some apart.
const SHORT = 4_000;
const MARGIN = 2_000;

/** Puts an object that is locked for a short time; resolves with the instant. */
async function lock(bank: Bank, clock: LockClock, key: string): Promise<number> {
  const retainUntil = clock.now() + SHORT;
  assert.equal(await bank.put(key, text(key), { ...creating, retainUntil }), 'created');
  return retainUntil;
}

/** Extends the lock of objects; the bank has locks. */
async function extend(bank: Bank, until: number, ...keys: string[]): Promise<void> {
  assert.ok(bank.extend);
  await bank.extend(keys, until, live);
}

/** Waits until a lock has surely ended. */
const ended = (clock: LockClock, until: number): Promise<void> =>
  clock.sleep(Math.max(0, until + MARGIN - clock.now()), live);

/** What cannot be removed before an instant. */
export const LOCKS: readonly Obligation[] = [
  {
    name: 'keeps a locked object until its lock ends, and removes it afterwards',
    locks: true,
    async run(bank, clock) {
      await put(bank, 'free');
      const until = await lock(bank, clock, 'locked');
      await refuses(() => bank.remove(['locked', 'free', 'absent'], live), 'LOCKED');
      assert.deepEqual(await listed(bank), ['locked']);
      await holds(bank, 'locked', 'locked');
      assert.deepEqual(await bank.head('locked', live), { key: 'locked', size: 6 });
      await ended(clock, until);
      await bank.remove(['locked'], live);
      assert.deepEqual(await listed(bank), []);
      assert.equal(await bank.head('locked', live), undefined);
    },
  },
  {
    name: 'replaces no locked object',
    locks: true,
    async run(bank, clock) {
      const until = await lock(bank, clock, 'locked');
      await refuses(() => bank.put('locked', text('other'), replacing), 'LOCKED');
      assert.equal(await bank.put('locked', text('other'), { ...creating, retainUntil: until }), 'exists');
      await holds(bank, 'locked', 'locked');
      await ended(clock, until);
      assert.equal(await bank.put('locked', text('other'), replacing), 'created');
      await holds(bank, 'locked', 'other');
      await bank.remove(['locked'], live);
      assert.deepEqual(await listed(bank), []);
    },
  },
  {
    name: 'locks by extend what was not locked, and for longer what was, and never for shorter',
    locks: true,
    async run(bank, clock) {
      await put(bank, 'free');
      const first = await lock(bank, clock, 'locked');
      const second = first + SHORT;
      await extend(bank, second, 'free', 'locked');
      await extend(bank, second, 'free', 'locked');
      await extend(bank, first, 'free', 'locked');
      await ended(clock, first);
      await refuses(() => bank.remove(['free', 'locked'], live), 'LOCKED');
      assert.deepEqual(await listed(bank), ['free', 'locked']);
      await ended(clock, second);
      await bank.remove(['free', 'locked'], live);
      assert.deepEqual(await listed(bank), []);
    },
  },
  {
    name: 'refuses with NOT_FOUND to lock what is not there',
    locks: true,
    async run(bank, clock) {
      await put(bank, 'object');
      await refuses(() => extend(bank, clock.now() + SHORT, 'absent'), 'NOT_FOUND');
      await bank.remove(['object'], live);
      await refuses(() => extend(bank, clock.now() + SHORT, 'object'), 'NOT_FOUND');
      assert.deepEqual(await listed(bank), []);
    },
  },
  {
    name: 'locks nothing until an instant that has passed',
    locks: true,
    async run(bank, clock) {
      const past = clock.now() - SHORT;
      assert.equal(await bank.put('object', text('object'), { ...creating, retainUntil: past }), 'created');
      await extend(bank, past, 'object');
      await bank.remove(['object'], live);
      assert.deepEqual(await listed(bank), []);
    },
  },
  {
    name: 'locks nothing for a caller who is gone, or under another key',
    locks: true,
    async run(bank, clock) {
      await put(bank, 'object');
      const until = clock.now() + SHORT;
      const gone = { signal: AbortSignal.abort() };
      await assert.rejects(async () => bank.extend?.(['object'], until, gone));
      await refuses(() => extend(bank, until, 'object', '../object'), 'INVALID_KEY');
      await bank.remove(['object'], live);
      assert.deepEqual(await listed(bank), []);
    },
  },
  {
    name: 'refuses to lock with UNSUPPORTED, and does nothing',
    locks: false,
    async run(bank, clock) {
      const retainUntil = clock.now() + SHORT;
      await refuses(() => bank.put('object', text('object'), { ...creating, retainUntil }), 'UNSUPPORTED');
      await refuses(() => bank.put('object', text('object'), { ...replacing, retainUntil }), 'UNSUPPORTED');
      assert.deepEqual(await listed(bank), []);
    },
  },
];
