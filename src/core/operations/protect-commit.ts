import {
  type Artifact,
  type CheckpointContents,
  getArtifacts,
  type MissingResource,
  type ProtectedVolume,
  putArtifacts,
} from '../archive/artifacts.ts';
import { openCheckpoint, stateAtCommit } from '../archive/catalog.ts';
import { type AdoptedSnapshots, type Commit, getCommit, putCommit } from '../archive/checkpoint.ts';
import { bankKeys } from '../archive/keys.ts';
import type { Vault } from '../archive/vault.ts';
import type {
  CallOptions,
  CheckpointId,
  JobId,
  JobRecord,
  PlanRecord,
  Provider,
  ResolvedPolicy,
} from '../contracts/index.ts';
import { briefRecord } from '../errors.ts';
import type { ResourceGraph } from '../graph/resource-graph.ts';
import type { WalkResult } from '../graph/walk-result.ts';
import { parseCheckpointId } from '../identity.ts';
import type { Leftover } from '../jobs/leftovers.ts';
import type { OperationContext, WhenBusy } from '../jobs/operation.ts';
import type { Adoption } from './adoption.ts';
import type { DistrustedArray } from './distrust.ts';
import { lockedUntilOf } from './locks.ts';
import { openGraph } from './open-graph.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';

/** What a protect job is asked to do. */
export type ProtectInput = {
  /** The plan as it was when the job was made. */
  readonly plan: PlanRecord;
  /** The digest of the graph that was previewed; the job refuses another with `DRIFTED`. */
  readonly graph: string | null;
  /** How long an application may be paused for its snapshot. */
  readonly pauseMilliseconds: number;
  /** What becomes of the snapshots, as it was resolved when the job was made. */
  readonly policy: ResolvedPolicy;
  /** Where no snapshots are taken, but others' are adopted: which, and on which terms. */
  readonly adopted?: Adoption;
  /** What to do while another job works on one of the volumes. */
  readonly whenBusy: WhenBusy;
};

/** What a job has made that protects, or adopts. */
export type ProtectResult = {
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** What it is good for. */
  readonly state: 'available' | 'partial';
  /** Resources in it. */
  readonly resources: number;
  /** Resources that were left out by choice. */
  readonly excluded: number;
  /** Resources whose dependencies could not all be read. */
  readonly incomplete: number;
  /** Resources that it has nothing of because something failed. */
  readonly missing: number;
  /** Volumes in it. */
  readonly volumes: number;
  /** Bytes of those volumes. */
  readonly bytes: number;
  /** The job that archives its snapshots in the background, where that was decided. */
  readonly archive?: JobId;
  /** Arrays that called unchanged what was not, where any did. */
  readonly distrusted?: readonly DistrustedArray[];
  /** What could not be cleared up, where there is anything. */
  readonly leftovers?: readonly Leftover[];
};

/** What a protect job found before it began. */
export type Discovered = Pick<Commit, 'graph' | 'changes' | 'excluded' | 'incomplete' | 'base' | 'createdAt'>;

/** What a walk over the graph has left of each resource, and what it has not. */
export function contentsOf(
  graph: ResourceGraph,
  result: WalkResult,
  left: (position: number) => Omit<Artifact, 'resource'>,
): CheckpointContents {
  const keyAt = (position: number): Artifact['resource'] => {
    const { type = '', id = '' } = graph.resources[position] ?? {};
    return { type, id };
  };
  const contents = { artifacts: [] as Artifact[], missing: [] as MissingResource[] };
  for (const position of graph.resources.keys()) {
    const resource = keyAt(position);
    const outcome = result.outcome(position);
    if (outcome.state === 'done') contents.artifacts.push({ resource, ...left(position) });
    else {
      const cause = outcome.state === 'skipped' ? outcome.because : position;
      const of = result.outcome(cause);
      const error = briefRecord(of.state === 'failed' ? of.failure.error : undefined);
      contents.missing.push({ resource, cause: keyAt(cause), error });
    }
  }
  return contents;
}

function instantsOf(volumes: readonly ProtectedVolume[]): Pick<AdoptedSnapshots, 'oldest' | 'newest'> {
  const instants = volumes.flatMap(({ copies }) => copies.map(({ takenAt }) => Date.parse(takenAt)));
  const [oldest, newest] = [Math.min(...instants), Math.max(...instants)];
  return { oldest: new Date(oldest).toISOString(), newest: new Date(newest).toISOString() };
}

/** The checkpoint that a protect job made, by its key: a bank may list it late. */
export async function openMade(vault: Vault, job: JobRecord, call: CallOptions): Promise<OpenedCheckpoint> {
  const { plan } = job.input as ProtectInput;
  const key = bankKeys.commit(job.tenant, parseCheckpointId(job.id), plan.id);
  return { ...(await openCheckpoint(vault, await getCommit(vault, key, call), call)), vault };
}

/**
 * Writes the checkpoint's last object; the vault locks it, and all that it needs is locked for as long. Where another
 * worker of the job was first, its commit stands, and is verified before this one builds on it.
 */
export async function commitCheckpoint(
  context: OperationContext,
  services: OperationServices,
  { provider, vault }: { readonly provider: Provider; readonly vault: Vault },
  discovered: Discovered,
  contents: CheckpointContents,
): Promise<ProtectResult> {
  const { job } = context;
  const { plan: whole, policy, adopted } = job.input as ProtectInput;
  const {
    createdAt: _createdAt,
    tenant: _tenant,
    provider: _provider,
    policy: _policy,
    retention: _retention,
    ...plan
  } = whole;
  const id = parseCheckpointId(job.id);
  const until = lockedUntilOf(context);
  const volumes = contents.artifacts.flatMap(({ volume }) => volume ?? []);
  const commit = async (call: CallOptions): Promise<ProtectResult> => {
    const mine: Commit = {
      id,
      tenant: job.tenant,
      plan,
      provider: provider.name,
      site: provider.site,
      job: job.id,
      epoch: job.epoch,
      actor: job.actor,
      policy,
      ...(adopted && { adopted: { ownership: adopted.ownership, ...instantsOf(volumes) } }),
      audit: await services.auditHead(job.tenant),
      ...discovered,
      artifacts: await putArtifacts(vault, id, contents, call),
      missing: contents.missing.length,
      volumes: volumes.length,
      bytes: volumes.reduce((sum, { volume }) => sum + volume.size, 0),
      ...(until !== null && { lockedUntil: new Date(until).toISOString() }),
    };
    await vault.lockKeys(call);
    const committed = await putCommit(vault, mine, call);
    if (committed.epoch !== job.epoch) {
      await openGraph(vault, id, committed.graph, call);
      await getArtifacts(vault, id, committed.artifacts, call);
    }
    return {
      checkpoint: id,
      state: stateAtCommit(committed),
      resources: committed.artifacts.count,
      excluded: committed.excluded,
      incomplete: committed.incomplete,
      missing: committed.missing,
      volumes: committed.volumes,
      bytes: committed.bytes,
    };
  };
  return context.toldEffect('commit', commit, ({ checkpoint, state }) => ({
    action: 'checkpoint.committed',
    object: { plan: plan.id, checkpoint, provider: provider.name, state },
  }));
}
