import { getEventListeners } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { CallOptions } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import type { WalkPhase } from '../../../src/core/graph/walk-phase.ts';
import type { WalkResult } from '../../../src/core/graph/walk-result.ts';
import { type WalkRequest, walk } from '../../../src/core/graph/walk.ts';
import { graphOf } from './walk-scenario.ts';

const NOTHING = (): void => undefined;
const NEVER_ABORTED = new AbortController().signal;

type Edges = readonly (readonly [number, number])[];

function walkOver(
  count: number,
  edges: Edges,
  phases: readonly WalkPhase[],
  options: Partial<WalkRequest> & { readonly signal?: AbortSignal } = {},
): Promise<WalkResult> {
  const { signal = NEVER_ABORTED, ...request } = options;
  const graph = graphOf({ count, edges });
  const usual = { onFailure: 'fail', concurrency: 8, nextTurn: () => nextTurn() } as const;
  return walk({ graph, phases, ...usual, ...request }, { signal });
}

const states = (result: WalkResult, count: number): readonly string[] =>
  Array.from({ length: count }, (_, at) => result.outcome(at).state);

// Two servers of a project, each with a volume of its own, and an image that both were made from.
const [PROJECT, A, B, VOLUME_A, VOLUME_B, IMAGE] = [0, 1, 2, 3, 4, 5];
const SERVERS: Edges = [
  [PROJECT, A],
  [PROJECT, B],
  [A, VOLUME_A],
  [A, IMAGE],
  [B, VOLUME_B],
  [B, IMAGE],
];

/** The phases of protect, with hooks that write down their names. */
function protectPhases(log: string[], hang: (name: string) => Promise<void> | void): readonly WalkPhase[] {
  const names = ['project', 'a', 'b', 'volume a', 'volume b', 'image'];
  const note =
    (phase: string, of: readonly string[] = names) =>
    (unit: number): Promise<void> | void => {
      const name = `${phase} ${of[unit]}`;
      log.push(name);
      return hang(name);
    };
  const takesPart = (position: number): boolean => position === A || position === B;
  return [
    { name: 'begin', order: 'dependants-first', takesPart, run: note('begin') },
    { name: 'snapshot', groups: [[VOLUME_A], [VOLUME_B]], run: note('snapshot', ['group a', 'group b']) },
    { name: 'finish', order: 'dependencies-first', ends: 'begin', run: note('finish') },
    { name: 'main', order: 'free', run: note('main') },
    { name: 'complete', order: 'dependencies-first', run: note('complete') },
  ];
}

describe('consistency groups', () => {
  it.each([
    ['begin b', 'a', 'b'],
    ['begin a', 'b', 'a'],
    ['snapshot group b', 'a', 'b'],
    ['finish b', 'a', 'b'],
  ])(
    'run beside each other: while %s hangs, %s ends its pause, though both share an image',
    async (hung, free, held) => {
      const log: string[] = [];
      const { promise, resolve } = Promise.withResolvers<void>();
      const phases = protectPhases(log, (name) => (name === hung ? promise : undefined));
      const walking = walkOver(6, SERVERS, phases);
      await nextTurn();
      expect(log).toContain(`finish ${free}`);
      expect(log).toContain(`main ${free}`);
      expect(log).toContain(`main volume ${free}`);
      expect(log).not.toContain(`main ${held}`);
      resolve();
      expect((await walking).counts).toEqual({ done: 6, failed: 0, skipped: 0, stopped: 0 });
      expect(new Set(log).size).toBe(log.length);
      expect(log).toHaveLength(2 + 2 + 2 + 6 + 6);
    },
  );

  it('are told which of their members nothing has befallen', async () => {
    const told: (readonly number[])[] = [];
    const result = await walkOver(
      3,
      [[0, 2]],
      [
        {
          name: 'first',
          order: 'free',
          takesPart: (at) => at === 2,
          run: () => Promise.reject(new Error('no')),
        },
        { name: 'second', groups: [[1, 0]], run: (_group, _call, members) => void told.push(members) },
      ],
      { onFailure: 'continue', concurrency: 1 },
    );
    // Without an order between the two phases the group may be first, unless its members wait for the failed one.
    expect(told).toEqual([[1, 0]]);
    expect(states(result, 3)).toEqual(['done', 'done', 'failed']);
  });

  it('of which all members were skipped are not run, and of which some were are run for the others', async () => {
    const told: (readonly number[])[] = [];
    const first: WalkPhase = {
      name: 'first',
      order: 'dependencies-first',
      run: (position) => {
        if (position === 3) throw new Error('no');
      },
    };
    const groups = [[0, 1], [2]];
    const second: WalkPhase = {
      name: 'second',
      groups,
      run: (_group, _call, members) => void told.push(members),
    };
    const edges: Edges = [
      [0, 3],
      [2, 3],
    ];
    const result = await walkOver(4, edges, [first, second], { onFailure: 'continue' });
    expect(told).toEqual([[1]]);
    expect(states(result, 4)).toEqual(['skipped', 'done', 'skipped', 'failed']);
  });
});

