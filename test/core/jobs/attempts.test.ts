import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallOptions } from '../../../src/core/contracts/index.ts';
import { Attempts } from '../../../src/core/jobs/attempts.ts';
import { ManualClock } from './manual-clock.ts';

const ALLOWED = 100;
const LATE = expect.objectContaining({ code: 'UNAVAILABLE' });

let clock: ManualClock;
let stop: AbortController;
let attempts: Attempts;

beforeEach(() => {
  clock = new ManualClock();
  stop = new AbortController();
  attempts = new Attempts(clock, stop.signal);
});

afterEach(() => attempts[Symbol.dispose]());

async function untilAborted({ signal }: CallOptions): Promise<never> {
  await once(signal, 'abort');
  throw signal.reason;
}

const run = <Value>(
  name: string,
  allowed: number,
  work: (call: CallOptions) => Promise<Value>,
): Promise<Value> => new Promise((resolve, reject) => attempts.run(name, allowed, work, { resolve, reject }));

const outcomeOf = (running: Promise<unknown>): Promise<unknown> => running.catch((error: unknown) => error);

describe('attempts', () => {
  it.each([0, 1, 2])('are each watched to their own end where number %i has ended before', async (early) => {
    const ends = [0, 1, 2].map(() => Promise.withResolvers<string>());
    const outcomes: Promise<unknown>[] = [];
    for (const [at, { promise }] of ends.entries()) {
      const work = at === early ? () => promise : untilAborted;
      outcomes.push(outcomeOf(run(`work ${at}`, ALLOWED, work)));
      await clock.advance(ALLOWED / 10);
    }
    ends[early]?.resolve('in time');
    await clock.advance(ALLOWED);
    const expected = ends.map((_, at) => (at === early ? 'in time' : LATE));
    expect(await Promise.all(outcomes)).toEqual(expected);
  });

  it('are aborted where all work is', async () => {
    const running = [1, 2, 3].map((at) => outcomeOf(run(`work ${at}`, at * ALLOWED, untilAborted)));
    const reason = new Error('enough');
    stop.abort(reason);
    expect(await Promise.all(running)).toEqual([reason, reason, reason]);
  });

  it('that throw have failed, and are watched no more', async () => {
    const reason = new Error('broken');
    const work = (): never => {
      throw reason;
    };
    expect(await outcomeOf(run('work', ALLOWED, work))).toBe(reason);
    await clock.advance(ALLOWED);
  });

  it('that begin after that are aborted at once', async () => {
    const reason = new Error('enough');
    stop.abort(reason);
    const signal = await run('work', ALLOWED, async (call) => call.signal);
    expect(signal.reason).toBe(reason);
  });
});
