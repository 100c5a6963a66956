import { type Checkpoint, listCheckpoints, type OpenCheckpoint } from '../archive/catalog.ts';
import type { CheckpointId, PlanId, TenantId } from '../contracts/index.ts';
import type { ResourceGraph } from '../graph/resource-graph.ts';
import { parseCheckpointId, parsePlanId } from '../identity.ts';
import { openGraph } from '../operations/open-graph.ts';
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
    for (const vault of this.#services.operations.vaults(this.#tenant)) {
      yield* listCheckpoints(vault, filter, callOf(options));
    }
  }

  /** A checkpoint with its artifacts; `NOT_FOUND` where no bank has it, `CORRUPT` where it is damaged. */
  async get(id: CheckpointId, options?: Cancellable): Promise<OpenCheckpoint> {
    const { operations } = this.#services;
    const { vault: _, ...opened } = await operations.checkpoint(
      this.#tenant,
      parseCheckpointId(id),
      callOf(options),
    );
    return opened;
  }

  /**
   * The application as it was when the checkpoint was made; `NOT_FOUND` where no bank has the checkpoint or the graph
   * is gone, `CORRUPT` where it is damaged.
   */
  async graph(id: CheckpointId, options?: Cancellable): Promise<ResourceGraph> {
    const call = callOf(options);
    const { operations } = this.#services;
    const { vault, commit } = await operations.checkpoint(this.#tenant, parseCheckpointId(id), call);
    return openGraph(vault, commit.id, commit.graph, call);
  }
}
