import * as z from 'zod';
import type { AnchoredHead } from '../archive/checkpoint.ts';
import { systemClock } from '../clock.ts';
import type {
  AuditRecord,
  Clock,
  JobStore,
  Notifier,
  Observer,
  Provider,
  UsageFilter,
  UsageRecord,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { EngineEvent, EventOf } from '../events.ts';
import { type IdSource, parseTenantId, randomIds } from '../identity.ts';
import { Deliveries } from '../jobs/deliveries.ts';
import { JobRunner } from '../jobs/runner.ts';
import { Scheduler } from '../jobs/scheduler.ts';
import { diagnosticsObserver } from '../observer.ts';
import { Archive } from '../operations/archive.ts';
import { ArchiveVolume } from '../operations/archive-volume.ts';
import { type ArchiveOptions, archiveOptionsSchema, Archiving } from '../operations/archiving.ts';
import { type CallLimits, callLimitsSchema } from '../operations/limited-provider.ts';
import { Collect } from '../operations/collect.ts';
import { Hold } from '../operations/hold.ts';
import { Protect } from '../operations/protect.ts';
import { Remove } from '../operations/remove.ts';
import { Retain } from '../operations/retain.ts';
import { Restore } from '../operations/restore.ts';
import type { Reconciliation } from '../operations/reconcile.ts';
import { OperationServices } from '../operations/services.ts';
import { placeOfJob, type SharedLimits, sharedLimitsSchema } from '../operations/shared-limits.ts';
import { Verify } from '../operations/verify.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { quotasFrom, type QuotaSource } from '../policy/quota.ts';
import type { StepPolicies } from '../policy/step-policy.ts';
import { Announcer } from './announcer.ts';
import {
  actorSchema,
  entryOf,
  type OperatorAuditFilter,
  type OperatorCall,
  parseChain,
  parseOperator,
  parseOperatorFilter,
} from './auditing.ts';
import { Notifications, notifiersSchema } from './notifications.ts';
import { notifyingStore } from './notifying-store.ts';
import { type ReconciledJob, reconcileJobs } from './reconcile.ts';
import { type ReconcileOptions, reconcileArrays } from './reconcile-arrays.ts';
import { scheduledJob } from './scheduled-job.ts';
import { OperatorSchedules } from './schedules.ts';
import { Session } from './session.ts';
import { type Cancellable, callOf } from './session-services.ts';
import { TemplateCatalog } from './template-catalog.ts';
import { parseTemplate, type TemplateRequest } from './template-options.ts';
import { parseUsageFilter } from './usage-filter.ts';

/** What an engine is made of. */
export interface EngineOptions {
  /** Where jobs and plans live. The engine closes it. */
  readonly store: JobStore;
  /** What tenants can pick; names are unique, and so are the names of their banks. A bank has one key provider. */
  readonly providers: readonly Provider[];
  /** False for a process that only asks for jobs and leaves running them to others. Default true. */
  readonly worker?: boolean;
  /** False for a worker that leaves the ticks of schedules to others. Default: as `worker`. */
  readonly schedules?: boolean;
  /** What tenants can ask for by name, the same in all engines of a store. Default: what they write themselves. */
  readonly templates?: readonly TemplateRequest[];
  /**
   * Who is told what the audit records, such as a webhook; their names are unique. All engines on a store are given the same,
   * for each names those who are to hear of what it records. Workers deliver. Default: nobody.
   */
  readonly notifiers?: readonly Notifier[];
  /** How long a job stays with a worker that gives no sign of life, in milliseconds. Default 30,000. */
  readonly leaseMilliseconds?: number;
  /** How many calls to plugins are under way at once in this process; arrays' own limits always hold. Default: any. */
  readonly limits?: CallLimits;
  /** How much is under way at once over all engines on the store, which should all be given the same. Default: any. */
  readonly sharedLimits?: SharedLimits;
  /**
   * What each tenant may have, as it is at the moment: asked whenever something is to be added, and by all processes on the
   * store alike. What is there already stays. Default: any.
   */
  readonly quota?: QuotaSource;
  /** What archives may cost, and how they are cut. Default: see there. */
  readonly archive?: ArchiveOptions;
  /** How often and how long kinds of steps are tried, where that differs from the usual. */
  readonly stepPolicies?: StepPolicies;
  /** Where logs and metrics go. Default: `node:diagnostics_channel`. */
  readonly observer?: Observer;
  /** The time. Default: the machine's. */
  readonly clock?: Clock;
  /** Makes ids. Default: time and chance. */
  readonly ids?: IdSource;
  /** Chance, from 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** Protects, restores, verifies and removes, for every tenant of a host. */
export interface Engine extends AsyncDisposable {
  /** The engine as one actor of one tenant sees it; `INVALID_ID` where the tenant cannot be one. */
  for(identity: { readonly tenant: string; readonly actor: string }): Session;
  /** Pauses the schedules of sites and plans, of every tenant. */
  readonly schedules: OperatorSchedules;
  /** What notifiers have not heard yet, of every tenant. */
  readonly notifications: Notifications;
  /** Tells a listener of every event of a type; what is returned ends it. */
  on<Type extends EngineEvent['type']>(type: Type, listener: (event: EventOf<Type>) => void): () => void;
  /**
   * Compares the arrays of a provider with the open jobs and the checkpoints of all tenants, removes snapshots that are
   * provably ours and that nobody needs, and tells what else does not fit. To be called from time to time; safe beside
   * running jobs, also of other processes on this store. `NOT_FOUND`, before anything is removed, where an installation
   * is to be adopted that the provider's bank has no record of.
   */
  reconcile(options: ReconcileOptions): Promise<Reconciliation>;
  /**
   * Removes what jobs of all tenants left behind that have ended; see `Session.reconcile`. To be called from time to
   * time, and safe beside running jobs.
   */
  reconcile(options?: Cancellable & OperatorCall): Promise<readonly ReconciledJob[]>;
  /** What was done for a tenant, or by the operators for all of them; see `Session.audit`. For the host alone. */
  audit(filter: OperatorAuditFilter): AsyncIterable<AuditRecord>;
  /** The end of a chain as it is now; see `Session.auditHead`. */
  auditHead(of: Pick<OperatorAuditFilter, 'tenant'>): Promise<AnchoredHead>;
  /** What jobs of all tenants used, tenant by tenant; see `Session.usage`. For the host alone. */
  usage(filter?: UsageFilter): AsyncIterable<UsageRecord>;
  /**
   * Ends the engine and its store. With `drain`, running jobs end first; without, they are put down where they are
   * and go on when an engine with this store starts again. Leaving an `await using` block closes without draining.
   */
  close(options?: { readonly drain?: boolean }): Promise<void>;
}

const milliseconds = z.int().nonnegative().exactOptional();
const stepPolicySchema = strictOptions({
  attempts: z.int().min(1).exactOptional(),
  firstPauseMilliseconds: milliseconds,
  longestPauseMilliseconds: milliseconds,
  timeoutMilliseconds: milliseconds,
});
const engineSchema = strictOptions({
  store: z.custom<JobStore>(isPlugin, 'must be a job store of contract version 1'),
  providers: z.array(z.custom<Provider>(isProvider, 'must come from defineProvider')).min(1),
  worker: z.boolean().exactOptional(),
  schedules: z.boolean().exactOptional(),
  templates: z.array(z.custom<TemplateRequest>()).exactOptional(),
  notifiers: notifiersSchema.exactOptional(),
  leaseMilliseconds: z.int().min(1_000).exactOptional(),
  limits: callLimitsSchema.exactOptional(),
  sharedLimits: sharedLimitsSchema.exactOptional(),
  quota: z.custom<QuotaSource>((value) => typeof value === 'function', 'must be a function').exactOptional(),
  archive: archiveOptionsSchema.exactOptional(),
  stepPolicies: z.record(z.string(), stepPolicySchema).exactOptional(),
  observer: z.custom<Observer>((value) => hasMethod(value, 'publish'), 'must have publish').exactOptional(),
  clock: z.custom<Clock>((value) => hasMethod(value, 'now'), 'must be a clock').exactOptional(),
  ids: z.custom<IdSource>((value) => typeof value === 'function', 'must be a function').exactOptional(),
  random: z
    .custom<() => number>((value) => typeof value === 'function', 'must be a function')
    .exactOptional(),
}) satisfies z.ZodType<EngineOptions>;

const identitySchema = strictOptions({ tenant: z.string(), actor: actorSchema });

/** Starts an engine: opens the store, and takes up jobs that another worker left. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const {
    store: given,
    providers,
    notifiers = [],
    ...rest
  } = parseOptions('createEngine', engineSchema, options);
  const store = notifyingStore(given, notifiers);
  const { worker = true, leaseMilliseconds = 30_000, clock = systemClock, ids = randomIds } = rest;
  const archiving = new Archiving(rest.archive ?? {});
  const quotaOf = quotasFrom(rest.quota);
  const { sharedLimits = {} } = rest;
  const written = rest.templates?.map((one) => parseTemplate('createEngine: templates', one)) ?? [];
  const templates = new TemplateCatalog(
    store,
    unique('templates', written, ({ name }) => name),
  );
  const announcer = new Announcer(rest.observer ?? diagnosticsObserver());
  const services = new OperationServices({
    providers: unique('providers', providers, ({ name }) => name),
    banks: banksOf(providers),
    findPlan: (tenant, id) => store.plans.get(tenant, id),
    jobs: store,
    limits: rest.limits ?? {},
    sharedLimits,
    clock,
    archiving,
    installation: await store.installation(),
  });
  const operations = [
    new Archive(services),
    new ArchiveVolume(services),
    new Collect(services),
    new Protect(services, 'protect'),
    new Protect(services, 'adopt'),
    new Restore(services),
    new Verify(services),
    new Remove(services),
    new Retain(services),
    new Hold(services),
  ];
  const runner = new JobRunner({
    store,
    operations: new Map(operations.map((operation) => [operation.name, operation])),
    clock,
    random: rest.random ?? Math.random,
    policies: rest.stepPolicies ?? {},
    leaseMilliseconds,
    worker,
    partsAtOnce: archiving.volumes,
    placesOf: (job) => placeOfJob(sharedLimits, job),
    quotaOf,
    emit: (event) => announcer.emit(event),
  });
  await runner.start();
  const scheduler = new Scheduler({
    store,
    clock,
    jobOf: (schedule, tick) => scheduledJob({ operations: services, templates }, schedule, tick),
    cancel: (tenant, job, audit) => runner.cancel(tenant, job, audit),
    take: (job) => runner.take(job),
    quotaOf,
    emit: (event) => announcer.emit(event),
  });
  if (rest.schedules ?? worker) scheduler.start();
  const deliveries = new Deliveries({
    store,
    notifiers,
    clock,
    random: rest.random ?? Math.random,
    emit: (event) => announcer.emit(event),
  });
  if (worker) deliveries.start();

  function reconcile(asked: ReconcileOptions): Promise<Reconciliation>;
  function reconcile(asked?: Cancellable & OperatorCall): Promise<readonly ReconciledJob[]>;
  async function reconcile(
    asked: ReconcileOptions | (Cancellable & OperatorCall) = {},
  ): Promise<Reconciliation | readonly ReconciledJob[]> {
    runner.assertOpen();
    if ('provider' in asked) return reconcileArrays(services, store, asked);
    const { signal: _, ...by } = asked;
    const entry = entryOf({ clock }, parseOperator('reconcile', by), 'reconcile.started', {});
    await store.audit.append(null, entry);
    const found: ReconciledJob[] = [];
    for await (const tenant of store.tenants()) {
      found.push(...(await reconcileJobs({ store, runner }, tenant, callOf(asked))));
    }
    return found;
  }

  async function* usage(filter: UsageFilter = {}): AsyncGenerator<UsageRecord> {
    runner.assertOpen();
    const parsed = parseUsageFilter(filter);
    for await (const tenant of store.tenants()) yield* store.usage(tenant, parsed);
  }

  const close = async ({ drain = false }: { readonly drain?: boolean } = {}): Promise<void> => {
    await scheduler.close();
    await runner.close({ drain });
    await deliveries.close();
    await archiving.threads.close();
    await store.close();
  };
  return {
    for(identity) {
      const { tenant, actor } = parseOptions('engine.for', identitySchema, identity);
      const shared = {
        store,
        operations: services,
        templates,
        runner,
        scheduler,
        announcer,
        quotaOf,
        clock,
        ids,
      };
      return new Session(shared, parseTenantId(tenant), actor);
    },
    schedules: new OperatorSchedules({ store, clock, scheduler }),
    notifications: new Notifications(store, clock),
    on: (type, listener) => announcer.on(type, listener),
    reconcile,
    audit: (asked) => store.audit.list(...parseOperatorFilter(asked)),
    auditHead: async ({ tenant }) => services.auditHead(parseChain(tenant)),
    usage,
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

function banksOf(providers: readonly Provider[]): OperationServices['banks'] {
  const banks = new Map(providers.map((provider) => [provider.bank, provider]));
  for (const { name, bank, keys } of providers) {
    const other = banks.get(bank);
    if (other === undefined || other.keys === keys) continue;
    throw new FafnirError(
      'INVALID_OPTIONS',
      `createEngine: providers ${name} and ${other.name} share bank ${bank.name} but not its keys: what one wrote the other could not read`,
    );
  }
  return unique('banks', [...banks.values()], ({ bank }) => bank.name);
}

function unique<Named>(
  what: string,
  list: readonly Named[],
  nameOf: (named: Named) => string,
): ReadonlyMap<string, Named> {
  const named = new Map(list.map((one) => [nameOf(one), one]));
  if (named.size < list.length)
    throw new FafnirError('DUPLICATE_NAME', `two ${what} of the engine have one name`);
  return named;
}

function isPlugin(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'contract' in value && value.contract === 1;
}

function isProvider(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'protectables' in value && 'keys' in value;
}

function hasMethod(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function';
}
