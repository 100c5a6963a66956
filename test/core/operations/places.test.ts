import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Places } from '../../../src/core/operations/places.ts';
import { type CallLimit, Limiter } from '../../../src/core/policy/limiter.ts';

const unaborted = { signal: new AbortController().signal };
const one = (name: string): readonly CallLimit[] => [{ name, limit: 1 }];

/** Whether it has come in, or was refused and with what; undefined while it waits. */
interface Entry {
  outcome: 'inside' | { readonly refused: unknown } | undefined;
}

function enter(places: Places, set: number, call: { readonly signal: AbortSignal } = unaborted): Entry {
  const entry: Entry = { outcome: undefined };
  places.enter(set, call).then(
    () => {
      entry.outcome = 'inside';
    },
    (reason: unknown) => {
      entry.outcome = { refused: reason };
    },
  );
  return entry;
}

/** Until nothing is left to do but to wait. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await setImmediate();
}

describe('a set that is entered', () => {
  it('keeps others out until the last one has left', async () => {
    const limiter = new Limiter();
    const places = new Places(limiter, () => one('array'));
    const first = [enter(places, 1), enter(places, 1)];
    const other = enter(places, 2);
    await settled();
    expect([...first, other].map(({ outcome }) => outcome)).toEqual(['inside', 'inside', undefined]);
    places.leave(1);
    await settled();
    expect(other.outcome).toBeUndefined();
    places.leave(1);
    await settled();
    expect(other.outcome).toBe('inside');
    places.leave(2);
    await settled();
    expect(limiter.size).toBe(0);
  });

  it('is entered again at once, however many wait', async () => {
    const places = new Places(new Limiter(), () => one('array'));
    await places.enter(1, unaborted);
    const waiting = [enter(places, 2), enter(places, 3)];
    for (let times = 0; times < 100; times += 1) await places.enter(1, unaborted);
    await settled();
    expect(waiting.map(({ outcome }) => outcome)).toEqual([undefined, undefined]);
  });

  it('takes all that it needs at once, and holds nothing while it waits', async () => {
    const limits = new Map([
      [1, one('a')],
      [2, [...one('a'), ...one('b')]],
      [3, one('b')],
    ]);
    const places = new Places(new Limiter(), (set) => limits.get(set) ?? []);
    const [first, both, last] = [enter(places, 1), enter(places, 2), enter(places, 3)];
    await settled();
    expect([first.outcome, both.outcome, last.outcome]).toEqual(['inside', undefined, 'inside']);
    places.leave(1);
    await settled();
    expect(both.outcome).toBeUndefined();
    places.leave(3);
    await settled();
    expect(both.outcome).toBe('inside');
  });

  it('shares its places with the sets of other jobs', async () => {
    const limiter = new Limiter();
    const [mine, theirs] = [new Places(limiter, () => one('array')), new Places(limiter, () => one('array'))];
    await mine.enter(1, unaborted);
    const other = enter(theirs, 1);
    await settled();
    expect(other.outcome).toBeUndefined();
    mine.leave(1);
    await settled();
    expect(other.outcome).toBe('inside');
  });

  it('may be left too often, which is nothing to others', async () => {
    const limiter = new Limiter();
    const places = new Places(limiter, () => one('array'));
    places.leave(1);
    await places.enter(1, unaborted);
    places.leave(1);
    places.leave(1);
    await settled();
    expect(limiter.size).toBe(0);
  });
});

describe('an abort', () => {
  it('while it waits gives the reason, and nothing to leave', async () => {
    const limiter = new Limiter();
    const places = new Places(limiter, () => one('array'));
    const [controller, reason] = [new AbortController(), new Error('no longer wanted')];
    await places.enter(1, unaborted);
    const waiting = [enter(places, 2, controller), enter(places, 2, controller)];
    await settled();
    controller.abort(reason);
    await settled();
    expect(waiting.map(({ outcome }) => outcome)).toEqual([{ refused: reason }, { refused: reason }]);
    const again = enter(places, 2);
    places.leave(1);
    await settled();
    expect(again.outcome).toBe('inside');
    places.leave(2);
    await settled();
    expect(limiter.size).toBe(0);
  });

  it('in the moment in which its turn comes gives nothing to leave either', async () => {
    const limiter = new Limiter();
    const places = new Places(limiter, () => one('array'));
    const [controller, reason] = [new AbortController(), new Error('no longer wanted')];
    await places.enter(1, unaborted);
    const waiting = enter(places, 2, controller);
    await settled();
    places.leave(1);
    controller.abort(reason);
    await settled();
    if (waiting.outcome === 'inside') places.leave(2);
    await settled();
    expect(limiter.size).toBe(0);
  });

  it('once it is inside changes nothing', async () => {
    const limiter = new Limiter();
    const places = new Places(limiter, () => one('array'));
    const controller = new AbortController();
    await places.enter(1, controller);
    controller.abort();
    const other = enter(places, 2);
    await settled();
    expect(other.outcome).toBeUndefined();
    places.leave(1);
    await settled();
    expect(other.outcome).toBe('inside');
  });

  it('before it comes is refused, also where the others of its set are inside', async () => {
    const places = new Places(new Limiter(), () => one('array'));
    const reason = new Error('no longer wanted');
    const signal = AbortSignal.abort(reason);
    await expect(places.enter(1, { signal })).rejects.toBe(reason);
    await places.enter(1, unaborted);
    await expect(places.enter(1, { signal })).rejects.toBe(reason);
  });

  it.each(['first', 'second'] as const)(
    'of the %s of two who wait is nothing to the other',
    async (which) => {
      const limiter = new Limiter();
      const places = new Places(limiter, () => one('array'));
      const controllers = { first: new AbortController(), second: new AbortController() };
      await places.enter(1, unaborted);
      const waiting = {
        first: enter(places, 2, controllers.first),
        second: enter(places, 2, controllers.second),
      };
      await settled();
      const reason = new Error('no longer wanted');
      controllers[which].abort(reason);
      await settled();
      const other = which === 'first' ? 'second' : 'first';
      expect(waiting[which].outcome).toEqual({ refused: reason });
      expect(waiting[other].outcome).toBeUndefined();
      places.leave(1);
      await settled();
      expect(waiting[other].outcome).toBe('inside');
      places.leave(2);
      await settled();
      expect(limiter.size).toBe(0);
    },
  );
});

/** What happens, each a turn of the event loop after the one before: somebody comes, leaves, or no longer wants to. */
const happenings = fc.array(
  fc.record({
    what: fc.constantFrom('enter', 'enter', 'enter', 'leave', 'leave', 'abort'),
    set: fc.nat({ max: 4 }),
    who: fc.nat({ max: 30 }),
    turns: fc.nat({ max: 2 }),
  }),
  { maxLength: 60 },
);
const NAMES = ['a', 'b', 'c'];
const needs = fc.array(fc.subarray(NAMES), { minLength: 5, maxLength: 5 });
const bounds = fc.tuple(...NAMES.map(() => fc.integer({ min: 1, max: 2 })));

