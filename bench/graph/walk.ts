import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemClock } from '../../src/core/clock.ts';
import type { JobStore, Json, JsonObject, Resource } from '../../src/core/contracts/index.ts';
import { errorOf } from '../../src/core/errors.ts';
import { describeKey, ResourceGraph } from '../../src/core/graph/resource-graph.ts';
import { walk } from '../../src/core/graph/walk.ts';
import type { WalkPhase } from '../../src/core/graph/walk-phase.ts';
import { parseJobId, parseTenantId } from '../../src/core/identity.ts';
import type { Operation, OperationContext } from '../../src/core/jobs/operation.ts';
import { JobRunner } from '../../src/core/jobs/runner.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { sqliteStore } from '../../src/stores/sqlite.ts';
import type { Figure } from '../figure.ts';

const ROUNDS = 5;
const CONCURRENCY = 64;
const SMALL = 10_000;
const USUAL = 100_000;
const LARGE = 1_000_000;
const GOAL = 300_000;
const JOURNALED_GOAL = 50_000;
const GROWTH_GOAL = 2;
const RESOURCES_PER_SERVER = 3;
const SHARED = 3;
const TENANT = parseTenantId('bench');
const SIGNAL = new AbortController().signal;

/**
 * Walking over an application through four phases whose hooks do nothing: a project, its servers, and for each of
 * them two volumes of its own, beside an image and a network that all servers share. As jobs of an engine: first
 * without a journal, then with a step for each resource and phase, written behind to a SQLite file whose commits are
 * synced (WAL, FULL).
 */
export async function measureWalks(): Promise<readonly Figure[]> {
  // Before there are larger graphs in memory, which every collection of garbage would go through.
  const { rates, journaled } = await measureUsual(applicationOf(USUAL));
  const large = applicationOf(LARGE);
  const memory = await bytesOf(large);
  const growths = await measureGrowth(applicationOf(SMALL), large);
  const alone = { rival: null, ratio: null, rounds: ROUNDS };
  const [rate, withJournal, growth] = [median(rates), median(journaled), median(growths)];
  return [
    {
      ...alone,
      name: 'walk rate',
      value: rate,
      unit: 'resources/s',
      goal: `>= ${GOAL} resources/s`,
      met: rate >= GOAL,
    },
    {
      ...alone,
      name: `journaled walk rate, ${CONCURRENCY} at once`,
      value: withJournal,
      unit: 'resources/s',
      goal: `>= ${JOURNALED_GOAL} resources/s`,
      met: withJournal >= JOURNALED_GOAL,
    },
    {
      ...alone,
      name: 'walk growth',
      value: growth,
      unit: 'times',
      goal: `<= ${GROWTH_GOAL}`,
      met: growth <= GROWTH_GOAL,
    },
    {
      ...alone,
      name: 'walk memory',
      value: memory / LARGE,
      unit: 'bytes a resource',
      goal: null,
      met: null,
      rounds: 1,
    },
  ];
}

async function measureUsual(graph: ResourceGraph): Promise<Record<'rates' | 'journaled', number[]>> {
  const rates: number[] = [];
  const journaled: number[] = [];
  // One round more, which does not count, so that the others find the code compiled.
  for (let round = 0; round <= ROUNDS; round += 1) {
    rates.push(await rateOf(graph));
    journaled.push(await journaledRateOf(graph));
  }
  return { rates: rates.slice(1), journaled: journaled.slice(1) };
}

async function measureGrowth(small: ResourceGraph, large: ResourceGraph): Promise<number[]> {
  const growths: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const smallRates: number[] = [];
    for (let again = 0; again < ROUNDS; again += 1) smallRates.push(await rateOf(small));
    growths.push(median(smallRates) / (await rateOf(large)));
  }
  return growths;
}

