import { ReadyQueue } from './ready-queue.ts';
import type { ResourceGraph } from './resource-graph.ts';
import type { PhaseEdges } from './walk-gates.ts';
import type { Participation, WalkCall, WalkPhase } from './walk-phase.ts';
import { dependantRows, dependencyRows, longestFirst, type Ranks, type Rows } from './walk-rows.ts';

/** A phase as the walk runs it. */
export interface Stage {
  /** Its place among the phases. */
  readonly index: number;
  /** The phase. */
  readonly phase: WalkPhase;
  /** The groups of those that take part; undefined where resources go alone. */
  readonly groups: readonly (readonly number[])[] | undefined;
  /** The index of the phase that this one ends, or -1. */
  readonly ends: number;
  /** How many phases end this one. */
  readonly endings: number;
  /** What its calls are given: those of a phase that ends another are not aborted. */
  readonly call: WalkCall;
  /** How many calls may be under way. */
  readonly concurrency: number;
  /** What the order allows to begin. */
  readonly ready: ReadyUnits;
  /** Calls under way. */
  running: number;
}

/** Units of one phase that the order allows to begin, the most urgent first. */
export class ReadyUnits {
  readonly #queue: ReadyQueue;
  readonly #ranks: Ranks | undefined;

  /** Without ranks the lowest unit is the most urgent. */
  constructor(size: number, ranks: Ranks | undefined) {
    this.#queue = new ReadyQueue(size);
    this.#ranks = ranks;
  }

  /** How many there are. */
  get length(): number {
    return this.#queue.length;
  }

  /** Adds a unit that is not there. */
  add(unit: number): void {
    this.#queue.add(this.#ranks === undefined ? unit : (this.#ranks.ofPosition[unit] ?? 0));
  }

  /** Removes the most urgent unit; -1 where there is none. */
  take(): number {
    const rank = this.#queue.take();
    return rank === -1 || this.#ranks === undefined ? rank : (this.#ranks.toPosition[rank] ?? 0);
  }
}

/** Phases made ready to run, and the edges of the graph for them. */
export interface Stages {
  /** In the order of the phases. */
  readonly inOrder: readonly Stage[];
  /** What each phase waits along, undefined for none. */
  readonly edges: readonly (PhaseEdges | undefined)[];
  /** What depends on each resource. */
  readonly dependants: Rows;
}

/** Makes phases ready to run over a graph. */
export function stagesOf(
  graph: ResourceGraph,
  phases: readonly WalkPhase[],
  { ends, groups }: Participation,
  call: WalkCall,
): Stages {
  const count = graph.resources.length;
  const dependencies = dependencyRows(graph);
  const dependants = dependantRows(graph);
  const upwards = { before: dependencies, after: dependants };
  const downwards = { before: dependants, after: dependencies };
  const edges = phases.map((phase) => {
    if (phase.groups !== undefined || phase.order === 'free') return undefined;
    return phase.order === 'dependencies-first' ? upwards : downwards;
  });
  const ranks = new Map<PhaseEdges, Ranks>();
  if (edges.includes(upwards)) ranks.set(upwards, longestFirst(dependants, graph.order.toReversed(), count));
  if (edges.includes(downwards)) ranks.set(downwards, longestFirst(dependencies, graph.order, count));
  const never = new AbortController().signal;
  const sheltered = { signal: never, stopping: never };
  const inOrder = phases.map((phase, index): Stage => {
    // Where a phase is free, what waits for it is the next one that is not.
    const way = groups[index] === undefined ? edges.slice(index).find((one) => one !== undefined) : undefined;
    return {
      index,
      phase,
      groups: groups[index],
      ends: ends[index] ?? -1,
      endings: ends.filter((begins) => begins === index).length,
      call: phase.ends === undefined ? call : sheltered,
      concurrency: phase.concurrency ?? Number.POSITIVE_INFINITY,
      ready: new ReadyUnits(groups[index]?.length ?? count, way && ranks.get(way)),
      running: 0,
    };
  });
  return { inOrder, edges, dependants };
}

/**
 * Phases that end another first, so that nothing stays begun for longer than it must; then those between a phase and
 * its ending, for the same reason; then the others; later ones before earlier ones.
 */
export function byUrgency(stages: readonly Stage[]): readonly Stage[] {
  const urgency = ({ index, ends }: Stage): number => {
    if (ends !== -1) return 2;
    return stages.some((other) => other.ends !== -1 && other.ends < index && index < other.index) ? 1 : 0;
  };
  return stages.toSorted((a, b) => urgency(b) - urgency(a) || b.index - a.index);
}
