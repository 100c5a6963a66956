import type { Provider, Quiescing, Resource, ResourceKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { joinParts, splitParts } from '../identity.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { protectableFor } from './services.ts';
import { effectToken } from './tokens.ts';

const QUIESCE = 'quiesce';

/** A pause that this worker began and has not ended. */
interface Pause {
  readonly deadline: number;
  /** By the monotonic clock. */
  readonly askedAt: number;
  /** Whether the application said that it is paused. */
  isOn: boolean;
  /** Whether it was still on when the snapshots were there that it is for. */
  kept: boolean;
}

/** What is known of a pause once it is over. */
type PauseRecord = {
  /** No longer than that. */
  readonly milliseconds: number;
  /** Whether it lasted until the snapshots were there. */
  readonly kept: boolean;
  /** Whether its end is known; otherwise the deadline ends it. */
  readonly ended: boolean;
};

/**
 * The pauses of a job. Each ends when the job ends it, also when the job fails; when this process dies it ends at its
 * deadline. A worker that finds the pause of a dead one ends it, and goes on without.
 */
export class Pauses {
  readonly #context: OperationContext;
  readonly #provider: Provider;
  readonly #longest: number;
  readonly #ofEarlierWorkers: ReadonlySet<string>;
  readonly #running = new Map<string, Pause>();

  /** A pause lasts `longest` milliseconds at most. */
  constructor(context: OperationContext, provider: Provider, longest: number) {
    this.#context = context;
    this.#provider = provider;
    this.#longest = longest;
    this.#ofEarlierWorkers = new Set(context.intents().filter(isQuiesce));
  }

  /** Pauses what the resource runs, unless an earlier worker of the job has. */
  async begin(owner: Resource): Promise<void> {
    const name = describeKey(owner);
    if (recordOf(this.#context, name) !== undefined) return;
    const step = joinParts(QUIESCE, owner.type, owner.id);
    if (this.#ofEarlierWorkers.has(step)) {
      await release(this.#context, this.#provider, step);
      // How long it lasted nobody knows any more; no longer than it was allowed to.
      await this.#keep(name, { milliseconds: this.#longest, kept: false, ended: true });
      return;
    }
    const { clock, job } = this.#context;
    // Durable with the intent. One of a worker that died between the two says nothing of this pause.
    const deadline = await this.#context.step(
      joinParts('deadline', String(job.epoch), owner.type, owner.id),
      async () => clock.now() + this.#longest,
    );
    const pause: Pause = { deadline, askedAt: clock.monotonic(), isOn: false, kept: false };
    this.#running.set(name, pause);
    const token = effectToken(job, step);
    await this.#context.effect(step, (call) =>
      quiescingOf(this.#provider, owner).quiesce(owner, { token, deadline }, call),
    );
    pause.isOn = true;
  }

  /** Whether all owners are paused until now, when the snapshots are there that it is for. */
  snapshotsTaken(owners: readonly Resource[]): boolean {
    const now = this.#context.clock.now();
    const kept = owners.map((owner) => {
      const name = describeKey(owner);
      const pause = this.#running.get(name);
      if (pause === undefined) return recordOf(this.#context, name)?.kept ?? false;
      pause.kept = pause.isOn && now < pause.deadline;
      return pause.kept;
    });
    return kept.length > 0 && kept.every(Boolean);
  }

  /** Ends the pause of the owner, if this worker asked for it, whatever becomes of the job. */
  async end(owner: Resource): Promise<void> {
    const name = describeKey(owner);
    const pause = this.#running.get(name);
    if (pause === undefined) return;
    this.#running.delete(name);
    let ended = false;
    try {
      await release(this.#context, this.#provider, joinParts(QUIESCE, owner.type, owner.id));
      ended = true;
    } finally {
      const length = Math.ceil(this.#context.clock.monotonic() - pause.askedAt);
      const milliseconds = ended ? length : this.#longest;
      const isKnown = pause.isOn && !this.#context.signal.aborted;
      if (isKnown) await this.#keep(name, { milliseconds, kept: pause.kept, ended });
    }
  }

  /** How long the longest pause of the owners lasted, in milliseconds, once it is over; null where there was none. */
  longest(owners: readonly Resource[]): number | null {
    const lengths = owners.flatMap(
      (owner) => recordOf(this.#context, describeKey(owner))?.milliseconds ?? [],
    );
    return lengths.length === 0 ? null : Math.max(...lengths);
  }

  async #keep(name: string, record: PauseRecord): Promise<void> {
    await this.#context.step(`pause/${name}`, async () => record);
  }
}

/** The steps that began pauses whose end is not known. */
export const unendedPauses = (context: OperationContext): readonly string[] =>
  context.intents().filter((intent) => {
    const [kind, type = '', id = ''] = splitParts(intent);
    return kind === QUIESCE && recordOf(context, describeKey({ type, id }))?.ended !== true;
  });

/** Ends the pause that a step of the job began, or may have. */
export async function releasePause(
  context: OperationContext,
  provider: Provider,
  step: string,
): Promise<void> {
  await context.effect(`undo/${step}`, async () => {
    await release(context, provider, step);
    return null;
  });
}

async function release(context: OperationContext, provider: Provider, step: string): Promise<void> {
  const [, type = ''] = splitParts(step);
  const token = effectToken(context.job, step);
  await context.ensure('unquiesce', (call) => quiescingOf(provider, { type }).unquiesce(token, call));
}

const recordOf = (context: OperationContext, name: string): PauseRecord | undefined =>
  context.result(`pause/${name}`) as PauseRecord | undefined;

const isQuiesce = (intent: string): boolean => intent.startsWith(`${QUIESCE}/`);

function quiescingOf(provider: Provider, owner: Pick<ResourceKey, 'type'>): Quiescing {
  const { quiescing, type } = protectableFor(provider, owner);
  if (quiescing === undefined) throw new FafnirError('UNSUPPORTED', `${type} can no longer be paused`);
  return quiescing;
}
