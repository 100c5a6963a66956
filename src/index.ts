export type {
  Artifact,
  Consistency,
  MissingResource,
  ProtectedVolume,
  StrategyChoice,
} from './core/archive/artifacts.ts';
export type {
  Checkpoint,
  CheckpointHold,
  CheckpointState,
  DamagedCheckpoint,
  ListedCheckpoint,
  OpenCheckpoint,
} from './core/archive/catalog.ts';
export type {
  AdoptedSnapshots,
  AnchoredHead,
  Commit,
  CommittedPlan,
  CopyKey,
} from './core/archive/checkpoint.ts';
export type { CommittedChanges, NamedResource, NotCompared } from './core/archive/stored-changes.ts';
export type { LockedGarbage } from './core/archive/volume/collect.ts';
export type { RecordPointer } from './core/archive/schema-parts.ts';
export type * from './core/contracts/index.ts';
export type { AdoptionRequest } from './core/engine/adopt-options.ts';
export { createEngine, type Engine, type EngineOptions } from './core/engine/create-engine.ts';
export { defineProvider, type ProviderOptions } from './core/engine/define-provider.ts';
export type { OperatorAuditFilter, OperatorCall, Reasoned } from './core/engine/auditing.ts';
export type { Checkpoints } from './core/engine/checkpoints.ts';
export type { Job } from './core/engine/job.ts';
export type { Jobs } from './core/engine/jobs.ts';
export type { NewPlan, Plans } from './core/engine/plans.ts';
export type {
  NotificationName,
  Notifications,
  NotificationsFilter,
} from './core/engine/notifications.ts';
export type { PreviewProtectOptions, Previews } from './core/engine/previews.ts';
export type { OperatorPause, OperatorSchedules, Schedules, TenantPause } from './core/engine/schedules.ts';
export type { ScheduledCall, ScheduleRequest, ScheduleWhen } from './core/engine/schedule-options.ts';
export type { ReconciledJob } from './core/engine/reconcile.ts';
export type { ReconcileOptions } from './core/engine/reconcile-arrays.ts';
export type { RestoreOptions } from './core/engine/restore-options.ts';
export type { Session } from './core/engine/session.ts';
export type {
  AdoptOptions,
  ArchiveCheckpointOptions,
  CollectOptions,
  HoldOptions,
  ProtectOptions,
  RetainOptions,
  RunAdoptOptions,
  RunProtectOptions,
  VerifyOptions,
} from './core/engine/session-options.ts';
export type { ListedTemplate } from './core/engine/template-catalog.ts';
export type { TemplateRequest } from './core/engine/template-options.ts';
export type { TemplateUse } from './core/engine/template-use.ts';
export type {
  RunOnCheckpoint,
  RunOnPlan,
  RunTemplateOptions,
  TemplateResult,
  Templates,
} from './core/engine/templates.ts';
export type { JobOptions } from './core/engine/submit.ts';
export type { WhenBusy } from './core/jobs/operation.ts';
export type { Cancellable } from './core/engine/session-services.ts';
export { ERROR_CODES, type ErrorCode, type ErrorFacts, FafnirError } from './core/errors.ts';
export type * from './core/events.ts';
export { type Closure, closure } from './core/graph/closure.ts';
export {
  type ChangedResource,
  describeDifference,
  difference,
  type GraphDifference,
  isEmptyDifference,
  type KeyedEdge,
} from './core/graph/difference.ts';
export { type EdgeColumns, type GraphGaps, ResourceGraph } from './core/graph/resource-graph.ts';
export {
  type IdSource,
  parseCheckpointId,
  parseJobId,
  parsePlanId,
  parseScheduleId,
  parseTenantId,
} from './core/identity.ts';
export type { Leftover } from './core/jobs/leftovers.ts';
export type { Listed } from './core/listed.ts';
export { diagnosticsObserver } from './core/observer.ts';
export type { AdoptPreview, PreviewedAdoption } from './core/operations/adopt-preview.ts';
export type { ApplicationChanges } from './core/operations/application-changes.ts';
export type { AdoptableSnapshot, SnapshotToAdopt } from './core/operations/adoption.ts';
export type { SnapshotKey } from './core/operations/census.ts';
export type { MissingCopy } from './core/operations/missing-copies.ts';
export type { PreviewedGraph } from './core/operations/previewed-graph.ts';
export type {
  CopiesPreview,
  FailedResource,
  Preview,
  PreviewedResource,
  PreviewedSnapshot,
  PreviewedVolume,
  ProtectPreview,
} from './core/operations/previews.ts';
export type { DistrustedArray } from './core/operations/distrust.ts';
export type { ProtectResult } from './core/operations/protect-commit.ts';
export type { ArchiveResult } from './core/operations/archive.ts';
export type { ArchiveOptions } from './core/operations/archiving.ts';
export type { CollectResult } from './core/operations/collect.ts';
export type { CallLimits } from './core/operations/limited-provider.ts';
export type { SharedLimits } from './core/operations/shared-limits.ts';
export type {
  ForeignSnapshots,
  Reconciliation,
  ReconciledArray,
  ReconciledSnapshots,
  ReconciledStore,
  UndecidedCheckpoint,
  UnremovedSnapshot,
} from './core/operations/reconcile.ts';
export type { HoldResult } from './core/operations/hold.ts';
export type { RemoveResult } from './core/operations/remove.ts';
export type { RetainResult } from './core/operations/retain.ts';
export type { Removal, RetainPreview } from './core/operations/retain-preview.ts';
export type { RetentionDecision, RetentionReason } from './core/policy/retention.ts';
export type { RestoreResult } from './core/operations/restore-input.ts';
export type { ConflictPolicy } from './core/operations/restore-conflicts.ts';
export type { PreviewedRestore, RestorePreview } from './core/operations/restore-preview.ts';
export type { RestoreMap, StandIn } from './core/operations/restore-plan.ts';
export type { PlannedBytes, RestoredVolume, RestoreWay } from './core/operations/restore-ways.ts';
export { sumUsage, type UsageKey, type UsageSum } from './core/policy/metering.ts';
export type { QuotaSource, QuotaStanding, QuotaUse } from './core/policy/quota.ts';
export type { StepPolicies, StepPolicy } from './core/policy/step-policy.ts';
export type { VerifyResult } from './core/operations/verify.ts';
