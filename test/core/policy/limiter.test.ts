import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CallLimit, Limiter } from '../../../src/core/policy/limiter.ts';

const CAPACITY = { a: 1, b: 2, c: 3 } as const;
type Name = keyof typeof CAPACITY;
const limitsOf = (names: readonly Name[]): readonly CallLimit[] =>
  names.map((name) => ({ name, limit: CAPACITY[name] }));
const signal = new AbortController().signal;
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A call under way or waiting, which ends when told to. */
class Call {
  state: 'waiting' | 'running' | 'ended' | 'rejected' = 'waiting';
  reason: unknown;
  readonly limits: readonly CallLimit[];
  readonly urgent: boolean;
  readonly #abort = new AbortController();
  readonly #end = Promise.withResolvers<void>();

  constructor(
    limiter: Limiter,
    limits: readonly CallLimit[],
    { urgent = false, started }: { readonly urgent?: boolean; readonly started?: Call[] } = {},
  ) {
    this.limits = limits;
    this.urgent = urgent;
    const work = async (): Promise<void> => {
      expect(this.state).toBe('waiting');
      this.state = 'running';
      started?.push(this);
      await this.#end.promise;
    };
    limiter.run(limits, work, { signal: this.#abort.signal, urgent }).then(
      () => {
        this.state = 'ended';
      },
      (error: unknown) => {
        this.state = 'rejected';
        this.reason = error;
      },
    );
  }

  end(failure?: Error): void {
    if (failure === undefined) this.#end.resolve();
    else this.#end.reject(failure);
  }

  abort(reason: Error): void {
    this.#abort.abort(reason);
  }
}

const inState = (calls: readonly Call[], state: Call['state']): readonly Call[] =>
  calls.filter((call) => call.state === state);
const runningUnder = (calls: readonly Call[], name: string): number =>
  inState(calls, 'running').filter(({ limits }) => limits.some((limit) => limit.name === name)).length;

function expectNoneAboveALimit(calls: readonly Call[]): void {
  for (const [name, limit] of Object.entries(CAPACITY)) {
    expect(runningUnder(calls, name)).toBeLessThanOrEqual(limit);
  }
}

const shareAName = (one: Call, other: Call): boolean =>
  one.limits.some(({ name }) => other.limits.some((limit) => limit.name === name));

/**
 * Whoever can start has started, unless it would take the last place that the longest waiter of its rank needs, or it
 * is ordinary and an urgent one waits that shares a name with it.
 */
function expectNoneLeftWaiting(calls: readonly Call[]): void {
  const free = ({ name, limit }: CallLimit): number => limit - runningUnder(calls, name);
  const waiting = inState(calls, 'waiting');
  for (const urgent of [true, false]) {
    const [longest, ...others] = waiting.filter((call) => call.urgent === urgent);
    const held = (call: Call): boolean =>
      call.limits.some((limit) => free(limit) === 0) ||
      (!urgent && waiting.some((other) => other.urgent && shareAName(call, other)));
    if (longest !== undefined) expect(held(longest)).toBe(true);
    for (const call of others) {
      const last = call.limits.some(
        (limit) => free(limit) === 1 && longest?.limits.some(({ name }) => name === limit.name),
      );
      expect(held(call) || last).toBe(true);
    }
  }
}

/** Of calls of one rank with the same limits none has started before one that came earlier and still waits. */
function expectOrderInLines(calls: readonly Call[]): void {
  for (const [at, { state, limits, urgent }] of calls.entries()) {
    if (state !== 'waiting') continue;
    const later = calls.slice(at + 1).filter((call) => call.limits === limits && call.urgent === urgent);
    expect(inState(later, 'running')).toEqual([]);
  }
}

const lines: readonly (readonly CallLimit[])[] = fc
  .sample(fc.shuffledSubarray(['a', 'b', 'c'] as Name[]), { numRuns: 12, seed: 1 })
  .map(limitsOf);
const command = fc.record({
  kind: fc.constantFrom('call', 'call', 'call', 'urgent', 'urgent', 'end', 'end', 'fail', 'abort'),
  pick: fc.nat(),
  settle: fc.boolean(),
});
// Of any length: short ones alone would hardly make a queue.
const commands = fc.array(command, { maxLength: 60, size: 'max' });
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never;

/** A limiter, and all that was ever called. */
class World {
  readonly limiter = new Limiter();
  readonly calls: Call[] = [];
  readonly started: Call[] = [];
  readonly aborted = new Set<Call>();

