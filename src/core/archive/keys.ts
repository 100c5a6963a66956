import type { CheckpointId, PlanId, TenantId } from '../contracts/index.ts';
import { isId, parseCheckpointId, parsePlanId } from '../identity.ts';

/** The checkpoint that a record belongs to. */
export type CheckpointOwner = {
  /** Whose checkpoint. */
  readonly tenant: TenantId;
  /** The checkpoint. */
  readonly id: CheckpointId;
};

/**
 * Where the objects of format version 0 lie in a bank. Every key begins with the tenant. A commit's key carries the
 * plan too, so that a plan's checkpoints are found without reading the others; the keys of graphs and artifacts carry
 * their digests, so that a second attempt never meets the leavings of a first.
 */
export const bankKeys: {
  commits(tenant: TenantId): string;
  commit(tenant: TenantId, checkpoint: CheckpointId, plan: PlanId): string;
  commitOf(tenant: TenantId, checkpoint: CheckpointId): string;
  addenda(tenant: TenantId, checkpoint: CheckpointId): string;
  graph(tenant: TenantId, checkpoint: CheckpointId, digest: string): string;
  artifacts(tenant: TenantId, checkpoint: CheckpointId, digest: string): string;
  manifest(tenant: TenantId, token: string): string;
  page(tenant: TenantId, digest: string): string;
  chunk(tenant: TenantId, digest: string): string;
} = {
  commits: (tenant) => `${tenant}/commits/`,
  commit: (tenant, checkpoint, plan) => `${tenant}/commits/${checkpoint}=${plan}`,
  commitOf: (tenant, checkpoint) => `${tenant}/commits/${checkpoint}=`,
  addenda: (tenant, checkpoint) => `${tenant}/addenda/${checkpoint}/`,
  graph: (tenant, checkpoint, digest) => `${tenant}/graphs/${checkpoint}=${digest}`,
  artifacts: (tenant, checkpoint, digest) => `${tenant}/artifacts/${checkpoint}=${digest}`,
  manifest: (tenant, token) => `${tenant}/manifests/${token}`,
  page: (tenant, digest) => `${tenant}/pages/${digest.slice(0, 2)}/${digest}`,
  chunk: (tenant, digest) => `${tenant}/chunks/${digest.slice(0, 2)}/${digest}`,
};

/** The ids in a commit's key, or undefined where it is no such key. */
export function parseCommitKey(key: string): { checkpoint: CheckpointId; plan: PlanId } | undefined {
  const [checkpoint = '', plan = '', more] = key.slice(key.lastIndexOf('/') + 1).split('=');
  if (!isId(checkpoint) || !isId(plan) || more !== undefined) return undefined;
  return { checkpoint: parseCheckpointId(checkpoint), plan: parsePlanId(plan) };
}