describe('what may begin', () => {
  it('begins endings first, then what is between a phase and its ending, later phases, longer ways', async () => {
    const log: string[] = [];
    await walkOver(6, SERVERS, protectPhases(log, NOTHING), { concurrency: 1 });
    expect(log).toEqual([
      'begin a',
      'snapshot group a',
      'finish a',
      'main volume a',
      'complete volume a',
      'main a',
      'begin b',
      'snapshot group b',
      'finish b',
      'main volume b',
      'complete volume b',
      'main image',
      'complete image',
      'complete a',
      'main b',
      'complete b',
      'main project',
      'complete project',
    ]);
  });

  it('waits for the order also through those that take no part', async () => {
    const log: number[] = [];
    const takesPart = (position: number): boolean => position !== 1;
    const edges: Edges = [
      [0, 1],
      [1, 2],
    ];
    const run = async (position: number): Promise<void> => {
      log.push(position);
    };
    await walkOver(3, edges, [{ name: 'up', order: 'dependencies-first', takesPart, run }]);
    await walkOver(3, edges, [{ name: 'down', order: 'dependants-first', takesPart, run }]);
    expect(log).toEqual([2, 0, 0, 2]);
  });

  it('is bounded by the walk and by its phase', async () => {
    const most = { all: 0, first: 0 };
    const now = { all: 0, first: 0 };
    const count = async (isFirst: boolean): Promise<void> => {
      now.all += 1;
      if (isFirst) now.first += 1;
      most.all = Math.max(most.all, now.all);
      most.first = Math.max(most.first, now.first);
      await nextTurn();
      now.all -= 1;
      if (isFirst) now.first -= 1;
    };
    const phases: readonly WalkPhase[] = [
      { name: 'first', order: 'free', concurrency: 2, run: () => count(true) },
      { name: 'second', order: 'free', run: () => count(false) },
    ];
    await walkOver(100, [], phases, { concurrency: 3 });
    expect(most).toEqual({ all: 3, first: 2 });
  });
});

describe('a failure', () => {
  it('with fail aborts nothing: what runs is waited for, and may be done', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const signals: AbortSignal[] = [];
    const run = (position: number, { signal }: CallOptions): Promise<void> => {
      signals.push(signal);
      return position === 0 ? promise : Promise.reject(new Error('no'));
    };
    let isOver = false;
    const walking = walkOver(3, [], [{ name: 'only', order: 'free', run }], { concurrency: 2 });
    const over = walking.then(() => {
      isOver = true;
    });
    await nextTurn();
    expect(isOver).toBe(false);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
    resolve();
    await over;
    expect(states(await walking, 3)).toEqual(['done', 'failed', 'stopped']);
  });

  it('in an ending is recorded beside the first one, and keeps no other ending from running', async () => {
    const [first, second] = [new Error('cannot begin'), new Error('cannot end')];
    const ended: number[] = [];
    const result = await walkOver(
      3,
      [],
      [
        {
          name: 'begin',
          order: 'free',
          run: async (position) => {
            if (position === 1) throw first;
            await nextTurn();
          },
        },
        {
          name: 'end',
          order: 'free',
          ends: 'begin',
          run: (position) => {
            ended.push(position);
            throw second;
          },
        },
      ],
    );
    expect([...ended].sort()).toEqual([0, 1, 2]);
    expect(result.outcome(1)).toEqual({
      state: 'failed',
      failure: { phase: 'begin', positions: [1], error: first },
    });
    expect(result.failures.map(({ phase, error }) => [phase, error])).toEqual([
      ['begin', first],
      ...ended.map(() => ['end', second]),
    ]);
  });

  it('names the first cause, however far off, and leaves alone what had nothing left to do', async () => {
    const edges: Edges = [
      [0, 1],
      [1, 2],
      [0, 3],
    ];
    const phase: WalkPhase = {
      name: 'only',
      order: 'dependencies-first',
      takesPart: (position) => position !== 1,
      run: (position) => {
        if (position > 1) throw new Error('no');
      },
    };
    const result = await walkOver(4, edges, [phase], { onFailure: 'continue' });
    // The way up from 2 is the longer one, so it is tried first.
    expect(result.outcome(0)).toEqual({ state: 'skipped', because: 2 });
    expect(result.outcome(1)).toEqual({ state: 'done' });
    expect(result.counts).toEqual({ done: 1, failed: 2, skipped: 1, stopped: 0 });
  });
});

