import type { CallOptions } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { ResourceGraph } from './resource-graph.ts';
import { Gates } from './walk-gates.ts';
import { Ledger } from './walk-ledger.ts';
import { assertConcurrency, participationOf, type WalkPhase } from './walk-phase.ts';
import type { WalkResult } from './walk-result.ts';
import { byUrgency, type Stage, stagesOf } from './walk-stages.ts';

// Units of work that are begun in one turn of the event loop, so that hooks which never wait do not keep it.
const UNITS_PER_TURN = 256;
// Causes of an error that are looked at for the reason of the abort; a chain may be made to come round.
const MOST_CAUSES = 16;

/** What to walk over, and how. */
export interface WalkRequest {
  /** The resources and what they depend on. */
  readonly graph: ResourceGraph;
  /** The stages, in order. Each resource goes through them at its own pace. */
  readonly phases: readonly WalkPhase[];
  /**
   * `fail`: after the first failure nothing new is started; what runs is waited for and not aborted. `continue`: only
   * what depends on the failed resource, however far off, is skipped, in the phases that it has not begun.
   */
  readonly onFailure: 'fail' | 'continue';
  /** How many calls may be under way at once; `Infinity` for no bound. */
  readonly concurrency: number;
  /** Resolves in a later turn of the event loop; called every few hundred calls, so that others get theirs. */
  nextTurn(): Promise<unknown>;
}

/**
 * Takes every resource of a graph through the phases, each at most once a phase, in the order that the phases ask for.
 *
 * A resource begins a phase once it has passed all earlier ones and its neighbours in the order of the phase have
 * passed this one. One that takes no part in a phase passes it with its neighbours as soon as its own latest part has
 * ended: so it hands on the order, and makes nobody wait for what it does not do. What is not run after a failure
 * changes nothing in the order of the rest.
 *
 * Of what may begin, the phases that end another come first, then those between a phase and its ending, then the
 * others, later phases before earlier ones; within a phase the longest remaining way, then the lowest position. Groups
 * come in the order in which they are given.
 *
 * When `call.signal` is aborted nothing new is started, and running calls see the abort; one that rejects with its
 * reason, or an error caused by it, was stopped and has not failed. The same holds for `stopping`, which also a failure
 * aborts where it is to be the end. Phases that end another still run for all that
 * was begun, with a signal of their own; a failure in one of them keeps no other of them from running.
 *
 * Resolves in all these cases, when no call is under way and all that was begun is ended. So a call that never
 * settles keeps the walk for ever: time limits are the caller's. Rejects with `INVALID_OPTIONS` for phases that
 * contradict each other, and with what `takesPart` throws, in both cases before the first call.
 *
 * Before the first call the whole graph is looked at without a pause, some tenths of a second for a million resources.
 * Memory: for each resource 40 bytes and 4 more for each phase, for each edge 4, for each member of a group 12.
 */
export async function walk(request: WalkRequest, call: CallOptions): Promise<WalkResult> {
  assertConcurrency('the walk', request.concurrency);
  return new Walk(request, call).run();
}

class Walk {
  readonly #request: WalkRequest;
  readonly #signal: AbortSignal;
  readonly #halt = new AbortController();
  readonly #stages: readonly Stage[];
  readonly #gates: Gates;
  readonly #ledger: Ledger;
  readonly #over = Promise.withResolvers<void>();
  #running = 0;
  // Parts that were begun, once for each phase that is still to end them.
  #unended = 0;
  #stopping = false;
  #starting = false;
  #awaitsTurn = false;
  #leftInTurn = UNITS_PER_TURN;

