import type { ResourceOutcome } from '../../../src/core/graph/walk-result.ts';
import type { PhasePlan, Scenario } from './walk-scenario.ts';

/** A unit of work: a position, or the index of a group, in a phase. */
export interface Unit {
  readonly phase: number;
  readonly unit: number;
  readonly members: readonly number[];
}

/** How a hook came to its end. */
export type Ending = 'success' | 'failure' | 'stopped';

type Position = number;

/**
 * What a walk is documented to do, written for reading: everything is looked at again after every event. Tells which
 * hooks run next, given how the earlier ones ended.
 */
export class WalkModel {
  readonly running: Unit[] = [];
  readonly failures: Unit[] = [];
  readonly #scenario: Scenario;
  readonly #started: Unit[] = [];
  readonly #passed = new Set<string>();
  readonly #handled = new Set<string>();
  readonly #begun = new Set<string>();
  readonly #done = new Set<string>();
  readonly #ended = new Set<string>();
  readonly #failed = new Map<Position, number>();
  readonly #causes = new Map<Position, Position>();
  #stopping = false;
  #seen = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  /** The hooks that began since this was last asked, in order. */
  newlyStarted(): readonly Unit[] {
    const fresh = this.#started.slice(this.#seen);
    this.#seen = this.#started.length;
    return fresh;
  }