describe('a cancel', () => {
  const hanging = (_unit: number, { signal }: CallOptions): Promise<void> => {
    const { promise, reject } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    return promise;
  };

  it('before the walk starts nothing', async () => {
    let calls = 0;
    const run = (): void => {
      calls += 1;
    };
    const phase: WalkPhase = { name: 'only', order: 'free', run };
    const result = await walkOver(2, [[0, 1]], [phase], { signal: AbortSignal.abort() });
    expect(calls).toBe(0);
    expect(result.outcome(0)).toEqual({ state: 'stopped', passed: null });
    expect(result.counts).toEqual({ done: 0, failed: 0, skipped: 0, stopped: 2 });
  });

  it.each([
    ['with the usual reason', undefined],
    ['with a text for a reason', 'enough'],
  ])('stops what gives up %s, ends what was begun, and leaves no listener', async (_case, reason) => {
    const controller = new AbortController();
    const log: string[] = [];
    const walking = walkOver(
      2,
      [[0, 1]],
      [
        { name: 'begin', order: 'dependants-first', run: NOTHING },
        { name: 'middle', order: 'dependencies-first', run: hanging },
        {
          name: 'end',
          order: 'dependencies-first',
          ends: 'begin',
          run: async (position, { signal }) => {
            await nextTurn();
            log.push(`${position} ${signal.aborted}`);
          },
        },
        { name: 'after', order: 'free', run: NOTHING },
      ],
      { signal: controller.signal },
    );
    await nextTurn();
    controller.abort(reason);
    const result = await walking;
    expect(log).toEqual(['1 false', '0 false']);
    expect(result.outcome(0)).toEqual({ state: 'stopped', passed: 'end' });
    expect(result.failures).toEqual([]);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it('by a hook is one too, and no other hook runs inside that one', async () => {
    const controller = new AbortController();
    const log: string[] = [];
    const begin = (position: number): void => {
      if (position === 2) controller.abort();
      log.push(`begin ${position}`);
    };
    const end = (position: number): void => void log.push(`end ${position}`);
    const phases: readonly WalkPhase[] = [
      { name: 'begin', order: 'free', run: begin },
      { name: 'middle', order: 'free', concurrency: 1, run: hanging },
      { name: 'end', order: 'free', ends: 'begin', run: end },
    ];
    const result = await walkOver(3, [], phases, { signal: controller.signal });
    expect(log).toEqual(['begin 0', 'begin 1', 'begin 2', 'end 1', 'end 2', 'end 0']);
    expect(states(result, 3)).toEqual(['stopped', 'stopped', 'stopped']);
  });

  it('does not hide what failed for a reason of its own, even one whose causes come round', async () => {
    const controller = new AbortController();
    const error = new Error('broken');
    error.cause = new Error('because', { cause: error });
    const { promise, reject } = Promise.withResolvers<void>();
    const phase: WalkPhase = { name: 'only', order: 'free', run: () => promise };
    const walking = walkOver(1, [], [phase], { signal: controller.signal });
    controller.abort();
    reject(error);
    expect((await walking).failures).toEqual([{ phase: 'only', positions: [0], error }]);
  });
});

describe('hooks that never wait', () => {
  it('leave the event loop its turns, also when the way to take one fails', async () => {
    for (const turn of [
      () => nextTurn(),
      () => nextTurn().then(() => Promise.reject(new Error('no turn'))),
    ]) {
      let [turns, calls, longest, since] = [0, 0, 0, 0];
      const run = (): void => {
        calls += 1;
        since += 1;
        longest = Math.max(longest, since);
      };
      const takeTurn = (): Promise<unknown> => {
        turns += 1;
        since = 0;
        return turn();
      };
      const phase: WalkPhase = { name: 'only', order: 'free', run };
      await walkOver(10_000, [], [phase], { nextTurn: takeTurn, concurrency: 1 });
      expect(calls).toBe(10_000);
      expect(turns).toBeGreaterThan(10);
      expect(longest).toBeLessThan(1_000);
    }
  });
});

describe('phases that contradict each other', () => {
  const phase = (change: Partial<WalkPhase>): WalkPhase =>
    ({ name: 'one', order: 'free', run: NOTHING, ...change }) as WalkPhase;
  const refused: readonly (readonly [string, readonly WalkPhase[]])[] = [
    ['two phases are called one', [phase({}), phase({})]],
    ['ends none, which is no phase before it', [phase({ ends: 'none' })]],
    ['ends one, which is no phase before it', [phase({ ends: 'one' })]],
    ['ends two, which is no phase before it', [phase({ ends: 'two' }), phase({ name: 'two' })]],
    ['and no choice', [phase({}), phase({ name: 'two', ends: 'one', takesPart: () => true })]],
    ['position 1 in two groups', [phase({ groups: [[0, 1], [1]] })]],
    ['position 0 in two groups', [phase({ groups: [[0, 0]] })]],
    ['a group with position 2', [phase({ groups: [[0], [2]] })]],
    ['a group with position -1', [phase({ groups: [[-1]] })]],
    ['a group with position 0.5', [phase({ groups: [[0.5]] })]],
    [
      'would not end what one begins at position 1',
      [phase({}), phase({ name: 'two', ends: 'one', groups: [[0]] })],
    ],
    ['concurrency of phase one', [phase({ concurrency: 0 })]],
    ['concurrency of phase one', [phase({ concurrency: 1.5 })]],
    ['at most 30 phases', Array.from({ length: 31 }, (_, at) => phase({ name: `${at}` }))],
  ];

  it.each(refused)('are refused: %s', async (message, phases) => {
    const error = await walkOver(2, [], phases).catch((caught: unknown) => caught);
    expect(FafnirError.is(error, 'INVALID_OPTIONS')).toBe(true);
    expect(String(error)).toContain(message);
  });

  it('are refused: a walk with no calls at once', async () => {
    await expect(walkOver(2, [], [phase({})], { concurrency: 0 })).rejects.toThrow('concurrency of the walk');
  });
});

describe('a walk', () => {
  it('of thirty phases goes through all of them', async () => {
    const log: string[] = [];
    const phases = Array.from(
      { length: 30 },
      (_, at): WalkPhase => ({ name: `${at}`, order: 'free', run: () => void log.push(`${at}`) }),
    );
    await walkOver(1, [], phases);
    expect(log).toEqual(phases.map(({ name }) => name));
  });

  it('over nothing, or through nothing, is over', async () => {
    const phase: WalkPhase = { name: 'only', groups: [[]], run: NOTHING };
    expect((await walkOver(0, [], [phase])).counts.done).toBe(0);
    expect((await walkOver(2, [[0, 1]], [])).counts.done).toBe(2);
    expect((await walkOver(2, [[0, 1]], [phase])).counts.done).toBe(2);
  });

  it('rejects with what takesPart throws, before the first call', async () => {
    let calls = 0;
    const run = (): void => {
      calls += 1;
    };
    const takesPart = (): never => {
      throw new Error('who knows');
    };
    const phases: readonly WalkPhase[] = [
      { name: 'first', order: 'free', run },
      { name: 'second', order: 'free', takesPart, run },
    ];
    await expect(walkOver(2, [], phases)).rejects.toThrow('who knows');
    expect(calls).toBe(0);
  });
});
