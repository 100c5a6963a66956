import { lowestBit } from './ready-queue.ts';
import { hasBit, type Participation } from './walk-phase.ts';
import type { Rows } from './walk-rows.ts';

/** The edges that a phase waits along, and those along which it lets go. */
export interface PhaseEdges {
  /** To what a resource waits for. */
  readonly before: Rows;
  /** To what waits for it. */
  readonly after: Rows;
}

/**
 * Says when the order allows a unit of work to begin. A resource with a part in a phase waits until it has passed all
 * earlier phases and its neighbours have passed this one. A resource without a part in a phase passes it when its
 * neighbours have passed it and its own latest part has ended; what it has no part in before that does not hold it.
 *
 * All waits of a resource at a phase are one counter: 4 bytes a resource and phase, and 4 for each phase of groups.
 */
export class Gates {
  readonly #takes: Uint32Array;
  readonly #phases: number;
  readonly #edges: readonly (PhaseEdges | undefined)[];
  readonly #onReady: (phase: number, unit: number) => void;
  // What each resource at each phase still waits for; it is at its gate when none is left.
  readonly #waits: Uint32Array;
  // In phases of groups, the group of each position, and how many members are not at the gate yet.
  readonly #groupOf: readonly (Uint32Array | undefined)[];
  readonly #missing: readonly Uint32Array[];
  // Resources that pass a phase without a part in it and whose neighbours have not been told, as one number each.
  readonly #passing: number[] = [];

  /** `edges` has what each phase waits along, undefined for none. */
  constructor(
    { takes, groups }: Participation,
    edges: readonly (PhaseEdges | undefined)[],
    onReady: (phase: number, unit: number) => void,
  ) {
    this.#takes = takes;
    this.#phases = groups.length;
    this.#edges = edges;
    this.#onReady = onReady;
    this.#groupOf = groups.map((phase) => phase && groupNumbers(phase, takes.length));
    this.#missing = groups.map((phase) => Uint32Array.from(phase ?? [], (members) => members.length));
    this.#waits = this.#allWaits();
  }

  /** Lets through all that waits for nothing; called once. */
  open(): void {
    for (let position = 0; position < this.#takes.length; position += 1) {
      for (let phase = 0; phase < this.#phases; phase += 1) this.#release(phase, position);
      this.#drain();
    }
  }

  /** The resource's part in the phase is over. */
  pass(phase: number, position: number): void {
    this.#pass(phase, position);
    this.#drain();
  }

  // One wait more than there is reason for, which `open` ends: so nobody is at the gate before.
  #allWaits(): Uint32Array {
    const waits = new Uint32Array(this.#takes.length * this.#phases);
    for (let position = 0; position < this.#takes.length; position += 1) {
      const mine = this.#takes[position] ?? 0;
      let latest = -1;
      for (let phase = 0; phase < this.#phases; phase += 1) {
        const before = this.#edges[phase]?.before.starts;
        let count = 1 + (before?.[position + 1] ?? 0) - (before?.[position] ?? 0);
        if (hasBit(mine, phase)) {
          count += phase - Math.max(latest, 0);
          latest = phase;
        } else if (latest !== -1) count += 1;
        waits[position * this.#phases + phase] = count;
      }
    }
    return waits;
  }

  #pass(phase: number, position: number): void {
    const mine = this.#takes[position] ?? 0;
    const later = mine & (-2 << phase);
    const next = later === 0 ? this.#phases : lowestBit(later);
    if (hasBit(mine, phase)) {
      const last = Math.min(next, this.#phases - 1);
      for (let at = phase + 1; at <= last; at += 1) this.#release(at, position);
    } else if (next < this.#phases) this.#release(next, position);
    const after = this.#edges[phase]?.after;
    if (after === undefined) return;
    const { starts, targets } = after;
    for (let at = starts[position] ?? 0, end = starts[position + 1] ?? 0; at < end; at += 1) {
      this.#release(phase, targets[at] ?? 0);
    }
  }

  #release(phase: number, position: number): void {
    const at = position * this.#phases + phase;
    const left = (this.#waits[at] ?? 0) - 1;
    this.#waits[at] = left;
    if (left > 0) return;
    if (!hasBit(this.#takes[position] ?? 0, phase)) {
      this.#passing.push(at);
      return;
    }
    const groupOf = this.#groupOf[phase];
    if (groupOf === undefined) {
      this.#onReady(phase, position);
      return;
    }
    const group = groupOf[position] ?? 0;
    const missing = this.#missing[phase] ?? groupOf;
    missing[group] = (missing[group] ?? 0) - 1;
    if (missing[group] === 0) this.#onReady(phase, group);
  }

  // A loop where recursion would be as deep as the graph.
  #drain(): void {
    for (let at = this.#passing.pop(); at !== undefined; at = this.#passing.pop()) {
      this.#pass(at % this.#phases, Math.floor(at / this.#phases));
    }
  }
}

function groupNumbers(groups: readonly (readonly number[])[], count: number): Uint32Array {
  const numbers = new Uint32Array(count);
  for (const [group, members] of groups.entries()) for (const position of members) numbers[position] = group;
  return numbers;
}