  /** Starts all that may be started now. `atOnce` is told of hooks that end without waiting. */
  advance(atOnce: (unit: Unit) => void): void {
    for (;;) {
      this.#passThose();
      if (this.#stopping && !this.#somethingIsBegun()) return;
      const next = this.#readyUnits()
        .filter((unit) => this.#mayGo(unit))
        .sort((a, b) => this.#compare(a, b))[0];
      if (next === undefined) return;
      this.#handled.add(key(next.phase, next.unit));
      const wanted = next.members.filter((position) => this.#isWanted(next.phase, position));
      if (wanted.length === 0) {
        for (const position of next.members) this.#passed.add(key(next.phase, position));
        continue;
      }
      const started = { ...next, members: wanted };
      for (const position of wanted) this.#begun.add(key(next.phase, position));
      this.#started.push(started);
      this.running.push(started);
      if (this.#phase(next.phase).hooks[next.unit]?.atOnce) atOnce(started);
    }
  }

  /** A hook came to its end. */
  end(unit: Unit, ending: Ending): void {
    this.running.splice(this.running.indexOf(unit), 1);
    for (const position of this.#unit(unit.phase, unit.unit).members) {
      this.#passed.add(key(unit.phase, position));
    }
    for (const position of unit.members) this.#ended.add(key(unit.phase, position));
    if (ending === 'success') for (const position of unit.members) this.#done.add(key(unit.phase, position));
    if (ending !== 'failure') return;
    this.failures.push(unit);
    for (const position of unit.members) {
      if (!this.#failed.has(position)) this.#failed.set(position, unit.phase);
    }
    if (this.#scenario.onFailure === 'fail') this.#stopping = true;
    if (this.#stopping) return;
    for (const position of [...unit.members].sort((a, b) => a - b)) {
      for (const dependant of this.#allDependants(position)) {
        if (!this.#causes.has(dependant)) this.#causes.set(dependant, position);
      }
    }
  }

  /** The walk is cancelled. */
  cancel(): void {
    this.#stopping = true;
  }

  /** How it ended for a position; the failure as the phase it was in. */
  outcome(
    position: Position,
  ): Exclude<ResourceOutcome, { state: 'failed' }> | { state: 'failed'; phase: string } {
    const failedIn = this.#failed.get(position);
    if (failedIn !== undefined) return { state: 'failed', phase: this.#phase(failedIn).name };
    const mine = this.#phases().filter((phase) => this.#phase(phase).takes[position]);
    const done = mine.filter((phase) => this.#done.has(key(phase, position)));
    if (done.length === mine.length) return { state: 'done' };
    const because = this.#causes.get(position);
    if (because !== undefined) return { state: 'skipped', because };
    const latest = done.at(-1);
    return { state: 'stopped', passed: latest === undefined ? null : this.#phase(latest).name };
  }

  #passThose(): void {
    let before = -1;
    while (before !== this.#passed.size) {
      before = this.#passed.size;
      for (const phase of this.#phases()) {
        for (let position = 0; position < this.#scenario.count; position += 1) {
          if (this.#phase(phase).takes[position]) continue;
          const latest = this.#phases().findLast((at) => at < phase && this.#phase(at).takes[position]);
          if (latest !== undefined && !this.#passed.has(key(latest, position))) continue;
          if (this.#neighboursPassed(phase, position)) this.#passed.add(key(phase, position));
        }
      }
    }
  }

  #readyUnits(): readonly Unit[] {
    return this.#phases().flatMap((phase) => {
      const count = this.#phase(phase).groups?.length ?? this.#scenario.count;
      return Array.from({ length: count }, (_, unit) => this.#unit(phase, unit)).filter(
        ({ unit, members }) =>
          members.length > 0 &&
          !this.#handled.has(key(phase, unit)) &&
          members.every(
            (position) =>
              this.#phases().every((at) => at >= phase || this.#passed.has(key(at, position))) &&
              this.#neighboursPassed(phase, position),
          ),
      );
    });
  }

  #neighboursPassed(phase: number, position: Position): boolean {
    return this.#before(phase, position).every((other) => this.#passed.has(key(phase, other)));
  }

  #mayGo({ phase }: Unit): boolean {
    if (this.#stopping && this.#phase(phase).ends === null) return true;
    const alike = this.running.filter((other) => other.phase === phase);
    return this.running.length < this.#scenario.concurrency && alike.length < this.#phase(phase).concurrency;
  }

  #isWanted(phase: number, position: Position): boolean {
    const { ends } = this.#phase(phase);
    if (ends !== null) return this.#begun.has(key(ends, position));
    return !this.#stopping && !this.#failed.has(position) && !this.#causes.has(position);
  }

  #somethingIsBegun(): boolean {
    return this.#phases().some((phase) => {
      const { ends } = this.#phase(phase);
      if (ends === null) return false;
      return Array.from({ length: this.#scenario.count }, (_, at) => at).some(
        (at) => this.#begun.has(key(ends, at)) && !this.#ended.has(key(phase, at)),
      );
    });
  }

  #compare(a: Unit, b: Unit): number {
    return (
      this.#urgency(b.phase) - this.#urgency(a.phase) ||
      b.phase - a.phase ||
      this.#way(b) - this.#way(a) ||
      a.unit - b.unit
    );
  }

  #urgency(phase: number): number {
    if (this.#phase(phase).ends !== null) return 2;
    const isBetween = this.#scenario.phases.some(
      ({ ends }, at) => ends !== null && ends < phase && phase < at,
    );
    return isBetween ? 1 : 0;
  }

  // The longest remaining way: in a free phase that of the next phase in some order.
  #way({ phase, unit }: Unit): number {
    if (this.#phase(phase).groups !== null) return 0;
    const ordered = this.#phases().find(
      (at) => at >= phase && this.#phase(at).groups === null && this.#phase(at).order !== 'free',
    );
    if (ordered === undefined) return 0;
    const longest = (position: Position): number =>
      Math.max(0, ...this.#after(ordered, position).map((other) => 1 + longest(other)));
    return longest(unit);
  }

  #unit(phase: number, unit: number): Unit {
    const { groups, takes } = this.#phase(phase);
    return { phase, unit, members: (groups?.[unit] ?? [unit]).filter((position) => takes[position]) };
  }

  #phases(): readonly number[] {
    return [...this.#scenario.phases.keys()];
  }

  #phase(index: number): PhasePlan {
    const phase = this.#scenario.phases[index];
    if (phase === undefined) throw new Error('no such phase');
    return phase;
  }

  #before(phase: number, position: Position): readonly Position[] {
    return neighbours(this.#scenario, this.#phase(phase), position);
  }

  #after(phase: number, position: Position): readonly Position[] {
    const all = Array.from({ length: this.#scenario.count }, (_, at) => at);
    return all.filter((other) => this.#before(phase, other).includes(position));
  }

  #allDependants(position: Position): ReadonlySet<Position> {
    const found = new Set<Position>([position]);
    for (const at of found) {
      for (const [dependant, on] of this.#scenario.edges) if (on === at) found.add(dependant);
    }
    found.delete(position);
    return found;
  }
}

/** Whom a position waits for in a phase. */
export function neighbours(
  { edges }: Scenario,
  { order, groups }: PhasePlan,
  position: Position,
): readonly Position[] {
  if (groups !== null || order === 'free') return [];
  return order === 'dependencies-first'
    ? edges.flatMap(([dependant, on]) => (dependant === position ? [on] : []))
    : edges.flatMap(([dependant, on]) => (on === position ? [dependant] : []));
}

const key = (phase: number, at: number): string => `${phase}/${at}`;
