import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import type {
  AuditHead,
  CallOptions,
  CheckpointId,
  CopyKind,
  JobId,
  PlanId,
  PlanRecord,
  Proof,
  ResolvedPolicy,
  SnapshotCopy,
  TenantId,
  VolumeRef,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { isInstallation } from '../identity.ts';
import { resolvedPolicySchema } from '../policy/policy-schema.ts';
import { bankKeys } from './keys.ts';
import { encodeRecord, getRecord, isDamage, keyedDigest, putRecord } from './records.ts';
import {
  copyKind,
  count,
  digest,
  instant,
  ownId,
  proof,
  type RecordPointer,
  recordPointer,
  resourceKey,
  resourceSelector,
  snapshotCopy,
  text,
} from './schema-parts.ts';
import { type CommittedChanges, committedChanges } from './stored-changes.ts';
import type { Vault } from './vault.ts';

/** A plan as a checkpoint remembers it. */
export type CommittedPlan = Pick<
  PlanRecord,
  'id' | 'name' | 'resources' | 'exclude' | 'dependencies' | 'incomplete' | 'onFailure'
>;

/**
 * That the snapshots of a checkpoint were made by others, before it. Then its graph and its descriptions are of
 * `createdAt`, and what the application was like at the instants of the snapshots is not known.
 */
export type AdoptedSnapshots = {
  /**
   * `take`: the snapshots go with the checkpoint, as its own would. `leave`: they stay on their arrays whatever becomes
   * of it.
   */
  readonly ownership: 'take' | 'leave';
  /** The instant of the oldest of them, ISO 8601 in UTC. */
  readonly oldest: string;
  /** The instant of the newest. */
  readonly newest: string;
};

/** The end of the tenant's audit when a checkpoint was committed, kept where those who can write to the store cannot reach it. */
export type AnchoredHead = AuditHead & {
  /** In which store; that of another has another chain. */
  readonly installation: string;
};

/** The one object that makes a checkpoint exist: written last, never changed. */
export type Commit = {
  /** Names the checkpoint. */
  readonly id: CheckpointId;
  /** Whose checkpoint. */
  readonly tenant: TenantId;
  /** The plan as it was: the checkpoint must not need the job store to be understood. */
  readonly plan: CommittedPlan;
  /** The provider's name. */
  readonly provider: string;
  /** The provider's site. */
  readonly site: string;
  /** The job that made it. */
  readonly job: JobId;
  /** Which worker of the job committed it: the first one's commit stands, a later one adopts it. */
  readonly epoch: number;
  /** Who asked for it. */
  readonly actor: string;
  /** What was decided for its snapshots, and by whom; of those that were adopted, what their instants must be worth. */
  readonly policy?: ResolvedPolicy;
  /** Where others made its snapshots. */
  readonly adopted?: AdoptedSnapshots;
  /** The end of the tenant's audit just before; left out by versions that kept none. */
  readonly audit?: AnchoredHead;
  /** What joined and what left the application since an earlier checkpoint of the plan. */
  readonly changes?: CommittedChanges;
  /** The earlier checkpoint whose archives this one's were compared with. */
  readonly base: CheckpointId | null;
  /** When discovery ended, ISO 8601 in UTC; the copies tell their own instants. */
  readonly createdAt: string;
  /** The resource graph. */
  readonly graph: RecordPointer;
  /** The artifacts. */
  readonly artifacts: RecordPointer;
  /** Resources that were left out by choice. */
  readonly excluded: number;
  /** Resources whose dependencies could not all be read; above 0 the checkpoint is `partial`. */
  readonly incomplete: number;
  /** Resources that it has nothing of because something failed; above 0 the checkpoint is `partial`. */
  readonly missing: number;
  /** Volumes in it. */
  readonly volumes: number;
  /** Bytes of those volumes. */
  readonly bytes: number;
  /** Until when the bank keeps it from being removed, with all that it needs of the bank; ISO 8601 in UTC. */
  readonly lockedUntil?: string;
};

const commitSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal('checkpoint'),
  id: ownId<CheckpointId>(),
  tenant: ownId<TenantId>(),
  plan: z.strictObject({
    id: ownId<PlanId>(),
    name: text,
    resources: z.array(resourceSelector),
    exclude: z.array(resourceSelector),
    dependencies: z.array(z.strictObject({ from: resourceKey, to: resourceKey })),
    incomplete: z.enum(['refuse', 'allow']),
    onFailure: z.enum(['fail', 'continue']),
  }),
  provider: text,
  site: text,
  job: ownId<JobId>(),
  epoch: count,
  actor: text,
  policy: resolvedPolicySchema.exactOptional(),
  adopted: z
    .strictObject({ ownership: z.enum(['take', 'leave']), oldest: instant, newest: instant })
    .exactOptional(),
  audit: z
    .strictObject({ installation: z.string().refine(isInstallation), number: count, hash: digest })
    .exactOptional(),
  changes: committedChanges.exactOptional(),
  base: ownId<CheckpointId>().nullable(),
  createdAt: instant,
  graph: recordPointer,
  artifacts: recordPointer,
  excluded: count,
  incomplete: count,
  missing: count,
  volumes: count,
  bytes: count,
  lockedUntil: instant.exactOptional(),
});