  perform({ kind, pick }: Command): void {
    const picked = <Item>(from: readonly Item[]): Item | undefined => from[pick % from.length];
    if (kind === 'call' || kind === 'urgent') {
      const { limiter, started } = this;
      this.calls.push(new Call(limiter, picked(lines) ?? [], { urgent: kind === 'urgent', started }));
    } else if (kind === 'abort') {
      const call = picked(inState(this.calls, 'waiting'));
      call?.abort(new Error('aborted'));
      if (call !== undefined) this.aborted.add(call);
    } else {
      picked(inState(this.calls, 'running'))?.end(kind === 'fail' ? new Error('failed') : undefined);
    }
  }

  async finish(): Promise<void> {
    await settled();
    for (let left = this.#running(); left.length > 0; left = this.#running()) {
      for (const call of left) call.end();
      await settled();
      expectNoneAboveALimit(this.calls);
    }
    expect(inState(this.calls, 'waiting')).toEqual([]);
    for (const { reason } of this.aborted) expect(reason).toEqual(new Error('aborted'));
    expect(this.started).toHaveLength(this.calls.length - this.aborted.size);
    expect(this.limiter.size).toBe(0);
  }

  #running(): readonly Call[] {
    return inState(this.calls, 'running');
  }
}

describe('a limiter, whatever is called, ended, failed and aborted in whatever order', () => {
  it('is never above a limit, leaves none waiting that can start, and ends empty', async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (given) => {
        const world = new World();
        for (const one of given) {
          world.perform(one);
          if (!one.settle) continue;
          await settled();
          expectNoneAboveALimit(world.calls);
          expectNoneLeftWaiting(world.calls);
          expectOrderInLines(world.calls);
        }
        await world.finish();
      }),
      { numRuns: 300 },
    );
  });

  it('starts no ordinary call before an urgent one that waits and shares a name with it', async () => {
    let chances = 0;
    await fc.assert(
      fc.asyncProperty(commands, async (given) => {
        const world = new World();
        for (const one of given) {
          const urgent = inState(world.calls, 'waiting').filter((call) => call.urgent);
          const already = world.started.length;
          world.perform(one);
          await settled();
          const started = world.started.slice(already);
          for (const call of urgent.filter(({ state }) => state !== 'rejected')) {
            const at = started.indexOf(call);
            const before = started.slice(0, at === -1 ? undefined : at).filter((other) => !other.urgent);
            expect(before.filter((other) => shareAName(call, other))).toEqual([]);
            const behind = inState(world.calls, 'waiting').filter((other) => !other.urgent);
            if (behind.some((other) => shareAName(call, other))) chances += 1;
          }
        }
        await world.finish();
      }),
      { numRuns: 300 },
    );
    expect(chances).toBeGreaterThan(0);
  });
});

