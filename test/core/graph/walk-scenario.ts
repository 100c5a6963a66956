import * as fc from 'fast-check';
import { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { resourceOf } from './system.ts';

/** What a hook does: at once or when its turn comes, and what it makes of an abort while it runs. */
export interface HookPlan {
  /** Whether it fails. */
  readonly fails: boolean;
  /** Whether it returns or throws without waiting. */
  readonly atOnce: boolean;
  /** What a waiting hook does when it is aborted: nothing, give up for that reason, or fail for another. */
  readonly onAbort: 'ignore' | 'give up' | 'give up, wrapped' | 'fail';
  /** Whether it ends only when it is aborted. */
  readonly hangs: boolean;
}

/** A phase as data. */
export interface PhasePlan {
  readonly name: string;
  readonly order: 'dependants-first' | 'dependencies-first' | 'free';
  /** The index of the phase that this one ends. */
  readonly ends: number | null;
  /** For phases of groups. */
  readonly groups: readonly (readonly number[])[] | null;
  /** Who takes part, by position. */
  readonly takes: readonly boolean[];
  readonly concurrency: number;
  /** By unit. */
  readonly hooks: readonly HookPlan[];
}

/** A walk as data, with all that happens in it but the order in which hooks end. */
export interface Scenario {
  readonly count: number;
  /** Pairs of a dependant and what it depends on. */
  readonly edges: readonly (readonly [number, number])[];
  readonly phases: readonly PhasePlan[];
  readonly onFailure: 'fail' | 'continue';
  readonly concurrency: number;
  /** How many hooks have ended when the walk is cancelled; null for never. */
  readonly cancelAfter: number | null;
  /** Whether the hook that ends then cancels the walk itself. */
  readonly cancelInside: boolean;
  /** Which of the running hooks ends next, as numbers to be taken modulo their count. */
  readonly picks: readonly number[];
}

/** A hook that does its work. */
export const FINE: HookPlan = { fails: false, atOnce: false, onAbort: 'give up', hangs: false };
const MOST_GROUPS = 3;
const LIMITS = [1, 2, 3, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];

/** Walks over random graphs, of random phases with random groups, failures and cancels. */
export const scenarios: fc.Arbitrary<Scenario> = fc
  .record({ size: fc.integer({ min: 1, max: 9 }), seed: fc.gen() })
  .map(({ size, seed }) => scenarioFrom(size, (below) => seed(fc.nat, { max: below - 1 })));

/** Builds a scenario from choices: `choose(n)` is a whole number below n, and 0 the plainest choice. */
export function scenarioFrom(count: number, choose: (below: number) => number): Scenario {
  // Positions are by identity, so edges must go up and down.
  const places = shuffled(count, choose);
  const edges = new Map<string, readonly [number, number]>();
  for (let left = choose(2 * count + 1); left > 0; left -= 1) {
    const [a, b] = [choose(count), choose(count)];
    if (a === b) continue;
    const edge = [places[Math.min(a, b)] ?? 0, places[Math.max(a, b)] ?? 0] as const;
    edges.set(edge.join(), edge);
  }
  const troubled = choose(3) > 0;
  const phases: PhasePlan[] = [];
  for (let left = 1 + choose(5); left > 0; left -= 1) phases.push(phaseFrom(count, phases, troubled, choose));
  return {
    count,
    edges: [...edges.values()].sort(([a, b], [c, d]) => a - c || b - d),
    phases,
    onFailure: choose(2) === 0 ? 'continue' : 'fail',
    concurrency: LIMITS[choose(LIMITS.length)] ?? 1,
    cancelAfter: choose(3) === 0 ? choose(count * phases.length) : null,
    cancelInside: choose(3) === 0,
    picks: Array.from({ length: 8 }, () => choose(7)),
  };
}

function phaseFrom(
  count: number,
  earlier: readonly PhasePlan[],
  troubled: boolean,
  choose: (below: number) => number,
): PhasePlan {
  const ends = earlier.length > 0 && choose(3) === 0 ? choose(earlier.length) : null;
  const begins = ends === null ? undefined : earlier[ends];
  const grouped = choose(4) === 0;
  const everybody = choose(2) === 0;
  const wanted = Array.from(
    { length: count },
    (_, at) => begins?.takes[at] ?? (everybody || choose(2) === 0),
  );
  const groups = grouped ? groupsOf(wanted, begins === undefined ? choose(3) : 0, choose) : null;
  const members = new Set(groups?.flat());
  return {
    name: `phase-${earlier.length}`,
    order: (['dependencies-first', 'dependants-first', 'free'] as const)[choose(3)] ?? 'free',
    ends,
    groups,
    takes: wanted.map((wants, at) => wants && (groups === null || members.has(at))),
    concurrency: LIMITS[LIMITS.length - 1 - choose(LIMITS.length)] ?? 1,
    hooks: Array.from({ length: count + MOST_GROUPS }, () =>
      troubled ? hookFrom(ends === null, choose) : FINE,
    ),
  };
}

function hookFrom(isAborted: boolean, choose: (below: number) => number): HookPlan {
  if (isAborted && choose(20) === 1) return { ...FINE, hangs: true };
  const onAbort = (['give up', 'ignore', 'fail', 'give up, wrapped'] as const)[choose(4)] ?? 'ignore';
  return { fails: choose(8) === 1, atOnce: choose(4) === 1, onAbort, hangs: false };
}

function groupsOf(
  wanted: readonly boolean[],
  leftOut: number,
  choose: (below: number) => number,
): readonly (readonly number[])[] {
  const groups: number[][] = Array.from({ length: 1 + choose(MOST_GROUPS) }, () => []);
  for (const [at, wants] of wanted.entries()) {
    if (wants && (leftOut === 0 || choose(3) > 0)) groups[choose(groups.length)]?.unshift(at);
  }
  return groups;
}

function shuffled(count: number, choose: (below: number) => number): readonly number[] {
  const left = Array.from({ length: count }, (_, at) => at);
  return Array.from({ length: count }, () => left.splice(choose(left.length), 1)[0] ?? 0);
}

/** The graph of a scenario. */
export function graphOf({ count, edges }: Pick<Scenario, 'count' | 'edges'>): ResourceGraph {
  const resources = Array.from({ length: count }, (_, at) =>
    resourceOf('Test::Part', String(at).padStart(7, '0')),
  );
  const columns = {
    from: Uint32Array.from(edges, ([from]) => from),
    to: Uint32Array.from(edges, ([, to]) => to),
  };
  return new ResourceGraph(resources, columns);
}