  constructor(request: WalkRequest, call: CallOptions) {
    const participation = participationOf(request.phases, request.graph.resources.length);
    const { inOrder, edges, dependants } = stagesOf(request.graph, request.phases, participation, {
      signal: call.signal,
      stopping: AbortSignal.any([call.signal, this.#halt.signal]),
    });
    const names = request.phases.map(({ name }) => name);
    this.#request = request;
    this.#signal = call.signal;
    this.#stages = byUrgency(inOrder);
    this.#ledger = new Ledger(names, participation.takes, dependants);
    this.#gates = new Gates(participation, edges, (phase, unit) => inOrder[phase]?.ready.add(unit));
  }

  async run(): Promise<WalkResult> {
    const stop = (): void => {
      this.#stopping = true;
      this.#startReady();
    };
    this.#signal.addEventListener('abort', stop);
    try {
      if (this.#signal.aborted) this.#stopping = true;
      else this.#gates.open();
      this.#startReady();
      await this.#over.promise;
    } finally {
      this.#signal.removeEventListener('abort', stop);
    }
    return this.#ledger.result();
  }

  // Hooks do not enter this again, neither by ending at once nor by an abort: none runs inside another.
  #startReady(): void {
    if (this.#starting) return;
    this.#starting = true;
    let stage = this.#nextStage();
    while (stage !== undefined && this.#leftInTurn > 0) {
      this.#leftInTurn -= 1;
      this.#start(stage, stage.ready.take());
      stage = this.#nextStage();
    }
    this.#starting = false;
    if (stage !== undefined) this.#startNextTurn();
    else if (this.#running === 0) this.#over.resolve();
  }

  #startNextTurn(): void {
    if (this.#awaitsTurn) return;
    this.#awaitsTurn = true;
    const go = (): void => {
      this.#awaitsTurn = false;
      this.#leftInTurn = UNITS_PER_TURN;
      this.#startReady();
    };
    this.#request.nextTurn().then(go, go);
  }

  // Where the most urgent unit is that may be started, or passed over, now.
  #nextStage(): Stage | undefined {
    // Nobody waits any more for what the rest would pass over.
    if (this.#stopping && this.#unended === 0) return undefined;
    const isFull = this.#running >= this.#request.concurrency;
    return this.#stages.find((stage) => {
      if (stage.ready.length === 0) return false;
      return this.#isCalledOff(stage) || (!isFull && stage.running < stage.concurrency);
    });
  }

  #isCalledOff({ ends }: Stage): boolean {
    return this.#stopping && ends === -1;
  }

  #start(stage: Stage, unit: number): void {
    const all = stage.groups?.[unit] ?? [unit];
    const members = this.#isCalledOff(stage) ? [] : all.filter((position) => this.#isWanted(stage, position));
    if (members.length === 0) {
      this.#pass(stage, all);
      return;
    }
    this.#ledger.begin(stage.index, members);
    this.#unended += members.length * stage.endings;
    this.#running += 1;
    stage.running += 1;
    const failed = (error: unknown): void => this.#fail(stage, all, members, error);
    const succeeded = (): void => this.#succeed(stage, all, members);
    let running: Promise<void> | void;
    try {
      running = stage.phase.run(unit, stage.call, members);
    } catch (error) {
      failed(error);
      return;
    }
    if (running === undefined) succeeded();
    else Promise.resolve(running).then(succeeded, failed);
  }

  #isWanted({ ends }: Stage, position: number): boolean {
    return ends === -1 ? !this.#ledger.isHindered(position) : this.#ledger.hasBegun(ends, position);
  }

  #succeed(stage: Stage, all: readonly number[], members: readonly number[]): void {
    this.#ledger.finish(stage.index, members);
    this.#end(stage, all, members);
  }

  #fail(stage: Stage, all: readonly number[], members: readonly number[], error: unknown): void {
    if (!this.#isStop(stage, error)) {
      const { onFailure } = this.#request;
      this.#ledger.fail(stage.index, members, error, onFailure === 'continue' && !this.#stopping);
      if (onFailure === 'fail') {
        this.#stopping = true;
        this.#halt.abort(new FafnirError('CANCELLED', 'something else has failed', { cause: error }));
      }
    }
    this.#end(stage, all, members);
  }

  #end(stage: Stage, all: readonly number[], members: readonly number[]): void {
    this.#running -= 1;
    stage.running -= 1;
    if (stage.ends !== -1) this.#unended -= members.length;
    this.#pass(stage, all);
    this.#startReady();
  }

  #pass(stage: Stage, positions: readonly number[]): void {
    for (const position of positions) this.#gates.pass(stage.index, position);
  }

  // Whether a call only did as it was told by the abort.
  #isStop({ call }: Stage, error: unknown): boolean {
    if (!call.stopping.aborted) return false;
    const reasons = [call.stopping.reason, ...(call.signal.aborted ? [call.signal.reason] : [])];
    let cause = error;
    for (let depth = 0; depth < MOST_CAUSES; depth += 1) {
      if (reasons.includes(cause)) return true;
      if (!(cause instanceof Error)) return false;
      cause = cause.cause;
    }
    return false;
  }
}
