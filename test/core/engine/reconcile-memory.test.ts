import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { wrap } from '../../../src/banks/wrappers/wrap.ts';
import { putArtifacts } from '../../../src/core/archive/artifacts.ts';
import { putCommit } from '../../../src/core/archive/checkpoint.ts';
import { putGraph } from '../../../src/core/archive/stored-graph.ts';
import { parseCheckpointId, parseJobId } from '../../../src/core/identity.ts';
import { effectName } from '../../../src/core/operations/tokens.ts';
import {
  type ArraySnapshot,
  type Bank,
  createEngine,
  defineProvider,
  type StorageArray,
} from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { artifactOf, commitTo, INSTANT } from '../archive/checkpoints.ts';
import { KEYS, vaultOf } from '../archive/vaults.ts';
import { ACME } from '../archive/volumes.ts';

const SNAPSHOTS = 100_000;
const CHECKPOINTS = 100;
const MEBIBYTE = 2 ** 20;
const call = { signal: new AbortController().signal };
const volumeOf = (at: number) => ({ array: 'files', id: `0b5c7d1e-volume-${at}`, size: MEBIBYTE });

/** An array that has a snapshot under each name, and holds no more than the names. */
function arrayOf(names: readonly string[], onCall: () => void) {
  const positions = new Map(names.map((name, at) => [name, at]));
  const removed = new Uint8Array(names.length);
  const snapshotAt = (at: number): ArraySnapshot => ({
    name: names[at] ?? '',
    volume: volumeOf(at),
    reference: { id: `snapshot-${at}` },
    takenAt: INSTANT,
  });
  const refuse = () => Promise.reject(new Error('not part of this test'));
  const array: StorageArray = {
    contract: 1,
    name: 'files',
    capabilities: async () => ({
      group: false,
      pointInTime: true,
      changeBase: 'none',
      extents: 'map',
      nameLength: 64,
      concurrency: 8,
    }),
    snapshot: refuse,
    open: refuse,
    async find(name) {
      const at = positions.get(name);
      return at === undefined || removed[at] === 1 ? [] : [snapshotAt(at)];
    },
    async *list() {
      for (const at of names.keys()) {
        onCall();
        if (removed[at] !== 1) yield snapshotAt(at);
      }
    },
    async remove({ name }) {
      onCall();
      removed[positions.get(name) ?? -1] = 1;
    },
  };
  return { array, left: () => removed.filter((one) => one === 0).length };
}

/** Commits checkpoints that together count on every second snapshot. */
async function commitHalf(bank: Bank, names: readonly string[]): Promise<void> {
  const vault = vaultOf(bank);
  const template = await commitTo(vault, []);
  const share = names.length / CHECKPOINTS;
  for (let number = 0; number < CHECKPOINTS; number += 1) {
    const id = parseCheckpointId(`checkpoint-${number}`);
    const positions = Array.from({ length: share / 2 }, (_, at) => number * share + 2 * at);
    const artifacts = positions.map((at) => {
      const artifact = artifactOf(volumeOf(at).id);
      const volume = artifact.volume && {
        ...artifact.volume,
        copies: artifact.volume.copies.slice(0, 1).map((copy) => ({
          ...copy,
          volume: volumeOf(at),
          reference: { name: names[at] ?? '', reference: {} },
        })),
      };
      return { ...artifact, volume };
    });
    await putCommit(
      vault,
      {
        ...template,
        id,
        graph: await putGraph(vault, id, { resources: [], edges: { from: [], to: [] } }, call),
        artifacts: await putArtifacts(vault, id, { artifacts, missing: [] }, call),
      },
      call,
    );
  }
}

it('takes less than 64 MiB for 100,000 snapshots, of which half are referenced and half go', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const used = (): number => {
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  let [calls, most] = [0, 0];
  const measure = (): void => {
    calls += 1;
    if (calls % 5_000 === 0) most = Math.max(most, used());
  };
  const store = memoryStore();
  const installation = await store.installation();
  const names = Array.from({ length: SNAPSHOTS }, (_, at) =>
    effectName(installation, { tenant: ACME, id: parseJobId(`job-${at}`) }, 'snapshot/files'),
  ).sort();
  const { array, left } = arrayOf(names, measure);
  const sound = memoryBank({ name: 'bank' });
  let reads = 0;
  const bank = wrap(sound, {
    get: (key, read, options) => {
      reads += 1;
      if (reads % 20 === 0) most = Math.max(most, used());
      return sound.get(key, read, options);
    },
  });
  await commitHalf(sound, names);
  await using engine = await createEngine({
    store,
    providers: [
      defineProvider({
        name: 'gold',
        site: 'a',
        parts: [{ contract: 1, name: 'memory', arrays: [array], strategies: [storageArraySnapshot()] }],
        banks: [{ bank, keys: KEYS, role: 'primary' }],
      }),
    ],
  });
  const before = used();
  const { arrays } = await engine.reconcile({ provider: 'gold' });
  expect(arrays).toMatchObject([
    { referenced: SNAPSHOTS / 2, orphans: { count: SNAPSHOTS / 2 }, removed: SNAPSHOTS / 2 },
  ]);
  expect(arrays[0]?.orphans.first).toHaveLength(1_000);
  expect(left()).toBe(SNAPSHOTS / 2);
  expect(reads).toBeGreaterThan(CHECKPOINTS);
  expect(calls).toBeGreaterThanOrEqual(1.5 * SNAPSHOTS);
  expect(most - before).toBeLessThan(64 * MEBIBYTE);
}, 120_000);