/** Which copy an addendum speaks of. */
export type CopyKey = {
  /** The volume. */
  readonly volume: Pick<VolumeRef, 'array' | 'id'>;
  /** Where it is. */
  readonly copy: {
    /** The kind of location. */
    readonly kind: CopyKind;
    /** The array's or the bank's name. */
    readonly location: string;
  };
};

/** What happened to a checkpoint after its commit. The order in which addenda are read does not matter. */
export type Addendum = { readonly job: JobId; readonly at: string } & (
  | { readonly kind: 'removed' }
  | {
      readonly kind: 'copy-added';
      /** A copy that was made after the commit. */
      readonly copy: SnapshotCopy;
    }
  | ({ readonly kind: 'copy-removed' } & CopyKey)
  | ({
      readonly kind: 'copy-lost';
      readonly reason: string;
      /** Who told against the copy, where it was not the copy itself: to read it then tells nothing. */
      readonly by?: 'source';
    } & CopyKey)
  | ({
      readonly kind: 'copy-proven';
      readonly proof: Proof;
      /** The names of addenda that called the copy lost before it was read for this proof, whole and deep. */
      readonly supersedes?: readonly string[];
    } & CopyKey)
  | ({ readonly kind: 'held' } & HoldWords)
  | ({
      readonly kind: 'hold-lifted';
      /** The job that set the hold. */
      readonly hold: JobId;
    } & HoldWords)
);

/** Who holds a checkpoint, or lifts a hold, and why. */
type HoldWords = { readonly actor: string; readonly reason: string };

/** An addendum as it is in the bank. */
export type StoredAddendum = Addendum & {
  /** The last part of its key. */
  readonly name: string;
};

const common = { format: z.literal(1), job: ownId<JobId>(), at: instant };
const copyKey = {
  volume: z.strictObject({ array: text, id: text }),
  copy: z.strictObject({ kind: copyKind, location: text }),
};
const holdWords = { actor: text, reason: text };
// Names that no addendum has say nothing, so their form does not matter.
const supersedes = z.array(text).min(1).exactOptional();
const addendumSchema = z.discriminatedUnion('kind', [
  z.strictObject({ ...common, kind: z.literal('removed') }),
  z.strictObject({ ...common, kind: z.literal('copy-added'), copy: snapshotCopy }),
  z.strictObject({ ...common, kind: z.literal('copy-removed'), ...copyKey }),
  z.strictObject({
    ...common,
    kind: z.literal('copy-lost'),
    reason: text,
    by: z.literal('source').exactOptional(),
    ...copyKey,
  }),
  z.strictObject({ ...common, kind: z.literal('copy-proven'), proof, supersedes, ...copyKey }),
  z.strictObject({ ...common, kind: z.literal('held'), ...holdWords }),
  z.strictObject({ ...common, kind: z.literal('hold-lifted'), hold: ownId<JobId>(), ...holdWords }),
]);

/**
 * Commits a checkpoint and resolves with the commit that counts: where another worker of the job was first, that is
 * the other's, which the caller verifies before it builds on it.
 */
