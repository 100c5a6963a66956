import type { Consistency } from '../archive/artifacts.ts';
import type { Pause, Provider, Quiescing, Resource, ResourceKey, SnapshotCopy } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { joinParts, splitParts } from '../identity.ts';
import { mapSettled } from '../map-settled.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { ArrayCopies } from './array-copies.ts';
import type { ConsistencyGroup, SnapshotCall, VolumeDecision } from './protect-plan.ts';
import { protectableFor } from './services.ts';
import { effectName, effectToken } from './tokens.ts';

/** A snapshot that was taken. */
export interface TakenSnapshot {
  /** The array copy. */
  readonly copy: SnapshotCopy;
  /** What was achieved. */
  readonly consistency: Consistency;
  /** How long the application was paused; null where it was not. */
  readonly pauseMilliseconds: number | null;
}

/** What is known of a pause once it is over. */
type PauseRecord = { readonly milliseconds: number; readonly kept: boolean };

/** Takes the snapshots of all groups, side by side: no group waits for another. */
export async function takeSnapshots(
  context: OperationContext,
  provider: Provider,
  groups: readonly ConsistencyGroup[],
  pauseMilliseconds: number,
): Promise<ReadonlyMap<VolumeDecision, TakenSnapshot>> {
  const taken = new Map<VolumeDecision, TakenSnapshot>();
  // A group calls each array once, so this keeps every array within what it takes at once.
  const limits = groups.flatMap(({ calls }) => calls.map(({ concurrency }) => concurrency));
  // Settled, so that no pause is still to be ended when this one gives up.
  await mapSettled(
    groups,
    async ({ pausable, calls }) => {
      const copies = new Map<VolumeDecision, SnapshotCopy>();
      const pause = await whilePaused(context, provider, pausable, pauseMilliseconds, async () => {
        await Promise.all(calls.map((one) => takeCall(context, provider, one, copies)));
      });
      for (const { members, consistency } of calls) {
        for (const member of members) {
          const copy = copies.get(member);
          if (copy === undefined) continue;
          taken.set(member, {
            copy,
            consistency: pause?.kept ? 'application' : consistency,
            pauseMilliseconds: pause?.milliseconds ?? null,
          });
        }
      }
    },
    { concurrency: Math.max(1, Math.min(...limits)), signal: context.signal },
  );
  return taken;
}

/** Ends every pause that the job may have begun and not ended. */
export async function releasePauses(context: OperationContext, provider: Provider): Promise<void> {
  for (const intent of context.intents()) {
    if (!intent.startsWith('quiesce/')) continue;
    const [, type = ''] = splitParts(intent);
    await context.effect(`undo/${intent}`, async (call) => {
      await quiescingOf(provider, { type, id: '' }).unquiesce(effectToken(context.job, intent), call);
      return null;
    });
  }
}

async function takeCall(
  context: OperationContext,
  provider: Provider,
  { array, members }: SnapshotCall,
  copies: Map<VolumeDecision, SnapshotCopy>,
): Promise<void> {
  const [first] = members;
  if (first === undefined) return;
  const step = joinParts('snapshot', array, first.resource.type, first.resource.id);
  const sources = members.map(({ volume }) => ({ volume }));
  const made = await context.effect(
    step,
    (call) => {
      const silent = { ...call, progress: (): undefined => undefined };
      return new ArrayCopies(provider).create(sources, effectName(context.job, step), silent);
    },
    sources,
  );
  for (const [at, copy] of made.entries()) {
    const member = members[at];
    if (member !== undefined) copies.set(member, copy);
  }
}

/**
 * Runs `work` while the owners are paused. The pause ends with the work, also when that fails; when this process dies
 * it ends at its deadline. A worker that finds the pause of a dead one ends it, and goes on without.
 */
async function whilePaused(
  context: OperationContext,
  provider: Provider,
  [owner, ...others]: readonly Resource[],
  pauseMilliseconds: number,
  work: () => Promise<void>,
): Promise<PauseRecord | undefined> {
  if (owner === undefined) {
    await work();
    return undefined;
  }
  const name = describeKey(owner);
  const step = `quiesce/${name}`;
  const quiescing = quiescingOf(provider, owner);
  const token = effectToken(context.job, step);
  let record = context.result(`pause/${name}`) as PauseRecord | undefined;
  const begun = record === undefined && context.intents().includes(step);
  if (begun) {
    // How long it lasted nobody knows any more; no longer than it was allowed to.
    await quiescing.unquiesce(token, { signal: context.signal });
    record = await context.step(`pause/${name}`, async () => ({
      milliseconds: pauseMilliseconds,
      kept: false,
    }));
  }
  if (record !== undefined) {
    await whilePaused(context, provider, others, pauseMilliseconds, work);
    return record;
  }
  const deadline = await context.step(
    `deadline/${name}`,
    async () => context.clock.now() + pauseMilliseconds,
  );
  const paused = await pauseFor(context, quiescing, owner, { token, deadline }, step, async () => {
    const inner = await whilePaused(context, provider, others, pauseMilliseconds, work);
    return inner?.kept ?? true;
  });
  return context.step(`pause/${name}`, async () => paused);
}

async function pauseFor(
  context: OperationContext,
  quiescing: Quiescing,
  owner: ResourceKey,
  pause: Pause,
  step: string,
  work: () => Promise<boolean>,
): Promise<PauseRecord> {
  const began = context.clock.monotonic();
  let kept = false;
  try {
    await context.effect(step, (call) => quiescing.quiesce(owner, pause, call), pause);
    kept = (await work()) && context.clock.now() < pause.deadline;
  } finally {
    // Not the job's signal: a cancelled job ends the pause all the same. If this fails, the deadline ends it.
    await quiescing.unquiesce(pause.token, { signal: new AbortController().signal });
  }
  return { milliseconds: Math.ceil(context.clock.monotonic() - began), kept };
}

function quiescingOf(provider: Provider, owner: ResourceKey): Quiescing {
  const { quiescing, type } = protectableFor(provider, owner);
  if (quiescing === undefined) throw new FafnirError('UNSUPPORTED', `${type} can no longer be paused`);
  return quiescing;
}
