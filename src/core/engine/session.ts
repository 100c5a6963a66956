import type { AnchoredHead } from '../archive/checkpoint.ts';
import { graphDigest } from '../archive/stored-graph.ts';
import type {
  AuditFilter,
  AuditRecord,
  CheckpointId,
  JobId,
  PlanId,
  PlanRecord,
  Resource,
  TenantId,
  UsageFilter,
  UsageRecord,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeDifference, difference, isEmptyDifference } from '../graph/difference.ts';
import { parseCheckpointId, parseJobId, parsePlanId } from '../identity.ts';
import { parseOptions } from '../options.ts';
import { policyFor } from '../policy/cascade.ts';
import { parsePolicyWish } from '../policy/policy-schema.ts';
import { parseRetention, retentionOf } from '../policy/retention-schema.ts';
import { type QuotaStanding, standingOf } from '../policy/quota.ts';
import { policyAsPreviewed } from '../policy/previewed-policy.ts';
import { discoverPlan } from '../operations/discover-plan.ts';
import { parsePreviewedGraph } from '../operations/previewed-graph.ts';
import type { AdoptPreview } from '../operations/adopt-preview.ts';
import { type AdoptableSnapshot, type Adoption, adoptableSnapshots } from '../operations/adoption.ts';
import type { ArchiveResult } from '../operations/archive.ts';
import type { CollectResult } from '../operations/collect.ts';
import type { HoldResult } from '../operations/hold.ts';
import type { CopiesPreview, Preview, ProtectPreview } from '../operations/previews.ts';
import type { ProtectInput, ProtectResult } from '../operations/protect-commit.ts';
import type { RemoveResult } from '../operations/remove.ts';
import type { RestoreResult } from '../operations/restore-input.ts';
import type { RestorePreview } from '../operations/restore-preview.ts';
import type { RetainResult } from '../operations/retain.ts';
import { type RetainPreview, removalsOf } from '../operations/retain-preview.ts';
import { protectableFor } from '../operations/services.ts';
import type { VerifyResult } from '../operations/verify.ts';
import { parseAdoption, parseAdoptionRequest } from './adopt-options.ts';
import { entryOf, parseAuditFilter, parseReasoned, type Reasoned } from './auditing.ts';
import { Checkpoints } from './checkpoints.ts';
import type { Job } from './job.ts';
import { Jobs } from './jobs.ts';
import { Plans } from './plans.ts';
import { Previews } from './previews.ts';
import { Schedules } from './schedules.ts';
import { type ReconciledJob, reconcileJobs } from './reconcile.ts';
import { mayOverwrite, parseRestoreOptions, type RestoreOptions } from './restore-options.ts';
import {
  archiveSchema,
  collectSchema,
  holdSchema,
  pauseSchema,
  runProtectSchema,
  type AdoptOptions,
  type ArchiveCheckpointOptions,
  type CollectOptions,
  type HoldOptions,
  type ProtectOptions,
  type RetainOptions,
  type RunAdoptOptions,
  type RunProtectOptions,
  type VerifyOptions,
  verifySchema,
} from './session-options.ts';
import { type Cancellable, callOf, type SessionServices } from './session-services.ts';
import { type JobOptions, type OperationName, type OperationTypes, submit } from './submit.ts';
import { Templates } from './templates.ts';
import { parseUsageFilter } from './usage-filter.ts';

/** The engine as one actor of one tenant sees it. It reaches nothing of any other tenant. */
export class Session {
  /** Whose data it is. */
  readonly tenant: TenantId;
  /** Who acts; recorded with all that is done. */
  readonly actor: string;
  /** What is protected. */
  readonly plans: Plans;
  /** When it is protected. */
  readonly schedules: Schedules;
  /** Work that is asked for again by name. */
  readonly templates: Templates;
  /** What was made. */
  readonly checkpoints: Checkpoints;
  /** What runs and ran. */
  readonly jobs: Jobs;
  /** What operations would do. */
  readonly preview: Previews;
  readonly #services: SessionServices;

  /** Made by `Engine.for`. */
  constructor(services: SessionServices, tenant: TenantId, actor: string) {
    this.#services = services;
    this.tenant = tenant;
    this.actor = actor;
    this.plans = new Plans(services, tenant, actor);
    this.schedules = new Schedules(services, tenant, actor);
    this.templates = new Templates(services, this);
    this.checkpoints = new Checkpoints(services, tenant);
    this.jobs = new Jobs(services, tenant, actor);
    this.preview = new Previews(services, tenant);
  }

