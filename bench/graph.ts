import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { discover } from '../src/core/graph/discover.ts';
import type { Figure } from './figure.ts';
import type { MemoryReport } from './graph/memory.ts';
import { measureWalks } from './graph/walk.ts';
import { farEdges, layers, type MakeShape, project, requestFor } from './graph/shapes.ts';

const SMALL = 10_000;
const USUAL = 100_000;
const LARGE = 1_000_000;
const RATE_ROUNDS = 9;
const GROWTH_ROUNDS = 5;
const SMALL_ROUNDS = 25;
const RATE_GOAL = 600_000;
const MEMORY_GOAL = 250;
const GROWTH_GOAL = 2;
// What making a shape leaves behind is not collected while its discovery is timed.
setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');
const CALL = { signal: new AbortController().signal };
const ALONE = { rival: null, ratio: null };

/** Discovery of large applications through plugins in memory, and walks over them: how fast, and what they take. */
export async function run(): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const measure of [measureRates, measureGrowth, measureMemory, measureWalks])
    figures.push(...(await measure()));
  return figures;
}

async function measureRates(): Promise<readonly Figure[]> {
  const rounds = Array.from({ length: RATE_ROUNDS + 1 }, (_, round) => round);
  const projects: number[] = [];
  const layered: number[] = [];
  for (const round of rounds) {
    projects.push(await rateOf(project, USUAL, round));
    layered.push(await rateOf(layers, USUAL, round));
  }
  // The first round does not count, so that the others find the code compiled.
  const rate = median(projects.slice(1));
  const alone = { ...ALONE, unit: 'resources/s', rounds: RATE_ROUNDS };
  const goal = `>= ${RATE_GOAL} resources/s`;
  return [
    { ...alone, name: 'build rate', value: rate, goal, met: rate >= RATE_GOAL },
    { ...alone, name: 'build rate, 5 edges', value: median(layered.slice(1)), goal: null, met: null },
  ];
}

async function measureGrowth(): Promise<readonly Figure[]> {
  const near = await growthOf(project);
  const far = await growthOf(farEdges);
  const alone = { ...ALONE, unit: 'times', rounds: GROWTH_ROUNDS };
  return [
    { ...alone, name: 'growth', value: near, goal: `<= ${GROWTH_GOAL}`, met: near <= GROWTH_GOAL },
    { ...alone, name: 'growth, random far edges', value: far, goal: null, met: null },
  ];
}

/** Time for one resource among very many, divided by that among few. */
async function growthOf(make: MakeShape): Promise<number> {
  const growths: number[] = [];
  for (let round = 0; round < GROWTH_ROUNDS; round += 1) {
    const small: number[] = [];
    for (let again = 0; again < SMALL_ROUNDS; again += 1) small.push(await rateOf(make, SMALL, again));
    growths.push(median(small) / (await rateOf(make, LARGE, round)));
  }
  return median(growths);
}

async function measureMemory(): Promise<readonly Figure[]> {
  const built = inOwnProcess('built');
  const stored = inOwnProcess('stored');
  const alone = { ...ALONE, rounds: 1 };
  return [
    {
      ...alone,
      name: 'peak memory',
      value: built.peak,
      unit: 'MiB',
      goal: `<= ${MEMORY_GOAL} MiB`,
      met: built.peak <= MEMORY_GOAL,
    },
    { ...alone, name: 'stored', value: stored.peak, unit: 'MiB', goal: null, met: null },
    { ...alone, name: 'stored, rate', value: stored.rate, unit: 'resources/s', goal: null, met: null },
  ];
}

/** Resources discovered in a second. Their ids are new each time, as those in answers are. */
async function rateOf(make: MakeShape, count: number, round: number): Promise<number> {
  const shape = make(count, round);
  const request = requestFor(shape);
  collect();
  const start = performance.now();
  const { resources } = await discover(request, CALL);
  const seconds = (performance.now() - start) / 1000;
  if (resources.length !== shape.resources.length) {
    throw new Error(`${resources.length} resources were found, not ${shape.resources.length}`);
  }
  return resources.length / seconds;
}

function inOwnProcess(what: 'built' | 'stored'): MemoryReport {
  const program = fileURLToPath(new URL('graph/memory.ts', import.meta.url));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', program, what, String(LARGE)],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`memory.ts ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
