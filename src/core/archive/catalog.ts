import type {
  CallOptions,
  CheckpointId,
  ErrorRecord,
  JobId,
  PlanId,
  SnapshotCopy,
} from '../contracts/index.ts';
import { errorRecord, FafnirError } from '../errors.ts';
import { type Artifact, getArtifacts, type MissingResource } from './artifacts.ts';
import { type Commit, type CopyKey, getAddenda, getCommit, type StoredAddendum } from './checkpoint.ts';
import { bankKeys, parseCommitKey } from './keys.ts';
import { isDamage } from './records.ts';
import type { Vault } from './vault.ts';

/**
 * What a checkpoint is good for. `available`: it has the whole application, and every volume has a copy. `partial`: it
 * lacks something: a resource that failed, what a resource may depend on, or all copies of a volume. `failed`: no volume
 * has a copy, or its records are damaged. `removed`: given up on purpose.
 */
export type CheckpointState = 'available' | 'partial' | 'failed' | 'removed';

/** Keeps a checkpoint and all its copies from being removed, until it is lifted. */
export type CheckpointHold = {
  /** The job that set it. */
  readonly id: JobId;
  /** Who asked for it. */
  readonly actor: string;
  /** Why, in the words of whoever asked. */
  readonly reason: string;
  /** When, ISO 8601 in UTC. */
  readonly at: string;
};

/** A checkpoint as a listing shows it: its commit, and what the addenda add up to. */
export type ListedCheckpoint = Commit & {
  /** What it is good for. */
  readonly state: CheckpointState;
  /** Who holds it, so that it is not removed. */
  readonly holds: readonly CheckpointHold[];
  /** The name of the bank that holds it. */
  readonly bank: string;
};

/** A checkpoint whose records are damaged; no more is known of it than its key tells. */
export type DamagedCheckpoint = {
  /** The checkpoint. */
  readonly id: CheckpointId;
  /** Its plan. */
  readonly plan: Pick<Commit['plan'], 'id'>;
  /** It cannot be restored. */
  readonly state: 'failed';
  /** The name of the bank that holds it. */
  readonly bank: string;
  /** What is wrong. */
  readonly error: ErrorRecord;
};

/** An entry of a listing. */
export type Checkpoint = ListedCheckpoint | DamagedCheckpoint;

/** A checkpoint with what it consists of. */
export type OpenCheckpoint = {
  /** Its commit. */
  readonly commit: Commit;
  /** What the addenda add up to. */
  readonly state: CheckpointState;
  /** By resource, each volume with the copies it has now and the best proof of each. */
  readonly artifacts: readonly Artifact[];
  /** Copies that do not count: they were found lost, and not proven since. */
  readonly lost: readonly {
    /** The copy as it was committed. */
    readonly copy: SnapshotCopy;
    /** The names of the addenda that call it lost. */
    readonly losses: readonly string[];
    /** Where its source told against it, so that it does not count however well it can be read. */
    readonly bySource?: true;
  }[];
  /** Copies that were given up: they do not count, and where removing one failed, it is still there. */
  readonly removed: readonly SnapshotCopy[];
  /** Who holds it, so that it is not removed. */
  readonly holds: readonly CheckpointHold[];
  /** Where it was given up: the job that did; the one that made it, where that was undone in the moment of its commit. */
  readonly removedBy?: JobId;
  /** Resources of the graph that it has nothing of. */
  readonly missing: readonly MissingResource[];
};

/**
 * A tenant's checkpoints in one bank, in the order they were made. Damaged ones are shown as failed; where the
 * key-encryption key of one is not held, nothing is known of it, and the listing ends with `UNKNOWN_KEY`.
 */
export async function* listCheckpoints(
  vault: Vault,
  filter: { readonly plan?: PlanId },
  call: CallOptions,
): AsyncGenerator<Checkpoint> {
  const { bank, tenant } = vault;
  for await (const { key } of bank.list(bankKeys.commits(tenant), call)) {
    const ids = parseCommitKey(key);
    if (ids === undefined) continue;
    if (filter.plan !== undefined && filter.plan !== ids.plan) continue;
    try {
      const commit = await getCommit(vault, key, call);
      yield { ...commit, ...(await standingOf(vault, commit, call)), bank: bank.name };
    } catch (error) {
      call.signal.throwIfAborted();
      if (!isDamage(error)) throw error;
      const { checkpoint: id, plan } = ids;
      yield { id, plan: { id: plan }, state: 'failed', bank: bank.name, error: errorRecord(error) };
    }
  }
}

/**
 * A tenant's commits in one bank, in the order they were made, whatever became of the checkpoints: one object is read for
 * each. Damaged ones are left out.
 */
