import type { CheckpointId, PlanId, TenantId } from '../contracts/index.ts';
import { isId, parseCheckpointId, parsePlanId } from '../identity.ts';

/**
 * Where the objects of format version 1 lie in a bank. Every key begins with the tenant. A commit's key carries the
 * plan too, so that a plan's checkpoints are found without reading the others; the keys of graphs and artifacts carry
 * their digests, so that a second attempt never meets the leavings of a first.
 */
export const bankKeys: {
  commits(tenant: TenantId): string;
  commit(tenant: TenantId, checkpoint: CheckpointId, plan: PlanId): string;
  commitOf(tenant: TenantId, checkpoint: CheckpointId): string;
  addenda(tenant: TenantId, checkpoint: CheckpointId): string;
  removed(tenant: TenantId, checkpoint: CheckpointId): string;
  graph(tenant: TenantId, checkpoint: CheckpointId, digest: string): string;
  artifacts(tenant: TenantId, checkpoint: CheckpointId, digest: string): string;
  manifests(tenant: TenantId): string;
  manifestsOf(tenant: TenantId, token: string): string;
  manifest(tenant: TenantId, token: string, digest: string): string;
  packs(tenant: TenantId): string;
  pack(tenant: TenantId, name: string): string;
  indexes(tenant: TenantId): string;
  index(tenant: TenantId, name: string): string;
  damage(tenant: TenantId): string;
  proofs(tenant: TenantId): string;
  installations(tenant: TenantId): string;
  installation(tenant: TenantId, id: string): string;
} = {
  commits: (tenant) => `${tenant}/commits/`,
  commit: (tenant, checkpoint, plan) => `${tenant}/commits/${checkpoint}=${plan}`,
  commitOf: (tenant, checkpoint) => `${tenant}/commits/${checkpoint}=`,
  addenda: (tenant, checkpoint) => `${tenant}/addenda/${checkpoint}/`,
  removed: (tenant, checkpoint) => `${tenant}/addenda/${checkpoint}/removed`,
  graph: (tenant, checkpoint, digest) => `${tenant}/graphs/${checkpoint}=${digest}`,
  artifacts: (tenant, checkpoint, digest) => `${tenant}/artifacts/${checkpoint}=${digest}`,
  manifests: (tenant) => `${tenant}/manifests/`,
  manifestsOf: (tenant, token) => `${tenant}/manifests/${token}=`,
  manifest: (tenant, token, digest) => `${tenant}/manifests/${token}=${digest}`,
  packs: (tenant) => `${tenant}/data/`,
  pack: (tenant, name) => `${tenant}/data/${name.slice(0, 2)}/${name}`,
  indexes: (tenant) => `${tenant}/index/`,
  index: (tenant, name) => `${tenant}/index/${name}`,
  damage: (tenant) => `${tenant}/damage/`,
  proofs: (tenant) => `${tenant}/proofs/`,
  installations: (tenant) => `${tenant}/installations/`,
  installation: (tenant, id) => `${tenant}/installations/${id}`,
};

/** The ids in a commit's key, or undefined where it is no such key. */
export function parseCommitKey(key: string): { checkpoint: CheckpointId; plan: PlanId } | undefined {
  const [checkpoint = '', plan = '', more] = key.slice(key.lastIndexOf('/') + 1).split('=');
  if (!isId(checkpoint) || !isId(plan) || more !== undefined) return undefined;
  return { checkpoint: parseCheckpointId(checkpoint), plan: parsePlanId(plan) };
}
