import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import pMap from 'p-map';
import { expect, it } from 'vitest';
import type { ScheduleId } from '../../../src/core/contracts/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { temporaryDirectory } from '../engine/application.ts';
import { all } from '../engine/world.ts';
import { ACME, BEGIN, endJobs, HOUR, scheduled, schedulerOf, SetClock, wordOf } from './scheduling.ts';

const TICKER = fileURLToPath(new URL('fixtures/ticker.ts', import.meta.url));
// Every call is a moment to die at; this many of them are tried, or all.
const KILLS = Number(process.env.FAFNIR_KILLS ?? 16);
const TIME = BEGIN + 3.1 * HOUR;

/** One schedule of each rule for overlaps. */
const SCHEDULES = {
  once: { missed: 'run-once', overlap: 'cancel-older' },
  skipped: { missed: 'skip', overlap: 'skip' },
  queued: { missed: 'catch-up', overlap: 'queue' },
} as const;

/** Runs a ticker that dies at a call; resolves with the calls of one that lives. */
async function ticker(path: string, call: number, moment: 'before' | 'after', time = TIME): Promise<number> {
  const child = spawn(process.execPath, [TICKER, path, String(time), String(call), moment]);
  const [closed, output, errors] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ]);
  const [code, signal] = closed;
  if (signal === null && code !== 0) throw new Error(`the child failed by itself: ${errors}`);
  return Number(output);
}

/** A store with the schedules, none of whose ticks was dealt with. */
async function prepare(path: string): Promise<void> {
  await using store = sqliteStore(path);
  for (const [id, rules] of Object.entries(SCHEDULES)) {
    await scheduled(store, { id: id as ScheduleId, ...rules });
  }
}

/** What the store has in the end, after a scheduler that nobody kills; every fired tick has its job, and no other is. */
async function outcome(path: string, time = TIME): Promise<Record<string, string[]>> {
  await using store = sqliteStore(path);
  const clock = new SetClock();
  clock.time = time + 60_000;
  const scheduler = schedulerOf({ store, clock });
  for (let pass = 0; pass < 8; pass += 1) {
    await scheduler.settle();
    await endJobs(store);
    clock.time += 5_000;
  }
  const fired: string[] = [];
  const found: Record<string, string[]> = {};
  for (const id of Object.keys(SCHEDULES)) {
    const ticks = await all(store.schedules.ticks(ACME, id as ScheduleId, {}));
    for (const tick of ticks) if (tick.state === 'fired') fired.push(tick.job);
    found[id] = ticks.map((tick) => `${(tick.time - BEGIN) / HOUR} ${wordOf(tick)}`);
  }
  const jobs = await all(store.list(ACME, {}));
  expect(jobs.map((job) => job.id).sort()).toEqual(fired.sort());
  return found;
}

it('neither loses nor doubles a tick where it is killed before or after any call of its store', async () => {
  await using directory = await temporaryDirectory();
  const template = join(directory.path, 'template.db');
  await prepare(template);
  const whole = join(directory.path, 'whole.db');
  await cp(template, whole);
  const calls = await ticker(whole, 0, 'before');
  expect(calls).toBeGreaterThan(10);
  const expected = {
    once: ['1 stopped', '2 stopped', '3 fired'],
    skipped: ['1 stopped', '2 stopped', '3 fired'],
    queued: ['1 fired', '2 fired', '3 fired'],
  };
  expect(await outcome(whole)).toEqual(expected);
  const kills = Array.from({ length: calls }, (_, at) => at + 1).flatMap((call) =>
    (['before', 'after'] as const).map((moment) => ({ call, moment })),
  );
  // Spread over all of them.
  const every = Math.max(1, Math.ceil(kills.length / KILLS));
  await pMap(
    kills.filter((_, at) => at % every === 0),
    async ({ call, moment }) => {
      const path = join(directory.path, `${call}-${moment}.db`);
      await cp(template, path);
      expect(await ticker(path, call, moment), 'calls of one that was killed').toBe(0);
      expect(await outcome(path), `killed ${moment} call ${call}`).toEqual(expected);
    },
    { concurrency: 2 },
  );
}, 120_000);

it('neither loses nor doubles a tick where several processes work on one store and die', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'shared.db');
  await prepare(path);
  for (const round of [1, 2, 3]) {
    const time = BEGIN + (4 * round + 0.1) * HOUR;
    await Promise.all([0, 5 * round, 9, 12 + round].map((call) => ticker(path, call, 'after', time)));
  }
  const found = await outcome(path, BEGIN + 12.1 * HOUR);
  const hours = Array.from({ length: 12 }, (_, at) => String(at + 1));
  for (const ticks of Object.values(found)) expect(ticks.map((tick) => tick.split(' ')[0])).toEqual(hours);
  expect(found.queued).toEqual(hours.map((hour) => `${hour} fired`));
}, 120_000);