export async function* listCommits(vault: Vault, call: CallOptions): AsyncGenerator<Commit> {
  for await (const { key } of vault.bank.list(bankKeys.commits(vault.tenant), call)) {
    if (parseCommitKey(key) === undefined) continue;
    try {
      yield await getCommit(vault, key, call);
    } catch (error) {
      call.signal.throwIfAborted();
      if (!isDamage(error)) throw error;
    }
  }
}

/** The commit of a checkpoint, or undefined where this bank has none. */
export async function findCommit(
  vault: Vault,
  id: CheckpointId,
  call: CallOptions,
): Promise<Commit | undefined> {
  for await (const { key } of vault.bank.list(bankKeys.commitOf(vault.tenant, id), call))
    return getCommit(vault, key, call);
  return undefined;
}

/** Opens a checkpoint: its artifacts with the copies that are left. */
export async function openCheckpoint(
  vault: Vault,
  commit: Commit,
  call: CallOptions,
): Promise<OpenCheckpoint> {
  const [addenda, contents] = await Promise.all([
    getAddenda(vault, commit.id, call),
    getArtifacts(vault, commit.id, commit.artifacts, call),
  ]);
  const { artifacts, lost, removed } = foldCopies(withAdded(contents.artifacts, addenda), addenda);
  const state = foldState(commit, artifacts, addenda);
  const removedBy = addenda.find(({ kind }) => kind === 'removed')?.job;
  const { missing } = contents;
  const holds = holdsIn(addenda);
  return { commit, state, artifacts, lost, removed, holds, ...(removedBy && { removedBy }), missing };
}

/** All copies that a checkpoint ever had, whatever became of them. */
export const everyCopy = ({ artifacts, lost, removed }: OpenCheckpoint): readonly SnapshotCopy[] => [
  ...artifacts.flatMap(({ volume }) => volume?.copies ?? []),
  ...lost.map(({ copy }) => copy),
  ...removed,
];

/** Artifacts with the copies that were made since. One that is where the volume has another copy already says nothing. */
export function withAdded(
  committed: readonly Artifact[],
  addenda: readonly StoredAddendum[],
): readonly Artifact[] {
  const added = new Map<string, SnapshotCopy>();
  for (const addendum of addenda.toSorted((a, b) => (a.name < b.name ? 1 : -1))) {
    if (addendum.kind === 'copy-added') added.set(copyKeyText(keyOf(addendum.copy)), addendum.copy);
  }
  if (added.size === 0) return committed;
  const more = Map.groupBy(added.values(), ({ volume }) => JSON.stringify([volume.array, volume.id]));
  return committed.map((artifact) => {
    if (artifact.volume === null) return artifact;
    const { volume, copies } = artifact.volume;
    const known = new Set(copies.map((copy) => copyKeyText(keyOf(copy))));
    const fresh = more.get(JSON.stringify([volume.array, volume.id])) ?? [];
    const others = fresh.filter((copy) => !known.has(copyKeyText(keyOf(copy))));
    return { ...artifact, volume: { ...artifact.volume, copies: [...copies, ...others] } };
  });
}

// Most checkpoints never lose a copy, and then the artifacts need not be read.
async function standingOf(
  vault: Vault,
  commit: Commit,
  call: CallOptions,
): Promise<Pick<ListedCheckpoint, 'state' | 'holds'>> {
  const addenda = await getAddenda(vault, commit.id, call);
  return { state: await stateOf(vault, commit, addenda, call), holds: holdsIn(addenda) };
}

async function stateOf(
  vault: Vault,
  commit: Commit,
  addenda: readonly StoredAddendum[],
  call: CallOptions,
): Promise<CheckpointState> {
  const { bank, tenant } = vault;
  if (addenda.some(({ kind }) => kind === 'removed')) return 'removed';
  if (!addenda.some(({ kind }) => kind === 'copy-removed' || kind === 'copy-lost')) {
    const keys = [
      bankKeys.artifacts(tenant, commit.id, commit.artifacts.digest),
      bankKeys.graph(tenant, commit.id, commit.graph.digest),
    ];
    const found = await Promise.all(keys.map((key) => bank.head(key, call)));
    const gone = keys.find((_, at) => found[at] === undefined);
    if (gone !== undefined) throw new FafnirError('NOT_FOUND', `${gone} is gone from bank ${bank.name}`);
    return stateAtCommit(commit);
  }
  return (await openCheckpoint(vault, commit, call)).state;
}

/** What a checkpoint is good for when it is committed. */
export const stateAtCommit = ({
  missing,
  incomplete,
}: Pick<Commit, 'missing' | 'incomplete'>): 'available' | 'partial' =>
  missing + incomplete === 0 ? 'available' : 'partial';

function foldState(
  commit: Commit,
  artifacts: readonly Artifact[],
  addenda: readonly StoredAddendum[],
): CheckpointState {
  if (addenda.some(({ kind }) => kind === 'removed')) return 'removed';
  const volumes = artifacts.flatMap(({ volume }) => volume ?? []);
  const lost = volumes.filter(({ copies }) => !copies.some(counts)).length;
  if (lost === 0) return stateAtCommit(commit);
  return lost < volumes.length ? 'partial' : 'failed';
}