export async function putCommit(vault: Vault, commit: Commit, call: CallOptions): Promise<Commit> {
  const key = bankKeys.commit(vault.tenant, commit.id, commit.plan.id);
  if (vault.bank.capabilities.conditionalCreate !== 'atomic') {
    // Another's would be replaced. Who commits at the very same moment still is.
    const earlier = await getCommit(vault, key, call).catch(unlessMissing);
    if (earlier !== undefined) return earlier;
  }
  await putRecord(vault, key, { format: 1, kind: 'checkpoint', ...written(commit) }, call);
  return vault.shown(() => getCommit(vault, key, call), call);
}

// Readers that know of no locks can read what has none.
function written({ policy, ...commit }: Commit): object {
  if (policy === undefined) return commit;
  const { lock, ...others } = policy;
  return { ...commit, policy: lock === undefined || lock.value === 0 ? others : policy };
}

/** Reads a commit; `CORRUPT` where it is damaged, or is not the one that belongs under this key. */
export async function getCommit(vault: Vault, key: string, call: CallOptions): Promise<Commit> {
  const { format: _format, kind: _kind, ...commit } = await getRecord(vault, key, commitSchema, call);
  if (key !== bankKeys.commit(commit.tenant, commit.id, commit.plan.id)) {
    throw vault.corrupt(key, 'holds the commit of another checkpoint');
  }
  return commit;
}

/** Appends to a checkpoint. A repeat changes nothing, but that a loss may be told twice. */
export async function putAddendum(
  vault: Vault,
  checkpoint: CheckpointId,
  addendum: Addendum,
  call: CallOptions,
): Promise<void> {
  const key = await keyOfAddendum(vault, checkpoint, addendum, call);
  await putRecord(vault, key, { format: 1, ...addendum }, call);
}

// "Removed" has a name that needs no list to be found.
async function keyOfAddendum(
  vault: Vault,
  checkpoint: CheckpointId,
  addendum: Addendum,
  call: CallOptions,
): Promise<string> {
  if (addendum.kind === 'removed') return bankKeys.removed(vault.tenant, checkpoint);
  const prefix = `${bankKeys.addenda(vault.tenant, checkpoint)}${addendum.kind}.`;
  // A proof that names a loss must not speak of one that is found later, also where all else about them is the same.
  if (addendum.kind === 'copy-lost') return prefix + randomBytes(16).toString('hex');
  // The name of any other follows from what happened.
  const { at: _at, ...identity } = addendum;
  const digest = await keyedDigest(vault, encodeRecord(identity), call);
  return prefix + digest.slice(0, 32);
}

/**
 * All addenda of a checkpoint; `CORRUPT` where one is damaged, for a lost "removed" would be a lie. That one counts as
 * soon as it can be read, also where the bank does not list it yet.
 */
export async function getAddenda(
  vault: Vault,
  checkpoint: CheckpointId,
  call: CallOptions,
): Promise<readonly StoredAddendum[]> {
  const removed = bankKeys.removed(vault.tenant, checkpoint);
  const addenda: StoredAddendum[] = [];
  // Asked for by name, as a bank may list it late.
  const isRemoved = (await vault.bank.head(removed, call)) !== undefined;
  if (isRemoved) addenda.push(await getAddendum(vault, removed, call));
  for await (const { key } of vault.bank.list(bankKeys.addenda(vault.tenant, checkpoint), call)) {
    if (isRemoved && key === removed) continue;
    try {
      addenda.push(await getAddendum(vault, key, call));
    } catch (error) {
      // Of what is removed, nothing else matters.
      if (!isRemoved || !isDamage(error)) throw error;
    }
  }
  return addenda;
}

async function getAddendum(vault: Vault, key: string, call: CallOptions): Promise<StoredAddendum> {
  const { format: _format, ...addendum } = await getRecord(vault, key, addendumSchema, call);
  const name = key.slice(key.lastIndexOf('/') + 1);
  if (name.split('.')[0] !== addendum.kind)
    throw vault.corrupt(key, `holds an addendum of kind ${addendum.kind}`);
  return { ...addendum, name };
}

function unlessMissing(error: unknown): undefined {
  if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
}
