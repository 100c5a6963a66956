import pMap from 'p-map';
import { type OpenCheckpoint, proofReaches } from '../archive/catalog.ts';
import type { ProtectedVolume } from '../archive/artifacts.ts';
import { bankKeys, parseCommitKey } from '../archive/keys.ts';
import type { Vault } from '../archive/vault.ts';
import type {
  CallOptions,
  CheckpointId,
  CopyKind,
  PlanRecord,
  Proof,
  SnapshotCopy,
} from '../contracts/index.ts';
import { type CopyStock, KINDS, type RetainedCheckpoint } from '../policy/retention.ts';
import { openUnlessDamaged } from './change-bases.ts';
import { isLocked } from './locks.ts';

const OPENED_AT_ONCE = 8;
const DEFAULT_PROOF: Proof = 'read-back';

/** What is known of each checkpoint that a provider has made of a plan, in no order. What is damaged stays, and is not there. */
export async function retainedCheckpoints(
  vault: Vault,
  plan: Pick<PlanRecord, 'id' | 'provider'>,
  { proof, now }: { readonly proof: Proof | undefined; readonly now: number },
  call: CallOptions,
): Promise<readonly RetainedCheckpoint[]> {
  const ids: CheckpointId[] = [];
  for await (const { key } of vault.bank.list(bankKeys.commits(vault.tenant), call)) {
    const found = parseCommitKey(key);
    if (found?.plan === plan.id) ids.push(found.checkpoint);
  }
  const looked = await pMap(
    ids,
    async (id) => {
      const opened = await openUnlessDamaged(vault, id, call);
      if (opened === undefined || opened.state === 'removed') return [];
      return opened.commit.provider === plan.provider ? [retained(opened, now, proof)] : [];
    },
    { concurrency: OPENED_AT_ONCE, signal: call.signal },
  );
  return looked.flat();
}

/** What retention needs to know of a checkpoint. */
export function retained(
  opened: OpenCheckpoint,
  now: number,
  proof: Proof = DEFAULT_PROOF,
): RetainedCheckpoint {
  const { commit, state, holds } = opened;
  return {
    id: commit.id,
    instant: Date.parse(commit.adopted?.oldest ?? commit.createdAt),
    isWhole: state === 'available',
    isHeld: holds.length > 0,
    isLocked: isLocked(commit, now),
    copies: stocksOf(opened, proof),
  };
}

/** The copies of some kinds that a checkpoint counts on. */
export const copiesOf = (
  { artifacts }: Pick<OpenCheckpoint, 'artifacts'>,
  kinds: readonly CopyKind[],
): readonly SnapshotCopy[] =>
  artifacts.flatMap(({ volume }) => volume?.copies.filter(({ kind }) => kinds.includes(kind)) ?? []);

function stocksOf({ artifacts }: OpenCheckpoint, proof: Proof): RetainedCheckpoint['copies'] {
  const volumes = artifacts.flatMap(({ volume }) => volume ?? []);
  // Descriptions alone are in the bank.
  if (volumes.length === 0) return { archive: { isProven: true, isCovered: [] } };
  const has = (kind: CopyKind) => (volume: ProtectedVolume) =>
    volume.copies.some((copy) => copy.kind === kind);
  const hasProven = (kind: CopyKind) => (volume: ProtectedVolume) =>
    volume.copies.some((copy) => copy.kind === kind && proofReaches(copy.proof, proof));
  const stocks = KINDS.filter((kind) => volumes.some(has(kind))).map((kind): [CopyKind, CopyStock] => {
    const those = volumes.filter(has(kind));
    const isCovered = KINDS.filter((other) => other !== kind && those.every(hasProven(other)));
    return [kind, { isProven: volumes.every(hasProven(kind)), isCovered }];
  });
  return Object.fromEntries(stocks);
}