  /** The resources of a type that a provider sees: what a plan can begin with. */
  resources(provider: string, type: string, options?: Cancellable): AsyncIterable<Resource> {
    return protectableFor(this.#services.operations.provider(provider, this.tenant), { type }).list(
      callOf(options),
    );
  }

  /**
   * Makes a checkpoint. The job runs on when the caller goes; an abort of `signal` cancels it. `REFUSED_BY_POLICY` where
   * the provider or the tenant does not allow what the plan or `policy` asks for; `UNSUPPORTED` where that is a lock and the
   * provider's bank has none.
   */
  async protect(
    id: PlanId,
    { policy: asked = {}, ...options }: ProtectOptions = {},
  ): Promise<Job<ProtectResult>> {
    const call = parsePolicyWish('protect: policy', asked);
    const plan = await this.#plan(id);
    const provider = this.#services.operations.provider(plan.provider, this.tenant);
    const policy = policyFor(provider, this.tenant, { plan: plan.policy, call });
    return this.#protect({ plan, graph: null, policy }, options);
  }

  /**
   * The snapshots that arrays have of a plan's volumes, that others made and that no checkpoint has adopted: array by array in
   * ascending order of name. Whole arrays are listed.
   */
  async *snapshots(id: PlanId, options?: Cancellable): AsyncGenerator<AdoptableSnapshot> {
    yield* adoptableSnapshots(this.#services.operations, await this.#plan(id), callOf(options));
  }

  /**
   * Makes a checkpoint of snapshots that others made of a plan's volumes: from then on it is as any other. The application
   * is captured as it is now, for nobody knows what it was like then; the checkpoint says so by `adopted`. The job fails with
   * `NO_SNAPSHOT` where a volume has none, or goes on without it where the plan says so; see `docs/snapshots.md`.
   */
  async adopt(id: PlanId, { signal, whenBusy, reason, ...asked }: AdoptOptions): Promise<Job<ProtectResult>> {
    const { adopted, policy: call } = parseAdoptionRequest('adopt', asked);
    const plan = await this.#plan(id);
    const provider = this.#services.operations.provider(plan.provider, this.tenant);
    const policy = policyFor(provider, this.tenant, { plan: plan.policy, call });
    return this.#protect({ plan, graph: null, policy, adopted }, given({ signal, whenBusy, reason }));
  }

  /**
   * Makes the application of a checkpoint again, beside whatever is there; or, `into: 'existing'`, writes the bytes of its
   * volumes over volumes that exist, which nobody must use meanwhile.
   */
  async restore(
    checkpoint: CheckpointId,
    { signal, whenBusy, reason, ...asked }: RestoreOptions & JobOptions,
  ): Promise<Job<RestoreResult>> {
    const input = { checkpoint: parseCheckpointId(checkpoint), ...parseRestoreOptions(asked) };
    return this.#submit('restore', input, given({ signal, whenBusy, reason }));
  }

  /** Reads every copy of a checkpoint and records what that proves. */
  async verify(checkpoint: CheckpointId, options: VerifyOptions = {}): Promise<Job<VerifyResult>> {
    const { level = 'deep', sample = 1, ...rest } = parseOptions('verify', verifySchema, options);
    return this.#submit('verify', { checkpoint: parseCheckpointId(checkpoint), level, sample }, rest);
  }

  /**
   * Archives the snapshots that a checkpoint has on arrays, in the bank of its provider; volumes that have an archive there
   * are passed over. The job fails with `NO_SNAPSHOT` where a volume has neither.
   */
  async archive(
    checkpoint: CheckpointId,
    options: ArchiveCheckpointOptions = {},
  ): Promise<Job<ArchiveResult>> {
    const { removeSnapshots = false, ...rest } = parseOptions('archive', archiveSchema, options);
    return this.#submit('archive', { checkpoint: parseCheckpointId(checkpoint), removeSnapshots }, rest);
  }

  /** Gives a checkpoint up and removes its copies; what other checkpoints share stays. */
  async remove(checkpoint: CheckpointId, options?: JobOptions): Promise<Job<RemoveResult>> {
    return this.#submit('remove', { checkpoint: parseCheckpointId(checkpoint) }, options);
  }

  /**
   * Keeps a checkpoint and all its copies from being removed, whoever asks, until the hold is lifted. The job's id is the
   * hold's. The job fails with `NOT_AVAILABLE` where the checkpoint was removed.
   */
  async hold(checkpoint: CheckpointId, options: HoldOptions): Promise<Job<HoldResult>> {
    const asked = parseOptions('hold', holdSchema, options);
    const { reason } = asked;
    return this.#submit('hold', { checkpoint: parseCheckpointId(checkpoint), lift: null, reason }, asked);
  }

  /** Lifts a hold. The job fails with `NOT_FOUND` where the checkpoint has no such hold. */
  async lift(checkpoint: CheckpointId, hold: JobId, options: HoldOptions): Promise<Job<HoldResult>> {
    const asked = parseOptions('lift', holdSchema, options);
    const { reason } = asked;
    const input = { checkpoint: parseCheckpointId(checkpoint), lift: parseJobId(hold), reason };
    return this.#submit('hold', input, asked);
  }

  /**
   * Removes the checkpoints of a plan, or kinds of their copies, that its retention no longer wants. `INVALID_OPTIONS` where
   * neither the plan nor the call has one.
   */
  async retain(plan: PlanId, { policy: asked, ...options }: RetainOptions = {}): Promise<Job<RetainResult>> {
    const policy = retentionOf('retain', await this.#plan(plan), asked);
    return this.#submit('retain', { plan: parsePlanId(plan), policy, atMost: null }, options);
  }

  /**
   * Gives back the space of what no checkpoint of this tenant needs any more, in the bank of a provider. Waits, by
   * `whenBusy`, until nobody writes archives of this tenant there; jobs that begin to write meanwhile wait for it.
   */
  async collect(options: CollectOptions): Promise<Job<CollectResult>> {
    const { provider, preview = false, ...rest } = parseOptions('collect', collectSchema, options);
    const { bank } = this.#services.operations.provider(provider, this.tenant);
    return this.#submit('collect', { bank: bank.name, preview }, rest);
  }

  /**
   * What jobs of this tenant used, from one instant to another, also those that failed or were cancelled: one record for each
   * that has ended, in the order of their ends. `sumUsage` adds them up.
   */
  usage(filter: UsageFilter = {}): AsyncIterable<UsageRecord> {
    return this.#services.store.usage(this.tenant, parseUsageFilter(filter));
  }

  /** What this tenant has of all that its quota can limit, what its jobs have reserved, and what it may have. */
  async quota(): Promise<QuotaStanding> {
    const { store, quotaOf } = this.#services;
    return standingOf(await store.quotas.holdings(this.tenant), await quotaOf(this.tenant));
  }

  /**
   * Looks for what this tenant's jobs left behind that have ended: a request that was on its way when its worker died
   * or was cut off may have arrived after the job was undone. Removes only what a journaled intent of such a job
   * names and no checkpoint counts on. Resolves with the jobs for which there was something to tell.
   */
  async reconcile(options: Cancellable & Reasoned = {}): Promise<readonly ReconciledJob[]> {
    const { signal: _, ...asked } = options;
    const by = { actor: this.actor, ...parseReasoned('reconcile', asked) };
    this.#services.runner.assertOpen();
    const entry = entryOf(this.#services, by, 'reconcile.started', {});
    await this.#services.store.audit.append(this.tenant, entry);
    return reconcileJobs(this.#services, this.tenant, callOf(options));
  }

  /**
   * What was done in the tenant's name and by whom, in order: what was asked for, and how each job ended that is no part of
   * another. Nothing is ever removed from it; `verifyAudit` tells whether it is as it was written.
   */
  audit(filter: AuditFilter = {}): AsyncIterable<AuditRecord> {
    return this.#services.store.audit.list(this.tenant, parseAuditFilter(filter));
  }

  /**
   * The end of the tenant's audit as it is now: keep it elsewhere, and `verifyAudit` finds what was cut off or written anew.
   * Each checkpoint keeps the one of its commit in the bank.
   */
  async auditHead(): Promise<AnchoredHead> {
    return this.#services.operations.auditHead(this.tenant);
  }

  /** Does just what a preview says, or refuses. */
  run(preview: ProtectPreview, options?: RunProtectOptions): Promise<Job<ProtectResult>>;
  run(preview: AdoptPreview, options?: RunAdoptOptions): Promise<Job<ProtectResult>>;
  run(preview: RestorePreview, options?: JobOptions): Promise<Job<RestoreResult>>;
  run(preview: CopiesPreview<'verify'>, options?: JobOptions): Promise<Job<VerifyResult>>;
  run(preview: CopiesPreview<'remove'>, options?: JobOptions): Promise<Job<RemoveResult>>;
  run(preview: RetainPreview, options?: JobOptions): Promise<Job<RetainResult>>;
  async run(
    preview: Preview,
    options?: RunProtectOptions,
  ): Promise<
    Job<ProtectResult> | Job<RestoreResult> | Job<VerifyResult> | Job<RemoveResult> | Job<RetainResult>
  > {
    switch (preview.operation) {
      case 'protect':
        return this.#runProtect(preview, options);
      case 'adopt': {
        const { ownership, snapshots } = preview;
        const asked = { ownership, snapshots: snapshots.map(({ snapshot }) => snapshot) };
        return this.#runProtect(preview, options, parseAdoption('run', asked));
      }
      case 'restore':
        return this.#runRestore(preview, options);
      case 'verify':
        return this.verify(preview.checkpoint, options);
      case 'remove':
        return this.remove(preview.checkpoint, options);
      case 'retain':
        return this.#runRetain(preview, options);
      default:
        throw unknownPreview(preview);
    }
  }

  // Looks for drift itself, so that the host learns what it is before there is a job. The job looks again.
  async #runProtect(
    { plan: id, graph, policy: shown }: Pick<ProtectPreview, 'plan' | 'graph' | 'policy'>,
    options: RunProtectOptions = {},
    adopted?: Adoption,
  ): Promise<Job<ProtectResult>> {
    const { accept, ...asked } = parseOptions('run', runProtectSchema, options);
    const previewed = parsePreviewedGraph('run: graph', graph);
    const plan = await this.#plan(id);
    const provider = this.#services.operations.provider(plan.provider, this.tenant);
    const policy = policyAsPreviewed('run: policy', shown, (call) =>
      policyFor(provider, this.tenant, { plan: plan.policy, call }),
    );
    const found = await discoverPlan(plan, provider, callOf(asked));
    const drift = difference(previewed, found);
    if (!isEmptyDifference(drift) && (await accept?.(drift)) !== true) {
      throw new FafnirError(
        'DRIFTED',
        `the application of plan ${plan.name} is no longer as previewed: ${describeDifference(drift)}`,
      );
    }
    const what = { plan, graph: graphDigest(found), policy, ...(adopted && { adopted }) };
    return this.#protect(what, asked);
  }

  #runRestore(
    { checkpoint, to, chosen, location, map, into, conflict, safety, onFailure }: RestorePreview,
    options: JobOptions | undefined,
  ): Promise<Job<RestoreResult>> {
    const asked = {
      to,
      map,
      into,
      onFailure,
      ...(chosen && { resources: chosen }),
      ...(location !== null && { location }),
      ...(conflict && { conflict }),
      ...(mayOverwrite({ into, conflict }) && { safety }),
    };
    return this.restore(checkpoint, { ...asked, ...options });
  }

  async #runRetain(
    { plan: id, policy: shown, decisions }: RetainPreview,
    options: JobOptions | undefined,
  ): Promise<Job<RetainResult>> {
    const policy = parseRetention('run: policy', shown);
    const { id: plan } = await this.#plan(id);
    return this.#submit('retain', { plan, policy, atMost: removalsOf(decisions) }, options);
  }

  #plan(id: PlanId): Promise<PlanRecord> {
    return this.#services.operations.plan(this.tenant, parsePlanId(id));
  }

