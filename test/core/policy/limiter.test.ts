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
  readonly #abort = new AbortController();
  readonly #end = Promise.withResolvers<void>();

  constructor(limiter: Limiter, limits: readonly CallLimit[]) {
    this.limits = limits;
    const work = async (): Promise<void> => {
      expect(this.state).toBe('waiting');
      this.state = 'running';
      await this.#end.promise;
    };
    limiter.run(limits, work, { signal: this.#abort.signal }).then(
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

/** Whoever can start has started, unless it would take the last place that the longest waiter needs. */
function expectNoneLeftWaiting(calls: readonly Call[]): void {
  const [longest, ...others] = inState(calls, 'waiting');
  const free = ({ name, limit }: CallLimit): number => limit - runningUnder(calls, name);
  if (longest !== undefined) expect(longest.limits.some((limit) => free(limit) === 0)).toBe(true);
  for (const { limits } of others) {
    const full = limits.some((limit) => free(limit) === 0);
    const last = limits.some(
      (limit) => free(limit) === 1 && longest?.limits.some(({ name }) => name === limit.name),
    );
    expect(full || last).toBe(true);
  }
}

/** Of calls with the same limits none has started before one that came earlier and still waits. */
function expectOrderInLines(calls: readonly Call[]): void {
  for (const [at, { state, limits }] of calls.entries()) {
    if (state !== 'waiting') continue;
    const later = calls.slice(at + 1).filter((call) => call.limits === limits);
    expect(inState(later, 'running')).toEqual([]);
  }
}

const lines: readonly (readonly CallLimit[])[] = fc
  .sample(fc.shuffledSubarray(['a', 'b', 'c'] as Name[]), { numRuns: 12, seed: 1 })
  .map(limitsOf);
const command = fc.record({
  kind: fc.constantFrom('call', 'call', 'call', 'end', 'fail', 'abort'),
  pick: fc.nat(),
  settle: fc.boolean(),
});

describe('a limiter, whatever is called, ended, failed and aborted in whatever order', () => {
  it('is never above a limit, leaves none waiting that can start, and ends empty', async () => {
    const commands = fc.array(command, { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(commands, async (given) => {
        const limiter = new Limiter();
        const calls: Call[] = [];
        const aborted = new Set<Call>();
        const picked = <Item>(from: readonly Item[], pick: number): Item | undefined =>
          from[pick % from.length];
        for (const { kind, pick, settle } of given) {
          if (kind === 'call') calls.push(new Call(limiter, picked(lines, pick) ?? []));
          else if (kind === 'end') picked(inState(calls, 'running'), pick)?.end();
          else if (kind === 'fail') picked(inState(calls, 'running'), pick)?.end(new Error('failed'));
          else {
            const call = picked(inState(calls, 'waiting'), pick);
            call?.abort(new Error('aborted'));
            if (call !== undefined) aborted.add(call);
          }
          if (!settle) continue;
          await settled();
          expectNoneAboveALimit(calls);
          expectNoneLeftWaiting(calls);
          expectOrderInLines(calls);
        }
        await settled();
        for (let left = inState(calls, 'running'); left.length > 0; left = inState(calls, 'running')) {
          for (const call of left) call.end();
          await settled();
          expectNoneAboveALimit(calls);
        }
        expect(inState(calls, 'waiting')).toEqual([]);
        for (const { reason } of aborted) expect(reason).toEqual(new Error('aborted'));
        expect(limiter.size).toBe(0);
      }),
      { numRuns: 300 },
    );
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

  it('starves none that needs two places which are never free at once', async () => {
    const limiter = new Limiter();
    const busy = {
      a: new Call(limiter, limitsOf(['a'])),
      c: [0, 1, 2].map(() => new Call(limiter, limitsOf(['c']))),
    };
    const both = new Call(limiter, limitsOf(['a', 'c']));
    let rounds = 0;
    for (; both.state === 'waiting' && rounds < 100; rounds += 1) {
      const nextA = new Call(limiter, limitsOf(['a']));
      busy.a.end();
      busy.a = nextA;
      await settled();
      busy.c.push(new Call(limiter, limitsOf(['c'])));
      busy.c.shift()?.end();
      await settled();
    }
    expect(both.state).toBe('running');
    // Passed over and over, but not from the first time on: places are not left idle for it before.
    expect(rounds).toBeGreaterThan(4);
  });

  it('lets others have the kept places when the one they were kept for gives up', async () => {
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
    await settled();
    expect(unrelated.state).toBe('running');
    both.abort(new Error('no longer wanted'));
    await settled();
    expect(inState(queue, 'running')).toHaveLength(1);
    expect(inState(queue, 'waiting')).toHaveLength(left - 1);
    expect(b.state).toBe('running');
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
