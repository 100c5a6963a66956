import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { type Checkpoint, listCheckpoints, openCheckpoint } from '../../src/core/archive/catalog.ts';
import type { Commit } from '../../src/core/archive/checkpoint.ts';
import { inlineThreads } from '../../src/core/archive/threads/inline.ts';
import type { Vault } from '../../src/core/archive/vault.ts';
import { ArchiveReader } from '../../src/core/archive/volume/read-archive.ts';
import type { SnapshotCopy } from '../../src/core/contracts/index.ts';
import { referenceOf } from '../../src/core/operations/archive-copies.ts';
import { openGraph } from '../../src/core/operations/open-graph.ts';
import { countingCall, targetOf } from '../core/archive/volumes.ts';
import {
  type ExpectedCheckpoint,
  type ExpectedGraph,
  type ExpectedVolume,
  expectedGraphOf,
  type FrozenBank,
} from './frozen-bank.ts';

/** Expects of a frozen bank all that is frozen with it: of what is not removed also graphs and the bytes of volumes. */
export async function expectCheckpoints(frozen: FrozenBank): Promise<void> {
  const { vault, expected } = frozen;
  const found: Checkpoint[] = [];
  for await (const checkpoint of listCheckpoints(vault, {}, countingCall())) found.push(checkpoint);
  expect(found.map(({ id, state, plan }) => ({ id, state, plan: plan.id }))).toEqual(
    expected.checkpoints.map(({ id, state, plan }) => ({ id, state, plan })),
  );
  for (const [at, checkpoint] of expected.checkpoints.entries()) {
    const listed = found[at];
    if (listed === undefined || 'error' in listed) throw new Error(`${checkpoint.id} is damaged`);
    expect(listed.createdAt).toBe(checkpoint.createdAt);
    if (listed.state !== 'removed') await expectCheckpoint(vault, listed, checkpoint);
  }
}

async function expectCheckpoint(vault: Vault, commit: Commit, expected: ExpectedCheckpoint): Promise<void> {
  const call = countingCall();
  const graph = expectedGraphOf(await openGraph(vault, commit.id, commit.graph, call));
  expect({ ...graph, edges: edgesOf(graph) }).toEqual({ ...expected.graph, edges: edgesOf(expected.graph) });
  const { artifacts, state } = await openCheckpoint(vault, commit, call);
  expect(state).toBe(expected.state);
  const volumes = artifacts.flatMap(({ resource, volume }) => (volume ? [{ resource, volume }] : []));
  expect(volumes.map(({ resource }) => resource.id)).toEqual(expected.volumes.map(({ id }) => id));
  for (const [at, { resource, volume }] of volumes.entries()) {
    const archive = volume.copies.find(({ kind }) => kind === 'archive');
    const wanted = expected.volumes[at];
    if (archive === undefined || wanted === undefined) throw new Error(`${resource.id} has no archive`);
    expect({ ...resource, size: volume.volume.size, proof: archive.proof }).toMatchObject({
      type: wanted.type,
      size: wanted.size,
      proof: wanted.proof,
    });
    await expectVolume(vault, wanted, archive);
  }
}

const edgesOf = ({ edges }: ExpectedGraph): readonly (readonly number[])[] =>
  edges.flatMap(([from = -1, ...targets]) => targets.map((to) => [from, to]));

async function expectVolume(
  vault: Vault,
  { size, sha256, extents = [] }: ExpectedVolume,
  copy: SnapshotCopy,
): Promise<void> {
  const call = countingCall();
  const options = { threads: inlineThreads() };
  await using archive = await ArchiveReader.open(vault, referenceOf(copy), options, call);
  expect(archive.size).toBe(size);
  expect((await archive.verify({ level: 'deep' }, call)).damaged).toEqual([]);
  if (sha256 !== undefined) {
    const bytes = new Uint8Array(size);
    await archive.restoreInto(targetOf(bytes, true), call);
    expect(sha256Of(bytes)).toBe(sha256);
    return;
  }
  // What lies between is a hole that nobody need read.
  let data = 0;
  for await (const { kind, length } of archive.extents(call)) data += kind === 'data' ? length : 0;
  expect(data).toBe(extents.reduce((sum, { bytes }) => sum + bytes, 0));
  for (const { begin, bytes, sha256 } of extents) {
    const read = new Uint8Array(bytes);
    await archive.readInto(begin, read, call);
    expect(sha256Of(read)).toBe(sha256);
  }
}

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
