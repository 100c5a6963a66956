import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rbdArray } from '../src/arrays/rbd.ts';
import { memoryBank } from '../src/banks/memory.ts';
import { createEngine, defineProvider } from '../src/index.ts';
import { sqliteStore } from '../src/stores/sqlite.ts';
import { storageArraySnapshot } from '../src/strategies/storage-array-snapshot.ts';
import { memoryKeys } from '../src/testing/memory-keys.ts';
import { median, rangeOf } from './archive/figures.ts';
import { readSettings } from './archive/settings.ts';
import type { Figure } from './figure.ts';
import { APPLICATION, pausableApplication } from './rbd-pause/application.ts';
import { findPool, makeImages, type PoolAccess, rbd, versionOf } from './rbd-pause/pool.ts';

const VOLUMES = 6;
const SIZE = 64 * 2 ** 20;
const MOST_RATIO = 2;

/**
 * How long an application over six RBD images is paused for their snapshots, as the engine reports it, beside as many
 * `rbd snap create` at once of other images of the pool. The pool is that of the lab that `FAFNIR_LAB_CEPH` names, or that
 * `npm run lab:ceph` has started. The two take turns in being first. `BENCH_ROUNDS` rounds, 5 unless given, after one
 * that does not count.
 */
export async function run(): Promise<readonly Figure[]> {
  const { rounds } = readSettings();
  const access = await findPool();
  const rival = `${VOLUMES} x snap create, ${await versionOf(access)}`;
  const folder = await mkdtemp(join(tmpdir(), 'fafnir-bench-'));
  try {
    await using paused = await makeImages(access, VOLUMES, SIZE);
    await using others = await makeImages(access, VOLUMES, SIZE);
    const pauses: number[] = [];
    const creations: number[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const contenders = [
        async () => pauses.push(await pauseOf(access, paused.names, join(folder, `${round}.db`))),
        async () => creations.push(await creationOf(access, others.names)),
      ];
      for (const measure of round % 2 === 0 ? contenders : contenders.toReversed()) await measure();
      const told = `paused ${pauses.at(-1)?.toFixed(0)} ms, created in ${creations.at(-1)?.toFixed(0)} ms`;
      console.error(`round ${round === 0 ? 'that does not count' : round}: ${told}`);
    }
    const ratios = pauses.map((pause, round) => pause / (creations[round] ?? NaN)).slice(1);
    const ratio = median(ratios);
    return [
      {
        name: `pause of ${VOLUMES} volumes`,
        value: median(pauses.slice(1)),
        unit: 'ms',
        rival,
        ratio,
        range: rangeOf(ratios),
        goal: `ratio <= ${MOST_RATIO.toFixed(1)}`,
        met: ratio <= MOST_RATIO,
        rounds,
      },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Protects the application with a new engine, and removes the checkpoint; resolves with the milliseconds of the pause. */
async function pauseOf(access: PoolAccess, images: readonly string[], store: string): Promise<number> {
  const array = rbdArray({ name: 'rbd', ...access });
  const gold = defineProvider({
    name: 'gold',
    site: 'a',
    parts: [pausableApplication(array, images, SIZE)],
    strategies: [storageArraySnapshot()],
    banks: [{ bank: memoryBank({ name: 'bank' }), keys: memoryKeys(), role: 'primary' }],
  });
  await using engine = await createEngine({ store: sqliteStore(store), providers: [gold] });
  const tenant = engine.for({ tenant: 'bench', actor: 'bench' });
  const plan = await tenant.plans.create({ name: 'shop', provider: 'gold', resources: [APPLICATION] });
  const { checkpoint } = await (await tenant.protect(plan.id)).result();
  const { artifacts } = await tenant.checkpoints.get(checkpoint);
  const volumes = artifacts.flatMap(({ volume }) => volume ?? []);
  const [first] = volumes;
  const isAsAsked = volumes.length === images.length && first?.consistency === 'application';
  if (!isAsAsked || first.pauseMilliseconds === null) throw new Error('the application was not paused');
  await (await tenant.remove(checkpoint)).result();
  return first.pauseMilliseconds;
}

/** Takes a snapshot of each at once, and removes them; resolves with the milliseconds until the last was taken. */
async function creationOf(access: PoolAccess, images: readonly string[]): Promise<number> {
  const snapshots = images.map((image) => `${access.pool}/${image}@bench`);
  const start = performance.now();
  await Promise.all(snapshots.map((snapshot) => rbd(access, 'snap', 'create', '--no-progress', snapshot)));
  const milliseconds = performance.now() - start;
  for (const snapshot of snapshots) await rbd(access, 'snap', 'rm', '--no-progress', snapshot);
  return milliseconds;
}