  async #protect(
    asked: Pick<ProtectInput, 'plan' | 'graph' | 'policy' | 'adopted'>,
    { pauseMilliseconds = 10_000, ...options }: Omit<ProtectOptions, 'policy'>,
  ): Promise<Job<ProtectResult>> {
    const pause = parseOptions('protect', pauseSchema, pauseMilliseconds);
    const operation = asked.adopted === undefined ? 'protect' : 'adopt';
    return this.#submit(operation, { ...asked, pauseMilliseconds: pause }, options);
  }

  #submit<Name extends OperationName>(
    operation: Name,
    asked: Omit<OperationTypes[Name]['input'], 'whenBusy'>,
    options: JobOptions = {},
  ): Promise<Job<OperationTypes[Name]['result']>> {
    return submit({ services: this.#services, session: this }, operation, asked, options);
  }
}

// Of options that may be missing, those that are not.
const given = ({
  signal,
  whenBusy,
  reason,
}: {
  readonly [Name in keyof JobOptions]: JobOptions[Name] | undefined;
}): JobOptions => ({
  ...(signal && { signal }),
  ...(whenBusy && { whenBusy }),
  ...(reason !== undefined && { reason }),
});

const unknownPreview = (preview: never): FafnirError =>
  new FafnirError('INVALID_OPTIONS', `run: not a preview: ${JSON.stringify(preview).slice(0, 128)}`);