describe('a limiter', () => {
  it('gives the result and the error of the work, and the places back after both', async () => {
    const limiter = new Limiter();
    const limits = limitsOf(['a', 'b']);
    expect(await limiter.run(limits, async () => 7, { signal })).toBe(7);
    const failure = new Error('failed');
    const throws = (): never => {
      throw failure;
    };
    await expect(limiter.run(limits, throws, { signal })).rejects.toBe(failure);
    expect(limiter.size).toBe(0);
  });

  it('holds nothing while it waits', async () => {
    const limiter = new Limiter();
    const first = new Call(limiter, limitsOf(['a']));
    const both = new Call(limiter, limitsOf(['a', 'b']));
    const others = [new Call(limiter, limitsOf(['b'])), new Call(limiter, limitsOf(['b']))];
    await settled();
    expect([first, both, ...others].map(({ state }) => state)).toEqual([
      'running',
      'waiting',
      'running',
      'running',
    ]);
  });

  it('starts the one first that waited longest, whatever else it needs', async () => {
    const limiter = new Limiter();
    const first = new Call(limiter, limitsOf(['a']));
    const alone = new Call(limiter, limitsOf(['a']));
    const withB = new Call(limiter, limitsOf(['a', 'b']));
    const aloneAgain = new Call(limiter, limitsOf(['a']));
    for (const call of [first, alone, withB, aloneAgain]) {
      await settled();
      expect(call.state).toBe('running');
      call.end();
    }
  });

  it('keeps the backlog of one from what others need', async () => {
    const limiter = new Limiter();
    const array = { name: 'array', limit: 1 };
    const noisy = { name: 'noisy', limit: 1 };
    const elsewhere = new Call(limiter, [noisy]);
    const backlog = Array.from({ length: 50 }, () => new Call(limiter, [array, noisy]));
    const quiet = new Call(limiter, [array, { name: 'quiet', limit: 1 }]);
    await settled();
    expect(elsewhere.state).toBe('running');
    expect(inState(backlog, 'waiting')).toHaveLength(50);
    expect(quiet.state).toBe('running');
  });

  it.each([true, false])(
    'starves none that needs two places never free at once, urgent: %s',
    async (urgent) => {
      const limiter = new Limiter();
      const start = (...names: Name[]): Call => new Call(limiter, limitsOf(names), { urgent });
      const busy = { a: start('a'), c: [0, 1, 2].map(() => start('c')) };
      const both = start('a', 'c');
      let rounds = 0;
      for (; both.state === 'waiting' && rounds < 100; rounds += 1) {
        const nextA = start('a');
        busy.a.end();
        busy.a = nextA;
        await settled();
        busy.c.push(start('c'));
        busy.c.shift()?.end();
        await settled();
      }
      expect(both.state).toBe('running');
      // Passed over and over, but not from the first time on: places are not left idle for it before.
      expect(rounds).toBeGreaterThan(4);
    },
  );

  it('lets urgent ones have kept places, and others when the one they were kept for gives up', async () => {
    const limiter = new Limiter();
    const b = new Call(limiter, [{ name: 'b', limit: 1 }]);
    const both = new Call(limiter, [
      { name: 'a', limit: 1 },
      { name: 'b', limit: 1 },
    ]);
    const queue = Array.from({ length: 40 }, () => new Call(limiter, [{ name: 'a', limit: 1 }]));
    for (let running = inState(queue, 'running'), turns = 0; turns < 40; turns += 1) {
      for (const call of running) call.end();
      await settled();
      running = inState(queue, 'running');
    }
    const left = inState(queue, 'waiting').length;
    expect(left).toBeGreaterThan(0);
    expect(inState(queue, 'running')).toEqual([]);
    const unrelated = new Call(limiter, [{ name: 'c', limit: 1 }]);
    const urgent = new Call(limiter, [{ name: 'a', limit: 1 }], { urgent: true });
    await settled();
    expect([unrelated.state, urgent.state]).toEqual(['running', 'running']);
    urgent.end();
    await settled();
    expect(inState(queue, 'running')).toEqual([]);
    both.abort(new Error('no longer wanted'));
    await settled();
    expect(inState(queue, 'running')).toHaveLength(1);
    expect(inState(queue, 'waiting')).toHaveLength(left - 1);
    expect(b.state).toBe('running');
  });

  it('starts urgent calls in the order they came, before ordinary ones that came earlier', async () => {
    const limiter = new Limiter();
    const started: Call[] = [];
    const start = (urgent: boolean): Call => new Call(limiter, limitsOf(['a']), { urgent, started });
    const [first, ordinary, urgent, last] = [start(false), start(false), start(true), start(true)];
    for (const call of [first, urgent, last, ordinary]) {
      await settled();
      expect(started.at(-1)).toBe(call);
      expect(inState(started, 'running')).toEqual([call]);
      call.end();
    }
  });

  it.each(['starts', 'gives up'])(
    'starts nothing under the names of an urgent call until it %s',
    async (does) => {
      const limiter = new Limiter();
      const first = new Call(limiter, limitsOf(['a']));
      const urgent = new Call(limiter, limitsOf(['a', 'c']), { urgent: true });
      const ordinary = new Call(limiter, limitsOf(['c']));
      const elsewhere = new Call(limiter, limitsOf(['b']));
      await settled();
      const states = (): readonly string[] => [urgent, ordinary, elsewhere].map(({ state }) => state);
      expect(states()).toEqual(['waiting', 'waiting', 'running']);
      if (does === 'starts') first.end();
      else urgent.abort(new Error('no longer wanted'));
      await settled();
      expect(states()).toEqual([does === 'starts' ? 'running' : 'rejected', 'running', 'running']);
    },
  );

  it('starts ordinary calls after each burst of urgent ones', async () => {
    const limiter = new Limiter();
    const queue = Array.from({ length: 3 }, () => new Call(limiter, limitsOf(['a', 'b'])));
    for (const ordinary of queue) {
      await settled();
      expect(ordinary.state).toBe('running');
      const burst = (['a', 'b'] as const).flatMap((name) =>
        Array.from({ length: 20 }, () => new Call(limiter, limitsOf([name]), { urgent: true })),
      );
      ordinary.end();
      await settled();
      expect(inState(queue, 'running')).toEqual([]);
      for (let left = inState(burst, 'running'); left.length > 0; left = inState(burst, 'running')) {
        for (const call of left) call.end();
        await settled();
      }
      expect(inState(burst, 'ended')).toHaveLength(40);
    }
    expect(limiter.size).toBe(0);
  });

  it('is left by an abort before and while waiting', async () => {
    const limiter = new Limiter();
    const reason = new Error('no longer wanted');
    const never = (): never => expect.fail('must not run');
    await expect(limiter.run(limitsOf(['a']), never, { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
    const first = new Call(limiter, limitsOf(['a']));
    const aborting = new AbortController();
    const runs = [1, 2].map(() => limiter.run(limitsOf(['a']), never, { signal: aborting.signal }));
    const last = new Call(limiter, limitsOf(['a']));
    await settled();
    aborting.abort(reason);
    expect(await Promise.allSettled(runs)).toEqual([1, 2].map(() => ({ status: 'rejected', reason })));
    first.end();
    await settled();
    expect([first.state, last.state]).toEqual(['ended', 'running']);
    last.end();
    await settled();
    expect(limiter.size).toBe(0);
  });

  it('forgets the signal of a call that has its turn', async () => {
    const limiter = new Limiter();
    const first = new Call(limiter, limitsOf(['a']));
    const long = new AbortController();
    const run = limiter.run(limitsOf(['a']), async () => 1, { signal: long.signal });
    expect(getEventListeners(long.signal, 'abort')).toHaveLength(1);
    first.end();
    await run;
    expect(getEventListeners(long.signal, 'abort')).toEqual([]);
  });

  it('gives a place back whose owner is aborted in the moment it gets it', async () => {
    for (let ticks = 0; ticks < 12; ticks += 1) {
      const limiter = new Limiter();
      const first = new Call(limiter, limitsOf(['a']));
      const aborting = new AbortController();
      const ran: boolean[] = [];
      const work = async (): Promise<void> => {
        ran.push(aborting.signal.aborted);
      };
      const run = limiter.run(limitsOf(['a']), work, { signal: aborting.signal });
      const outcome = run.then(
        () => 'done',
        (error: unknown) => error,
      );
      first.end();
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
      aborting.abort('no longer wanted');
      expect(await outcome).toBe(ran.length === 0 ? 'no longer wanted' : 'done');
      expect(ran).not.toContain(true);
      expect(limiter.size).toBe(0);
    }
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses a limit of %d', async (limit) => {
    const run = new Limiter().run([{ name: 'a', limit }], async () => 1, { signal });
    await expect(run).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  });

  it('refuses a name that comes twice', async () => {
    const twice = [
      { name: 'a', limit: 2 },
      { name: 'a', limit: 2 },
    ];
    const run = new Limiter().run(twice, async () => 1, { signal });
    await expect(run).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  });
});