/** A project, servers, and what they depend on: `count` resources in all. */
function applicationOf(count: number): ResourceGraph {
  const servers = Math.floor((count - SHARED) / RESOURCES_PER_SERVER);
  const name = (type: string, at: number): Resource => {
    const id = `${type}-${String(at).padStart(7, '0')}`;
    return { type: `Bench::${type}`, id, name: id, attributes: {} };
  };
  const many = (type: string, length: number): Resource[] =>
    Array.from({ length }, (_, at) => name(type, at));
  const [image, network, project, firstServer] = [0, 1, 2, SHARED];
  const firstVolume = firstServer + servers;
  const from: number[] = [];
  const to: number[] = [];
  const depends = (dependant: number, ...on: readonly number[]): void => {
    for (const one of on) {
      from.push(dependant);
      to.push(one);
    }
  };
  for (let at = 0; at < servers; at += 1) depends(project, firstServer + at);
  for (let at = 0; at < servers; at += 1) {
    const volume = firstVolume + 2 * at;
    depends(firstServer + at, image, network, volume, volume + 1);
  }
  const resources = [
    ...['Image', 'Network', 'Project'].map((type) => name(type, 0)),
    ...many('Server', servers),
    ...many('Volume', count - firstVolume),
  ];
  return ResourceGraph.from({ resources, edges: { from, to } });
}

const phasesOf = (run: (phase: string, position: number) => Promise<unknown>): readonly WalkPhase[] => {
  const hook =
    (phase: string) =>
    async (position: number): Promise<void> => {
      await run(phase, position);
    };
  return [
    { name: 'begin', order: 'dependants-first', run: hook('begin') },
    { name: 'finish', order: 'dependencies-first', ends: 'begin', run: hook('finish') },
    { name: 'main', order: 'free', run: hook('main') },
    { name: 'complete', order: 'dependencies-first', run: hook('complete') },
  ];
};

/** Resources per second, without a journal. */
const rateOf = (graph: ResourceGraph): Promise<number> =>
  asJob(memoryStore(), graph, () => async () => undefined);

/** Resources per second, with a step for each hook. */
async function journaledRateOf(graph: ResourceGraph): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'fafnir-bench-'));
  try {
    return await asJob(sqliteStore(join(directory, 'fafnir.db')), graph, ({ step }) => (name, position) => {
      const { type = '', id = '' } = graph.resources[position] ?? {};
      return step(`${name}/${describeKey({ type, id })}`, async (): Promise<Json> => ({ position }));
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Walks in a job, and says how many resources it dealt with in a second, until the job's end was durable. */
async function asJob(
  store: JobStore,
  graph: ResourceGraph,
  hookOf: (context: OperationContext) => (phase: string, position: number) => Promise<unknown>,
): Promise<number> {
  let start = Number.NaN;
  const operation: Operation = {
    name: 'walk',
    version: 1,
    async run(context): Promise<JsonObject> {
      start = performance.now();
      const phases = phasesOf(hookOf(context));
      const request = { graph, phases, onFailure: 'fail', concurrency: CONCURRENCY, nextTurn } as const;
      return { done: (await walk(request, { signal: context.signal })).counts.done };
    },
    settle: async (_context, result) => result,
    undo: async () => undefined,
    removeLate: async () => [],
  };
  const runner = new JobRunner({
    store,
    operations: new Map([[operation.name, operation]]),
    clock: systemClock,
    random: Math.random,
    policies: {},
    leaseMilliseconds: 60_000,
    worker: true,
    partsAtOnce: 2,
    emit: () => undefined,
  });
  const id = parseJobId('walk');
  const of = { tenant: TENANT, actor: 'bench', operation: 'walk', operationVersion: 1 };
  await runner.submit({ ...of, id, input: {}, createdAt: 0 });
  const outcome = await runner.outcome(TENANT, id, SIGNAL);
  const seconds = (performance.now() - start) / 1000;
  await runner.close({ drain: true });
  await store.close();
  if (outcome.state !== 'succeeded') throw errorOf(outcome.error);
  const { length } = graph.resources;
  if (outcome.result.done !== length) throw new Error(`${outcome.result.done} of ${length} were done`);
  return length / seconds;
}

/** What the columns of a walk take when its first hook is called, with those that it needed to get there. */
async function bytesOf(graph: ResourceGraph): Promise<number> {
  const before = process.memoryUsage().arrayBuffers;
  let first: number | undefined;
  const phases = phasesOf(async () => {
    first ??= process.memoryUsage().arrayBuffers - before;
  });
  await walk({ graph, phases, onFailure: 'fail', concurrency: CONCURRENCY, nextTurn }, { signal: SIGNAL });
  return first ?? Number.NaN;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