it('limits hold whatever happens, nobody waits who has room, and all places are given back', async () => {
  const property = fc.asyncProperty(needs, bounds, happenings, async (needed, most, story) => {
    const limiter = new Limiter();
    const limitOf = (name: string): number => most[NAMES.indexOf(name)] ?? 1;
    const places = new Places(limiter, (set) =>
      (needed[set] ?? []).map((name) => ({ name, limit: limitOf(name) })),
    );
    const inside: number[] = [];
    const waiting = new Map<number, { readonly set: number; readonly controller: AbortController }>();
    const taken = (name: string): number =>
      [...new Set(inside)].filter((set) => needed[set]?.includes(name)).length;
    const check = (): void => {
      for (const name of NAMES) expect(taken(name)).toBeLessThanOrEqual(limitOf(name));
    };
    const come = (who: number, set: number): void => {
      const controller = new AbortController();
      waiting.set(who, { set, controller });
      places.enter(set, controller).then(
        () => {
          waiting.delete(who);
          inside.push(set);
          check();
        },
        () => waiting.delete(who),
      );
    };
    const leave = (at: number): void => {
      const [set] = inside.splice(at, 1);
      if (set !== undefined) places.leave(set);
    };
    let visitors = 0;
    for (const { what, set, who, turns } of story) {
      if (what === 'enter') come(visitors++, set);
      else if (what === 'leave') leave(who % Math.max(1, inside.length));
      else {
        // All of a set have one reason to go.
        const given = [...waiting.values()][who % Math.max(1, waiting.size)];
        for (const one of waiting.values()) if (one.set === given?.set) one.controller.abort();
      }
      for (let turn = 0; turn < turns; turn += 1) await setImmediate();
    }
    await settled();
    for (const { set } of waiting.values()) {
      expect(inside).not.toContain(set);
      expect(needed[set]?.some((name) => taken(name) >= limitOf(name))).toBe(true);
    }
    while (inside.length > 0 || waiting.size > 0) {
      expect(inside.length, 'who has room').toBeGreaterThan(0);
      leave(0);
      await settled();
    }
    expect(limiter.size).toBe(0);
  });
  await fc.assert(property, { numRuns: 1_000 });
});
