import { describe, expect, it } from 'vitest';
import { drive, type WalkEvent } from './walk-driver.ts';
import { FINE, type HookPlan, type PhasePlan, type Scenario } from './walk-scenario.ts';

// A diamond: the top depends on two in the middle, and they on the bottom.
const [TOP, LEFT, RIGHT, BOTTOM] = [0, 1, 2, 3];
const ALL = [TOP, LEFT, RIGHT, BOTTOM];
const DEPENDANTS: Readonly<Record<number, readonly number[]>> = {
  [TOP]: [],
  [LEFT]: [TOP],
  [RIGHT]: [TOP],
  [BOTTOM]: [TOP, LEFT, RIGHT],
};
const GROUPS = [[LEFT], [RIGHT, BOTTOM]];
const [BEGIN, SNAPSHOT, FINISH, MAIN, COMPLETE] = [0, 1, 2, 3, 4];

const phase = (name: string, order: PhasePlan['order'], change: Partial<PhasePlan> = {}): PhasePlan => ({
  name,
  order,
  ends: null,
  groups: null,
  takes: ALL.map(() => true),
  concurrency: Number.POSITIVE_INFINITY,
  hooks: ALL.map(() => FINE),
  ...change,
});

const PROTECT = [
  phase('phase-0', 'dependants-first'),
  phase('phase-1', 'free', { groups: GROUPS, takes: [false, true, true, true] }),
  phase('phase-2', 'dependencies-first', { ends: BEGIN }),
  phase('phase-3', 'free'),
  phase('phase-4', 'dependencies-first'),
];

function protectWith(
  onFailure: Scenario['onFailure'],
  concurrency: number,
  [at, unit]: readonly [number, number],
  hook: HookPlan,
): Scenario {
  const phases = PROTECT.map((one, index) =>
    index === at ? { ...one, hooks: one.hooks.with(unit, hook) } : one,
  );
  return {
    count: ALL.length,
    edges: [
      [TOP, LEFT],
      [TOP, RIGHT],
      [LEFT, BOTTOM],
      [RIGHT, BOTTOM],
    ],
    phases,
    onFailure,
    concurrency,
    cancelAfter: null,
    cancelInside: false,
    picks: [0],
  };
}

const membersOf = ([at, unit]: readonly [number, number]): readonly number[] =>
  at === SNAPSHOT ? (GROUPS[unit] ?? []) : [unit];

const dependantsOf = (positions: readonly number[]): readonly number[] =>
  ALL.filter(
    (position) =>
      !positions.includes(position) && positions.some((one) => DEPENDANTS[one]?.includes(position)),
  );

function partsIn(events: readonly WalkEvent[], at: number, type: 'start' | 'end'): readonly number[] {
  return events
    .filter((event) => event.phase === at && (event.type === 'start') === (type === 'start'))
    .flatMap(({ members }) => members)
    .sort((a, b) => a - b);
}

function assertTidy(events: readonly WalkEvent[]): void {
  expect(partsIn(events, FINISH, 'end')).toEqual(partsIn(events, BEGIN, 'start'));
  for (const at of PROTECT.keys()) expect(partsIn(events, at, 'end')).toEqual(partsIn(events, at, 'start'));
}

const HOOKS = [
  ...ALL.map((unit) => [BEGIN, unit] as const),
  ...GROUPS.map((_, unit) => [SNAPSHOT, unit] as const),
  ...ALL.map((unit) => [FINISH, unit] as const),
  ...ALL.map((unit) => [MAIN, unit] as const),
  ...ALL.map((unit) => [COMPLETE, unit] as const),
];
const CASES = HOOKS.flatMap((hook) =>
  [1, 2, Number.POSITIVE_INFINITY].map((concurrency) => ({ hook, concurrency })),
);

describe.each([true, false])('a hook that fails (at once: %s)', (atOnce) => {
  const fails = { ...FINE, fails: true, atOnce };

  it.each(CASES)(
    '$hook of a diamond, $concurrency at once: only its dependants are skipped',
    async ({ hook, concurrency }) => {
      const { events, outcomes } = await drive(protectWith('continue', concurrency, hook, fails));
      assertTidy(events);
      const failed = membersOf(hook);
      const skipped = dependantsOf(failed);
      for (const [position, outcome] of outcomes.entries()) {
        if (failed.includes(position)) expect(outcome).toMatchObject({ state: 'failed' });
        else if (skipped.includes(position)) {
          const because = failed.find((one) => DEPENDANTS[one]?.includes(position));
          expect(outcome).toEqual({ state: 'skipped', because });
        } else expect(outcome).toEqual({ state: 'done' });
      }
    },
  );

  it.each(CASES)(
    '$hook of a diamond, $concurrency at once: nothing more is started but endings',
    async ({ hook, concurrency }) => {
      const { events, outcomes } = await drive(protectWith('fail', concurrency, hook, fails));
      assertTidy(events);
      const failedAt = events.findIndex(({ type }) => type === 'failure');
      for (const { type, phase: at } of events.slice(failedAt)) if (type === 'start') expect(at).toBe(FINISH);
      const failed = membersOf(hook);
      for (const [position, { state }] of outcomes.entries()) {
        if (failed.includes(position)) expect(state).toBe('failed');
        else if (hook[0] < FINISH || dependantsOf(failed).includes(position)) {
          expect(state).toBe('stopped');
        } else expect(['done', 'stopped']).toContain(state);
      }
    },
  );
});

describe('a hook that hangs', () => {
  it.each(CASES.filter(({ hook }) => hook[0] !== FINISH))(
    '$hook of a diamond, $concurrency at once: a cancel leaves nothing begun',
    async ({ hook, concurrency }) => {
      const hangs = { ...FINE, hangs: true };
      const { events, outcomes, result } = await drive(protectWith('continue', concurrency, hook, hangs));
      assertTidy(events);
      expect(result.failures).toEqual([]);
      const hung = membersOf(hook);
      for (const position of [...hung, ...dependantsOf(hung)]) {
        expect(outcomes[position]?.state).toBe('stopped');
      }
    },
  );
});
