import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'vitest';
import type { CallOptions } from '../../../src/core/contracts/index.ts';
import type { WalkPhase } from '../../../src/core/graph/walk-phase.ts';
import type { ResourceOutcome, WalkResult } from '../../../src/core/graph/walk-result.ts';
import { walk } from '../../../src/core/graph/walk.ts';
import { type Ending, type Unit, WalkModel } from './walk-model.ts';
import { graphOf, type HookPlan, type PhasePlan, type Scenario } from './walk-scenario.ts';

/** A hook began, or came to its end. */
export interface WalkEvent extends Unit {
  readonly type: 'start' | Ending;
}

/** What happened in a walk. */
export interface Driven {
  readonly events: readonly WalkEvent[];
  readonly outcomes: readonly ResourceOutcome[];
  readonly result: WalkResult;
}

interface RunningHook {
  readonly started: Unit;
  end(ending: Ending, error?: unknown): void;
}

const REASON = new Error('the caller has changed its mind');

/**
 * Walks as the scenario says, hook by hook, beside the model: after each end of a hook the same hooks must have begun,
 * in the same order; in the end the walk must have resolved, with the same outcomes.
 */
export async function drive(scenario: Scenario): Promise<Driven> {
  const model = new WalkModel(scenario);
  const controller = new AbortController();
  const events: WalkEvent[] = [];
  const running: RunningHook[] = [];
  let ended = 0;
  let compared = 0;

  const isCancelTime = (): boolean => ended === scenario.cancelAfter && !controller.signal.aborted;
  const record = (started: Unit, type: Ending): void => {
    events.push({ ...started, type });
    ended += 1;
  };

  function run(
    phase: number,
    unit: number,
    call: CallOptions,
    members: readonly number[],
  ): Promise<void> | void {
    const plan = planOf(scenario, phase, unit);
    const started = { phase, unit, members };
    // What ends another phase is never told to stop; anything else is not begun once it would be.
    expect(call.signal.aborted).toBe(false);
    events.push({ ...started, type: 'start' });
    if (plan.atOnce) {
      if (scenario.cancelInside && isCancelTime()) controller.abort(REASON);
      record(started, plan.fails ? 'failure' : 'success');
      if (plan.fails) throw new Error(`${phase}/${unit} fails at once`);
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const hook: RunningHook = {
      started,
      end(ending, error) {
        running.splice(running.indexOf(hook), 1);
        record(started, ending);
        if (ending === 'success') resolve();
        else reject(error ?? new Error(`${phase}/${unit} fails`));
      },
    };
    running.push(hook);
    call.signal.addEventListener('abort', () => {
      const [ending, error] = reactionTo(plan);
      if (ending !== null && running.includes(hook)) hook.end(ending, error);
    });
    return promise;
  }

  // In the model, as `run` does above.
  let modelEnded = 0;
  const modelEnds = (unit: Unit, ending: Ending): void => {
    model.end(unit, ending);
    modelEnded += 1;
  };
  let modelCancelled = false;
  let reacting: Unit[] = [];
  const modelCancel = (): void => {
    modelCancelled = true;
    model.cancel();
    reacting = model.running.filter(({ phase, unit }) => {
      const plan = planOf(scenario, phase, unit);
      return phaseOf(scenario, phase).ends === null && !plan.atOnce && reactionTo(plan)[0] !== null;
    });
    modelEnded += reacting.length;
  };
  const atOnce = (unit: Unit): void => {
    if (scenario.cancelInside && modelEnded === scenario.cancelAfter && !modelCancelled) modelCancel();
    modelEnds(unit, planOf(scenario, unit.phase, unit.unit).fails ? 'failure' : 'success');
  };
  const advance = (): void => {
    model.advance(atOnce);
    for (const unit of reacting.splice(0)) {
      model.end(unit, reactionTo(planOf(scenario, unit.phase, unit.unit))[0] ?? 'stopped');
      model.advance(atOnce);
    }
  };

  let result: WalkResult | undefined;
  const walking = walk(
    {
      graph: graphOf(scenario),
      phases: scenario.phases.map((phase, at) => phaseFor(phase, (...of) => run(at, ...of))),
      onFailure: scenario.onFailure,
      concurrency: scenario.concurrency,
      nextTurn: () => nextTurn(),
    },
    { signal: controller.signal },
  ).then((value) => {
    result = value;
    return value;
  });
  for (let turn = 0; ; turn += 1) {
    advance();
    await nextTurn();
    const started = events.filter(({ type }) => type === 'start');
    expect(started.slice(compared)).toEqual(model.newlyStarted().map((unit) => ({ ...unit, type: 'start' })));
    compared = started.length;
    expect(result !== undefined).toBe(running.length === 0);
    if (running.length === 0) break;
    expect(running.length).toBeLessThanOrEqual(scenario.concurrency);
    const able = running.filter(({ started: { phase, unit } }) => !planOf(scenario, phase, unit).hangs);
    if (isCancelTime() || able.length === 0) {
      modelCancel();
      controller.abort(REASON);
      continue;
    }
    const hook = able[(scenario.picks[turn % scenario.picks.length] ?? 0) % able.length];
    if (hook === undefined) throw new Error('no hook to end');
    const { phase, unit } = hook.started;
    const ending = planOf(scenario, phase, unit).fails ? 'failure' : 'success';
    const modelled = model.running.find((other) => other.phase === phase && other.unit === unit);
    if (modelled === undefined) throw new Error('the model runs other hooks');
    hook.end(ending);
    modelEnds(modelled, ending);
  }
  const final = await walking;
  const outcomes = Array.from({ length: scenario.count }, (_, at) => final.outcome(at));
  for (const [at, outcome] of outcomes.entries()) {
    const short =
      outcome.state === 'failed' ? { state: outcome.state, phase: outcome.failure.phase } : outcome;
    expect(short).toEqual(model.outcome(at));
  }
  expect(final.failures.map(({ phase, positions }) => ({ phase, positions }))).toEqual(
    model.failures.map(({ phase, members }) => ({ phase: `phase-${phase}`, positions: members })),
  );
  return { events, outcomes, result: final };
}

function phaseFor(
  { name, order, ends, groups, takes, concurrency }: PhasePlan,
  run: (unit: number, call: CallOptions, members: readonly number[]) => Promise<void> | void,
): WalkPhase {
  const options = {
    name,
    ...(ends === null ? {} : { ends: `phase-${ends}` }),
    ...(concurrency === Number.POSITIVE_INFINITY ? {} : { concurrency }),
  };
  if (groups !== null) return { ...options, groups, run };
  return {
    ...options,
    order,
    ...(ends === null ? { takesPart: (position: number) => takes[position] ?? false } : {}),
    run: (position, call) => run(position, call, [position]),
  };
}

function reactionTo({ onAbort }: HookPlan): readonly [Ending | null, Error?] {
  switch (onAbort) {
    case 'ignore':
      return [null];
    case 'give up':
      return ['stopped', REASON];
    case 'give up, wrapped':
      return ['stopped', new Error('given up', { cause: new Error('aborted', { cause: REASON }) })];
    case 'fail':
      return ['failure', new Error('broken by the abort')];
  }
}

function phaseOf({ phases }: Scenario, index: number): PhasePlan {
  const phase = phases[index];
  if (phase === undefined) throw new Error('no such phase');
  return phase;
}

function planOf(scenario: Scenario, phase: number, unit: number): HookPlan {
  const plan = phaseOf(scenario, phase).hooks[unit];
  if (plan === undefined) throw new Error('no such hook');
  return plan;
}