/** What a service outside says that it has is no copy until it was looked at. */
const counts = ({ kind, proof }: SnapshotCopy): boolean =>
  kind !== 'external' || proofReaches(proof, 'source-compared');

const PROOFS: readonly SnapshotCopy['proof'][] = ['stored', 'read-back', 'source-compared', 'restored'];

/** The better of two proofs. */
export const betterProof = (a: SnapshotCopy['proof'], b: SnapshotCopy['proof']): SnapshotCopy['proof'] =>
  PROOFS.indexOf(a) > PROOFS.indexOf(b) ? a : b;

/** Whether a proof is at least the other. */
export const proofReaches = (is: SnapshotCopy['proof'], wanted: SnapshotCopy['proof']): boolean =>
  PROOFS.indexOf(is) >= PROOFS.indexOf(wanted);

/** What the addenda of a checkpoint add up to for one of its copies. */
export type CopyStanding = {
  /** It was given up on purpose, whatever else is said of it. */
  readonly isRemoved: boolean;
  /** The names of the addenda that call it lost and that no proof of it supersedes: while there are any, it does not count. */
  readonly losses: readonly string[];
  /** Whether its source told against it. */
  readonly bySource: boolean;
  /** The best proof of it. */
  readonly proof: SnapshotCopy['proof'];
};

/** Folds addenda, in whatever order they are: tells where a copy stands that a checkpoint was committed with. */
export function standingsIn(addenda: readonly StoredAddendum[]): (copy: SnapshotCopy) => CopyStanding {
  const about = new Map<string, AboutCopy[]>();
  for (const addendum of addenda) {
    if (!isAboutCopy(addendum)) continue;
    const key = copyKeyText(addendum);
    const others = about.get(key);
    if (others === undefined) about.set(key, [addendum]);
    else others.push(addendum);
  }
  return (copy) => copyStanding(copy, about.get(copyKeyText(keyOf(copy))) ?? []);
}

function copyStanding(copy: SnapshotCopy, about: readonly AboutCopy[]): CopyStanding {
  const proofs = about.filter((addendum) => addendum.kind === 'copy-proven');
  const superseded = new Set(proofs.flatMap(({ supersedes }) => supersedes ?? []));
  const standing = about.filter(({ kind, name }) => kind === 'copy-lost' && !superseded.has(name));
  return {
    isRemoved: about.some(({ kind }) => kind === 'copy-removed'),
    // A bank may list one twice.
    losses: [...new Set(standing.map(({ name }) => name))].sort(),
    bySource: standing.some((addendum) => addendum.kind === 'copy-lost' && addendum.by === 'source'),
    proof: proofs.reduce((best, { proof }) => betterProof(best, proof), copy.proof),
  };
}

function foldCopies(
  committed: readonly Artifact[],
  addenda: readonly StoredAddendum[],
): Pick<OpenCheckpoint, 'artifacts' | 'lost' | 'removed'> {
  const standing = standingsIn(addenda);
  const lost: OpenCheckpoint['lost'][number][] = [];
  const removed: SnapshotCopy[] = [];
  const fold = (copy: SnapshotCopy): readonly SnapshotCopy[] => {
    const { isRemoved, losses, bySource, proof } = standing(copy);
    if (isRemoved) {
      removed.push(copy);
      return [];
    }
    if (losses.length === 0) return [{ ...copy, proof }];
    lost.push({ copy, losses, ...(bySource && { bySource }) });
    return [];
  };
  const artifacts = committed.map((artifact) => ({
    ...artifact,
    volume: artifact.volume && { ...artifact.volume, copies: artifact.volume.copies.flatMap(fold) },
  }));
  return { artifacts, lost, removed };
}

type AboutCopy = Extract<StoredAddendum, CopyKey>;

const isAboutCopy = (addendum: StoredAddendum): addendum is AboutCopy => 'volume' in addendum;

/** Holds that nobody has lifted, in the order of their jobs. A bank may list one twice. */
function holdsIn(addenda: readonly StoredAddendum[]): readonly CheckpointHold[] {
  const holds = new Map<JobId, CheckpointHold>();
  for (const addendum of addenda) {
    if (addendum.kind !== 'held') continue;
    const { job: id, actor, reason, at } = addendum;
    holds.set(id, { id, actor, reason, at });
  }
  for (const addendum of addenda) if (addendum.kind === 'hold-lifted') holds.delete(addendum.hold);
  return [...holds.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

const keyOf = (copy: SnapshotCopy): CopyKey => ({ volume: copy.volume, copy });

const copyKeyText = ({ volume, copy }: CopyKey): string =>
  JSON.stringify([volume.array, volume.id, copy.kind, copy.location]);
