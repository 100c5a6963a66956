import { type Artifact, putArtifacts } from '../../../src/core/archive/artifacts.ts';
import { type Commit, putCommit } from '../../../src/core/archive/checkpoint.ts';
import { putGraph } from '../../../src/core/archive/stored-graph.ts';
import type { Vault } from '../../../src/core/archive/vault.ts';
import type { SnapshotCopy } from '../../../src/core/contracts/index.ts';
import { parseCheckpointId, parseJobId, parsePlanId } from '../../../src/core/identity.ts';
import { countingCall } from './volumes.ts';

/** The copies that every volume of {@link commitTo} has. */
export const LOCATIONS = [
  ['array', 'files'],
  ['archive', 'bank'],
] as const;

/** A moment in the form of the records. */
export const INSTANT = '2026-01-01T00:00:00.000Z';

/** What a resource with a volume and two copies leaves. */
export function artifactOf(id: string, change: Partial<SnapshotCopy> = {}): Artifact {
  const volume = { array: 'files', id, size: 1 };
  const copies = LOCATIONS.map(
    ([kind, location]): SnapshotCopy => ({
      kind,
      location,
      reference: {},
      volume,
      takenAt: INSTANT,
      proof: 'stored',
      ...change,
    }),
  );
  return {
    resource: { type: 'Test::Volume', id },
    description: {},
    volume: {
      volume,
      strategy: { name: 's', reason: 'r' },
      consistency: 'crash',
      pauseMilliseconds: null,
      arrayCopy: 'kept',
      copies,
    },
  };
}

/** Commits a checkpoint of these volumes. */
export async function commitTo(
  vault: Vault,
  volumes: readonly string[],
  ids: { readonly checkpoint?: string; readonly plan?: string } = {},
): Promise<Commit> {
  const call = countingCall();
  const id = parseCheckpointId(ids.checkpoint ?? 'c1');
  const artifacts = volumes.map((id) => artifactOf(id));
  const resources = artifacts.map(({ resource }) => ({ ...resource, name: resource.id, attributes: {} }));
  const commit: Commit = {
    id,
    tenant: vault.tenant,
    plan: {
      id: parsePlanId(ids.plan ?? 'p1'),
      name: 'plan',
      resources: [],
      exclude: [],
      dependencies: [],
      incomplete: 'refuse',
      onFailure: 'fail',
    },
    provider: 'gold',
    site: 'a',
    job: parseJobId(id),
    epoch: 1,
    actor: 'test',
    base: null,
    createdAt: INSTANT,
    graph: await putGraph(vault, id, { resources, edges: { from: [], to: [] } }, call),
    artifacts: await putArtifacts(vault, id, { artifacts, missing: [] }, call),
    excluded: 0,
    incomplete: 0,
    missing: 0,
    volumes: volumes.length,
    bytes: volumes.length,
  };
  await putCommit(vault, commit, call);
  return commit;
}
