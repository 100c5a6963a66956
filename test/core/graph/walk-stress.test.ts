import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import type { WalkPhase } from '../../../src/core/graph/walk-phase.ts';
import type { WalkResult } from '../../../src/core/graph/walk-result.ts';
import { type WalkRequest, walk } from '../../../src/core/graph/walk.ts';

const RESOURCE = { type: 'Test::Part', id: 'any', name: 'any', attributes: {} };
const CHAIN = 1_000_000;
const DIAMONDS = 1_000;
const STAR = 200_000;

// Shares one resource, since a walk looks at positions only.
function graphOf(count: number, edges: (add: (from: number, to: number) => void) => void): ResourceGraph {
  const from: number[] = [];
  const to: number[] = [];
  edges((a, b) => {
    from.push(a);
    to.push(b);
  });
  const resources = Array.from({ length: count }, () => RESOURCE);
  return new ResourceGraph(resources, { from: Uint32Array.from(from), to: Uint32Array.from(to) });
}

const chain = (count: number): ResourceGraph =>
  graphOf(count, (add) => {
    for (let at = 0; at + 1 < count; at += 1) add(at, at + 1);
  });

function walkOver(
  graph: ResourceGraph,
  phases: readonly WalkPhase[],
  options: Partial<WalkRequest> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<WalkResult> {
  const usual = { onFailure: 'fail', concurrency: 64, nextTurn: () => nextTurn() } as const;
  return walk({ graph, phases, ...usual, ...options }, { signal });
}

const noOne = (): boolean => false;
const fine = (): void => undefined;

describe('a chain of a million', () => {
  const graph = chain(CHAIN);
  let expected = 0;
  const down = (position: number): void => {
    if (position !== expected) throw new Error(`${position} instead of ${expected}`);
    expected += 1;
  };
  const up = (position: number): void => {
    expected -= 1;
    if (position !== expected) throw new Error(`${position} instead of ${expected}`);
  };

  it('is walked down and up by hooks that never wait', async () => {
    const result = await walkOver(graph, [
      { name: 'begin', order: 'dependants-first', run: down },
      { name: 'finish', order: 'dependencies-first', ends: 'begin', run: up },
    ]);
    expect(result.counts.done).toBe(CHAIN);
    expect(expected).toBe(0);
  });

  it('is passed through where nobody takes part but its two ends', async () => {
    const log: number[] = [];
    const takesPart = (position: number): boolean => position === 0 || position === CHAIN - 1;
    const run = async (position: number): Promise<void> => void log.push(position);
    await walkOver(graph, [
      { name: 'nobody', order: 'dependants-first', takesPart: noOne, run },
      { name: 'down', order: 'dependants-first', takesPart, run },
      { name: 'up', order: 'dependencies-first', takesPart, run },
    ]);
    expect(log).toEqual([0, CHAIN - 1, CHAIN - 1, 0]);
  });

  it('is skipped as a whole when its bottom fails', async () => {
    const run = (): never => {
      throw new Error('no');
    };
    const phase: WalkPhase = { name: 'up', order: 'dependencies-first', run };
    const result = await walkOver(graph, [phase], { onFailure: 'continue' });
    expect(result.counts).toEqual({ done: 0, failed: 1, skipped: CHAIN - 1, stopped: 0 });
    expect(result.outcome(0)).toEqual({ state: 'skipped', because: CHAIN - 1 });
  });

  it('is tidied up from the middle when it is cancelled there', async () => {
    const controller = new AbortController();
    let begun = 0;
    const begin = (position: number): void => {
      begun += 1;
      if (position === CHAIN / 2) controller.abort();
    };
    const end = (): void => {
      begun -= 1;
    };
    const phases: readonly WalkPhase[] = [
      { name: 'begin', order: 'dependants-first', run: begin },
      { name: 'finish', order: 'dependencies-first', ends: 'begin', run: end },
      { name: 'main', order: 'free', run: fine },
    ];
    const result = await walkOver(graph, phases, {}, controller.signal);
    expect(begun).toBe(0);
    expect(result.counts.stopped).toBe(CHAIN);
    expect(result.outcome(0)).toEqual({ state: 'stopped', passed: 'finish' });
    expect(result.outcome(CHAIN - 1)).toEqual({ state: 'stopped', passed: null });
  });
});

describe('a thousand stacked diamonds', () => {
  const COUNT = 3 * DIAMONDS + 1;
  const graph = graphOf(COUNT, (add) => {
    for (let top = 0; top < 3 * DIAMONDS; top += 3) {
      add(top, top + 1);
      add(top, top + 2);
      add(top + 1, top + 3);
      add(top + 2, top + 3);
    }
  });

  it('are walked once a resource, though there are two to the thousand ways through them', async () => {
    const calls = new Uint32Array(COUNT);
    const run = async (position: number): Promise<void> => {
      calls[position] = (calls[position] ?? 0) + 1;
    };
    const result = await walkOver(graph, [
      { name: 'down', order: 'dependants-first', run },
      { name: 'up', order: 'dependencies-first', run },
    ]);
    expect(result.counts.done).toBe(COUNT);
    expect(calls.every((count) => count === 2)).toBe(true);
  });

  it('are skipped once a resource', async () => {
    const run = async (position: number): Promise<void> => {
      if (position === COUNT - 1) throw new Error('no');
    };
    const phase: WalkPhase = { name: 'up', order: 'dependencies-first', run };
    const result = await walkOver(graph, [phase], { onFailure: 'continue' });
    expect(result.counts).toEqual({ done: 0, failed: 1, skipped: COUNT - 1, stopped: 0 });
  });
});

it('a walk that is stopped does not go through the rest of its resources', async () => {
  let turns = 0;
  const takeTurn = (): Promise<unknown> => {
    turns += 1;
    return nextTurn();
  };
  const run = (): never => {
    throw new Error('no');
  };
  const phase: WalkPhase = { name: 'only', order: 'free', run };
  const result = await walkOver(graphOf(STAR, fine), [phase], { nextTurn: takeTurn });
  expect(result.counts).toEqual({ done: 0, failed: 1, skipped: 0, stopped: STAR - 1 });
  expect(turns).toBe(0);
});

describe('a star', () => {
  const graph = graphOf(STAR, (add) => {
    for (let at = 0; at + 1 < STAR; at += 1) add(at, STAR - 1);
  });

  it('of very many dependants has no more hooks under way than it may', async () => {
    let [running, most] = [0, 0];
    const run = async (): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      await undefined;
      running -= 1;
    };
    const result = await walkOver(graph, [{ name: 'up', order: 'dependencies-first', run }]);
    expect(result.counts.done).toBe(STAR);
    expect(most).toBe(64);
  });

  it('has all of its hooks under way where it may', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let running = 0;
    const run = (position: number): Promise<void> | undefined => {
      if (position === STAR - 1) return undefined;
      running += 1;
      if (running === STAR - 1) resolve();
      return promise;
    };
    const phase: WalkPhase = { name: 'up', order: 'dependencies-first', run };
    const result = await walkOver(graph, [phase], { concurrency: Number.POSITIVE_INFINITY });
    expect(result.counts.done).toBe(STAR);
  });

  it('in one group is one unit of work', async () => {
    const everybody = Array.from({ length: STAR }, (_, at) => at);
    const sizes: number[] = [];
    const result = await walkOver(graph, [
      { name: 'begin', order: 'dependants-first', run: fine },
      {
        name: 'snapshot',
        groups: [everybody],
        run: (_at, _call, members) => void sizes.push(members.length),
      },
      { name: 'finish', order: 'dependencies-first', ends: 'begin', run: fine },
    ]);
    expect(sizes).toEqual([STAR]);
    expect(result.counts.done).toBe(STAR);
  });
});
