import { addBit, hasBit } from './walk-phase.ts';
import { resultOf, type WalkFailure, type WalkResult } from './walk-result.ts';
import type { Rows } from './walk-rows.ts';

/** What has become of each resource so far: 12 bytes a resource, and the failures. */
export class Ledger {
  readonly #phases: readonly string[];
  readonly #takes: Uint32Array;
  readonly #dependants: Rows;
  readonly #begun: Uint32Array;
  readonly #done: Uint32Array;
  // As in WalkRecords.
  readonly #hindered: Uint32Array;
  readonly #failures: WalkFailure[] = [];

  constructor(phases: readonly string[], takes: Uint32Array, dependants: Rows) {
    this.#phases = phases;
    this.#takes = takes;
    this.#dependants = dependants;
    this.#begun = new Uint32Array(takes.length);
    this.#done = new Uint32Array(takes.length);
    this.#hindered = new Uint32Array(takes.length);
  }

  /** Whether the resource's part in the phase was started. */
  hasBegun(phase: number, position: number): boolean {
    return hasBit(this.#begun[position] ?? 0, phase);
  }

  /** Whether the resource failed, or is to be skipped. */
  isHindered(position: number): boolean {
    return this.#hindered[position] !== 0;
  }

  /** The resources' part in the phase is started. */
  begin(phase: number, positions: readonly number[]): void {
    for (const position of positions) addBit(this.#begun, position, phase);
  }

  /** The resources' part in the phase is done. */
  finish(phase: number, positions: readonly number[]): void {
    for (const position of positions) addBit(this.#done, position, phase);
  }

  /**
   * The resources' part in the phase failed, so nothing but endings is done for them from now on, nor for what
   * depends on them where `spread` says so.
   */
  fail(phase: number, positions: readonly number[], error: unknown, spread: boolean): void {
    this.#failures.push({ phase: this.#phases[phase] ?? '', positions, error });
    for (const position of positions.toSorted((a, b) => a - b)) {
      // Whoever was skipped already has skipped its dependants too.
      if (spread && !this.isHindered(position)) this.#skipDependants(position);
      this.#hindered[position] = position + 1;
    }
  }

  /** How it ended. */
  result(): WalkResult {
    return resultOf({
      phases: this.#phases,
      takes: this.#takes,
      done: this.#done,
      hindered: this.#hindered,
      failures: this.#failures,
    });
  }

  #skipDependants(cause: number): void {
    const { starts, targets } = this.#dependants;
    const next = [cause];
    for (let from = next.pop(); from !== undefined; from = next.pop()) {
      for (let at = starts[from] ?? 0, end = starts[from + 1] ?? 0; at < end; at += 1) {
        const dependant = targets[at] ?? 0;
        if (this.isHindered(dependant)) continue;
        this.#hindered[dependant] = cause + 1;
        next.push(dependant);
      }
    }
  }
}
