import { type Checkpoint, listCheckpoints, type OpenCheckpoint } from '../archive/catalog.ts';
import type { CheckpointId, PlanId, TenantId } from '../contracts/index.ts';
import { parseCheckpointId, parsePlanId } from '../identity.ts';
import { type Cancellable, callOf, type SessionServices } from './session-services.ts';

/** A tenant's checkpoints, read from the banks. */
export class Checkpoints {
  readonly #services: SessionServices;
  readonly #tenant: TenantId;

  /** Made by the session. */
  constructor(services: SessionServices, tenant: TenantId) {
    this.#services = services;
    this.#tenant = tenant;
  }

  /** The checkpoints in every bank of the engine, bank by bank in the order they were made. */
  async *list(options: { readonly plan?: PlanId } & Cancellable = {}): AsyncGenerator<Checkpoint> {
    const filter = options.plan === undefined ? {} : { plan: parsePlanId(options.plan) };
    for (const bank of this.#services.operations.banks.values()) {
      yield* listCheckpoints(bank, this.#tenant, filter, callOf(options));
    }
  }

  /** A checkpoint with its artifacts; `NOT_FOUND` where no bank has it, `CORRUPT` where it is damaged. */
  async get(id: CheckpointId, options?: Cancellable): Promise<OpenCheckpoint> {
    const { operations } = this.#services;
    const { commit, state, artifacts } = await operations.checkpoint(
      this.#tenant,
      parseCheckpointId(id),
      callOf(options),
    );
    return { commit, state, artifacts };
  }
}
