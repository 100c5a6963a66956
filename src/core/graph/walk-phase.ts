import type { CallOptions } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';

/** What a call of a walk is told. */
export interface WalkCall extends CallOptions {
  /**
   * Aborted when nothing new is to be started, because of a failure or a cancel: a call that still waits to begin its
   * work gives up with its reason. Never aborted for phases that end another.
   */
  readonly stopping: AbortSignal;
}

/** The work of a walk that is done for each resource, or for each group of resources, at one stage. */
interface PhaseOptions {
  /** Unique within the walk. */
  readonly name: string;
  /**
   * This phase ends what that earlier phase began. It has the same resources, and runs for each of them for which
   * that phase was started, also where it failed there, and whatever else failed or was cancelled, with a signal that
   * is never aborted. Everybody else is passed over.
   */
  readonly ends?: string;
  /**
   * How many calls of this phase may be under way at once, beside the bound of the walk. Long work stays below that,
   * so that what was begun meanwhile finds a place to be ended.
   */
  readonly concurrency?: number;
}

/** A phase whose work is done for each resource. */
export interface ResourcePhase extends PhaseOptions {
  /**
   * `dependants-first`: before all that the resource depends on; `dependencies-first`: after it; `free`: at any time.
   * The order also holds between resources that are joined only by others that do not take part.
   */
  readonly order: 'dependants-first' | 'dependencies-first' | 'free';
  /** Which resources take part, asked once before the walk begins; all where it is missing. Not with `ends`. */
  takesPart?(position: number): boolean;
  /** Tells the two kinds of phases apart. */
  readonly groups?: undefined;
  /** Does the work for the resource at `position`. May be synchronous. */
  run(position: number, call: WalkCall): Promise<void> | void;
}

/** A phase whose work is done once for several resources, such as a consistency group. */
export interface GroupPhase extends PhaseOptions {
  /** Positions; each in one group at most. Resources in no group do not take part. */
  readonly groups: readonly (readonly number[])[];
  /** Groups are in no order. */
  readonly order?: undefined;
  /**
   * Does the work for the group at that index. `members` are those of its positions that nothing has befallen; one at
   * least. May be synchronous. If it fails, all of them have failed.
   */
  run(group: number, call: WalkCall, members: readonly number[]): Promise<void> | void;
}

/** A stage of a walk. */
export type WalkPhase = ResourcePhase | GroupPhase;

/** Who takes part in which phase of a walk. */
export interface Participation {
  /** For each position a bit for each phase: bit 0 is the first. */
  readonly takes: Uint32Array;
  /** For each phase the index of the phase that it ends, or -1. */
  readonly ends: readonly number[];
  /** For each phase its groups, without members that do not take part; undefined where resources go alone. */
  readonly groups: readonly (readonly (readonly number[])[] | undefined)[];
}

// A bit for each phase in a number that engines keep as a small integer.
const MOST_PHASES = 30;

/** Asks the phases who takes part; refuses phases that contradict each other with `INVALID_OPTIONS`. */
export function participationOf(phases: readonly WalkPhase[], count: number): Participation {
  if (phases.length > MOST_PHASES) refuse(`a walk has at most ${MOST_PHASES} phases, not ${phases.length}`);
  const takes = new Uint32Array(count);
  const ends: number[] = [];
  const groups: Participation['groups'][number][] = [];
  for (const [index, phase] of phases.entries()) {
    assertPhase(phases, phase, index);
    const begins = phase.ends === undefined ? -1 : phases.findIndex(({ name }) => name === phase.ends);
    const takesPart =
      begins === -1 ? choiceOf(phase) : (position: number) => hasBit(takes[position] ?? 0, begins);
    if (phase.groups !== undefined) {
      const grouped = groupedPositions(phase, count);
      if (begins !== -1) assertAllEnd(phase, grouped, takesPart);
      groups.push(phase.groups.map((members) => members.filter((position) => takesPart(position))));
      for (const members of groups[index] ?? [])
        for (const position of members) addBit(takes, position, index);
    } else {
      groups.push(undefined);
      for (let position = 0; position < count; position += 1) {
        if (takesPart(position)) addBit(takes, position, index);
      }
    }
    ends.push(begins);
  }
  return { takes, ends, groups };
}

/** Whether a set of phases has that one. */
export const hasBit = (phases: number, index: number): boolean => (phases & (1 << index)) !== 0;

/** Adds a phase to the set of a position. */
export function addBit(sets: Uint32Array, position: number, index: number): void {
  sets[position] = (sets[position] ?? 0) | (1 << index);
}

/** Refuses what is no number of calls at once. */
export function assertConcurrency(of: string, concurrency: number): void {
  if (concurrency === Number.POSITIVE_INFINITY) return;
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    refuse(`the concurrency of ${of} must be a whole number from 1 on`);
  }
}

function choiceOf(phase: WalkPhase): (position: number) => boolean {
  if (phase.groups !== undefined || phase.takesPart === undefined) return () => true;
  return (position) => phase.takesPart?.(position) ?? true;
}

function assertPhase(phases: readonly WalkPhase[], phase: WalkPhase, index: number): void {
  const earlier = phases.slice(0, index);
  if (earlier.some(({ name }) => name === phase.name)) refuse(`two phases are called ${phase.name}`);
  if (phase.concurrency !== undefined) assertConcurrency(`phase ${phase.name}`, phase.concurrency);
  if (phase.ends === undefined) return;
  if (!earlier.some(({ name }) => name === phase.ends)) {
    refuse(`phase ${phase.name} ends ${phase.ends}, which is no phase before it`);
  }
  if (phase.groups === undefined && phase.takesPart !== undefined)
    refuse(`phase ${phase.name} has the resources of ${phase.ends}, and no choice`);
}

function groupedPositions({ name, groups }: GroupPhase, count: number): Uint8Array {
  const grouped = new Uint8Array(count);
  for (const position of groups.flat()) {
    if (!Number.isInteger(position) || position < 0 || position >= count) {
      refuse(`phase ${name} has a group with position ${position}, and the graph has ${count} resources`);
    }
    if (grouped[position] === 1) refuse(`phase ${name} has position ${position} in two groups`);
    grouped[position] = 1;
  }
  return grouped;
}

function assertAllEnd(
  { name, ends }: GroupPhase,
  grouped: Uint8Array,
  begins: (position: number) => boolean,
): void {
  const left = grouped.findIndex((inGroup, position) => inGroup === 0 && begins(position));
  if (left !== -1) refuse(`phase ${name} would not end what ${ends} begins at position ${left}`);
}

function refuse(message: string): never {
  throw new FafnirError('INVALID_OPTIONS', `walk: ${message}`);
}
