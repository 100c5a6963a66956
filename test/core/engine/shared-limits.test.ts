import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { Clock, JobStore, SharedLimits } from '../../../src/index.ts';
import { createEngine } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { postgresStore } from '../../../src/stores/postgres.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { postgresLab } from '../../lab/postgres/postgres.ts';
import { freshSchema } from '../../lab/postgres/schemas.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import type { Tap } from './taps.ts';
import { all, failure, hastyClock, openWorld, providersIn } from './world.ts';

const LIMITED = fileURLToPath(new URL('fixtures/limited.ts', import.meta.url));
const TENANTS = ['acme', 'bolt', 'cask', 'dune'];

const countsIn = (path: string): number[] => {
  const file = join(path, 'counts');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number) : [];
};

/** Starts workers in processes of their own, asks for twelve archives, and kills one worker when some were made. */
async function runWorkers(of: {
  readonly path: string;
  readonly store: JobStore;
  readonly workers: number;
  readonly limits: SharedLimits;
  readonly where?: readonly string[];
}): Promise<readonly number[]> {
  const { path, store, workers, limits, where = [] } = of;
  await writeShop(join(path, 'a'));
  mkdirSync(join(path, 'under-way'));
  const providers = Object.values(providersIn(path));
  await using asking = await createEngine({ store, providers, worker: false });
  const children: ChildProcess[] = [];
  try {
    for (let worker = 0; worker < workers; worker += 1) {
      const args = [LIMITED, path, JSON.stringify(limits), ...where];
      children.push(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
    }
    for (const { stdout } of children) if (stdout) await once(stdout, 'data');
    const jobs = [];
    for (const tenant of TENANTS) {
      const session = asking.for({ tenant, actor: 'test' });
      const plan = await session.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
      jobs.push(await session.protect(plan.id));
    }
    while (countsIn(path).length < 4) await delay(20);
    children[0]?.kill('SIGKILL');
    for (const job of jobs) expect((await job.result()).state).toBe('available');
    return countsIn(path);
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

it('two processes on one SQLite file archive no more volumes at once than their bank may take, also when one is killed', async () => {
  await using directory = await temporaryDirectory();
  const { path } = directory;
  const store = sqliteStore(join(path, 'fafnir.db'));
  const counts = await runWorkers({ path, store, workers: 2, limits: { archivesPerBank: 2 } });
  expect(counts.length).toBeGreaterThanOrEqual(12);
  expect(Math.max(...counts)).toBe(2);
}, 120_000);

const { url = '', skipped } = postgresLab();
const why = skipped ? ` (${skipped})` : '';
it.skipIf(skipped !== undefined)(
  `four processes on one PostgreSQL read no more volumes of an array at once than they may, also when one is killed${why}`,
  async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    const schema = await freshSchema(url);
    try {
      const store = postgresStore({ url, schema: schema.name, connections: 3 });
      const where = [url, schema.name];
      const limits = { archivesPerArray: 3, archivesPerBank: 8 };
      const counts = await runWorkers({ path, store, workers: 4, limits, where });
      expect(counts.length).toBeGreaterThanOrEqual(12);
      expect(Math.max(...counts)).toBe(3);
    } finally {
      await schema.drop();
    }
  },
  120_000,
);

/** The pause after which a worker looks by itself never ends. */
const unlooking: Clock = {
  ...systemClock,
  sleep: (milliseconds, call) => systemClock.sleep(milliseconds === 500 ? 3_600_000 : milliseconds, call),
};

it.skipIf(skipped !== undefined)(
  `a place that is given back wakes the worker of another process that waits for it${why}`,
  async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await writeShop(join(path, 'a'));
    const schema = await freshSchema(url);
    const { promise: isLet, resolve: go } = Promise.withResolvers<void>();
    let begun = 0;
    const tap: Tap = async (what, run) => {
      if (what === 'find Local::Application') begun += 1;
      if (what.startsWith('capture')) await isLet;
      return run();
    };
    const open = async () =>
      createEngine({
        store: postgresStore({ url, schema: schema.name, connections: 4 }),
        providers: Object.values(providersIn(path, tap)),
        clock: unlooking,
        sharedLimits: { jobsPerTenant: 1 },
      });
    try {
      await using one = await open();
      await using other = await open();
      const [first, second] = [one, other].map((engine) => engine.for({ tenant: 'acme', actor: 'test' }));
      const plan = await first?.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
      if (plan === undefined) throw new Error('there are two');
      const running = await first?.protect(plan.id);
      while (begun === 0) await delay(5);
      const waiting = await second?.protect(plan.id);
      await delay(200);
      const before = begun;
      go();
      await running?.result();
      await waiting?.result();
      expect(begun).toBeGreaterThan(before);
    } finally {
      await schema.drop();
    }
  },
);

it('a tenant has no more jobs at once than it may, and a job that waits can be cancelled', async () => {
  const { promise: isLet, resolve: let_ } = Promise.withResolvers<void>();
  let begun = 0;
  await using world = await openWorld({
    tap: async (what, run) => {
      if (what !== 'find Local::Application') return run();
      begun += 1;
      await isLet;
      return run();
    },
    options: { store: memoryStore(), clock: hastyClock, sharedLimits: { jobsPerTenant: 1 } },
  });
  const { acme, plan, engine } = world;
  const first = await acme.protect(plan.id);
  while (begun === 0) await delay(5);
  const [second, third] = [await acme.protect(plan.id), await acme.protect(plan.id)];
  const other = engine.for({ tenant: 'other', actor: 'test' });
  const theirs = await other.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  const free = await other.protect(theirs.id);
  while (begun === 1) await delay(5);
  await delay(50);
  expect(begun).toBe(2);
  await third.cancel();
  expect(await failure(() => third.result())).toMatchObject({ code: 'CANCELLED' });
  let_();
  for (const job of [first, second, free]) await job.result();
  expect((await all(acme.checkpoints.list())).length).toBe(2);
});

it.each<[string, SharedLimits, number]>([
  ['without a limit', {}, 5],
  // What is archived is verified without an array.
  ['one to an array', { restoresPerArray: 1 }, 4],
  ['two to a bank', { restoresPerBank: 2 }, 2],
])('restores and verifications wait for each other: %s', async (_, sharedLimits, most) => {
  const { promise: isLet, resolve: let_ } = Promise.withResolvers<void>();
  let isHeld = false;
  await using world = await openWorld({
    tap: async (what, run) => {
      if (isHeld && what.startsWith('bank.get acme/manifests/')) await isLet;
      return run();
    },
    options: { store: memoryStore(), clock: hastyClock, sharedLimits },
  });
  const { acme, plan, engine } = world;
  const checkpoints = [];
  for (let made = 0; made < 3; made += 1) {
    checkpoints.push((await (await acme.protect(plan.id)).result()).checkpoint);
  }
  isHeld = true;
  const begun = new Set<string>();
  engine.on('job.progress', ({ job }) => void begun.add(job));
  const jobs = [];
  const [first, second, third] = checkpoints;
  if (first === undefined || second === undefined || third === undefined) return expect.fail();
  for (const checkpoint of [first, second, third]) jobs.push(await acme.verify(checkpoint));
  // To another provider, but from the same bank.
  for (const checkpoint of [second, third]) jobs.push(await acme.restore(checkpoint, { to: 'silver' }));
  while (begun.size < most) await delay(5);
  await delay(100);
  const atOnce = begun.size;
  let_();
  for (const job of jobs) await job.result();
  expect(atOnce).toBe(most);
});

it('a limit that is none is INVALID_OPTIONS', async () => {
  const options = { store: memoryStore(), sharedLimits: { archivesPerBank: 0 } };
  expect(await failure(() => openWorld({ options }))).toMatchObject({ code: 'INVALID_OPTIONS' });
});
