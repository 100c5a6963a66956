import type {
  CheckpointId,
  PlanId,
  RetentionPolicy,
  SnapshotPolicyWish,
  TenantId,
} from '../contracts/index.ts';
import { parseCheckpointId, parsePlanId } from '../identity.ts';
import { type AdoptPreview, previewAdopt } from '../operations/adopt-preview.ts';
import {
  type CopiesPreview,
  type ProtectPreview,
  previewCopies,
  previewProtect,
} from '../operations/previews.ts';
import { previewRestore, type RestorePreview } from '../operations/restore-preview.ts';
import { previewRetain, type RetainPreview } from '../operations/retain-preview.ts';
import { parsePolicyWish } from '../policy/policy-schema.ts';
import { retentionOf } from '../policy/retention-schema.ts';
import { type AdoptionRequest, parseAdoptionRequest } from './adopt-options.ts';
import { parseRestoreOptions, type RestoreOptions } from './restore-options.ts';
import { type Cancellable, callOf, type SessionServices } from './session-services.ts';

/** What the preview of a protect may say. */
export interface PreviewProtectOptions extends Cancellable {
  /** As the call that protects would say it. */
  readonly policy?: SnapshotPolicyWish;
}

/** What a tenant's operations would do. Nothing is changed by asking; the answers are frozen plain data. */
export class Previews {
  readonly #services: SessionServices;
  readonly #tenant: TenantId;

  /** Made by the session. */
  constructor(services: SessionServices, tenant: TenantId) {
    this.#services = services;
    this.#tenant = tenant;
  }

  /** Of protecting a plan. `REFUSED_BY_POLICY` as for `session.protect`. */
  async protect(
    plan: PlanId,
    { policy = {}, ...options }: PreviewProtectOptions = {},
  ): Promise<ProtectPreview> {
    const { operations } = this.#services;
    const input = { plan: parsePlanId(plan), policy: parsePolicyWish('preview.protect: policy', policy) };
    const { graph, ...others } = await previewProtect(operations, this.#tenant, input, callOf(options));
    // The graph is a copy already.
    return deepFrozen({ ...structuredClone(others), graph });
  }

  /** Of adopting snapshots. Rejects as the job would, but for what the plan continues without. */
  async adopt(plan: PlanId, { signal, ...asked }: AdoptionRequest & Cancellable): Promise<AdoptPreview> {
    const { adopted: adoption, policy } = parseAdoptionRequest('preview.adopt', asked);
    const { operations } = this.#services;
    const input = { plan: parsePlanId(plan), adoption, policy };
    const call = callOf(signal && { signal });
    const { graph, ...others } = await previewAdopt(operations, this.#tenant, input, call);
    return deepFrozen({ ...structuredClone(others), graph });
  }

  /** Of restoring a checkpoint. */
  async restore(checkpoint: CheckpointId, options: RestoreOptions & Cancellable): Promise<RestorePreview> {
    const { signal, ...rest } = options;
    const input = { checkpoint: parseCheckpointId(checkpoint), ...parseRestoreOptions(rest) };
    const call = callOf(signal && { signal });
    return frozen(await previewRestore(this.#services.operations, this.#tenant, input, call));
  }

  /** Of verifying a checkpoint: what would be read. */
  verify(checkpoint: CheckpointId, options?: Cancellable): Promise<CopiesPreview<'verify'>> {
    return this.#copies('verify', checkpoint, options);
  }

  /** Of removing a checkpoint: what would be removed. */
  remove(checkpoint: CheckpointId, options?: Cancellable): Promise<CopiesPreview<'remove'>> {
    return this.#copies('remove', checkpoint, options);
  }

  /** Of retaining the checkpoints of a plan: what becomes of each, and why. `INVALID_OPTIONS` as for `session.retain`. */
  async retain(
    plan: PlanId,
    { policy: asked, ...options }: { readonly policy?: RetentionPolicy } & Cancellable = {},
  ): Promise<RetainPreview> {
    const { operations, clock } = this.#services;
    const found = await operations.plan(this.#tenant, parsePlanId(plan));
    const policy = retentionOf('preview.retain', found, asked);
    const input = { tenant: this.#tenant, plan: found.id, policy };
    return frozen(await previewRetain(operations, input, clock.now(), callOf(options)));
  }

  async #copies<Name extends 'verify' | 'remove'>(
    operation: Name,
    checkpoint: CheckpointId,
    options: Cancellable | undefined,
  ): Promise<CopiesPreview<Name>> {
    const { operations } = this.#services;
    const id = parseCheckpointId(checkpoint);
    return frozen(await previewCopies(operations, this.#tenant, operation, id, callOf(options)));
  }
}

// A copy, for some of it may be a plugin's own.
const frozen = <Value extends object>(preview: Value): Value => deepFrozen(structuredClone(preview));

// With a stack of its own: attributes may be nested deep.
function deepFrozen<Value extends object>(value: Value): Value {
  const waiting: object[] = [value];
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    for (const inner of Object.values(Object.freeze(part))) {
      if (typeof inner === 'object' && inner !== null) waiting.push(inner);
    }
  }
  return value;
}
