import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import type { CheckpointId } from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { KEYS } from '../archive/vaults.ts';
import { temporaryDirectory, writeShop } from './application.ts';
import { all, hastyClock } from './world.ts';

/** A volume of which one of so many archives is compared. */
async function openVolume(every: number) {
  const directory = await temporaryDirectory();
  const root = join(directory.path, 'a');
  await writeShop(root);
  const bank = memoryBank({ name: 'bank' });
  const gold = defineProvider({
    name: 'gold',
    site: 'a',
    parts: [{ ...local({ root }), arrays: [createFilesArray({ name: 'files', root }, {})] }],
    strategies: [volumeSnapshot({ compare: { every } })],
    banks: [{ bank, keys: KEYS, role: 'primary' }],
  });
  const engine = await createEngine({
    store: memoryStore(),
    providers: [gold],
    clock: hastyClock,
    archive: { workers: 0 },
  });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const resources = [{ type: 'Local::Volume', id: 'db-data' }];
  const plan = await acme.plans.create({ name: 'volume', provider: 'gold', resources });
  return {
    bank,
    acme,
    protect: async (): Promise<CheckpointId> => (await (await acme.protect(plan.id)).result()).checkpoint,
    /** The proofs of all archives, in the order they were made. */
    async proofs(): Promise<string[]> {
      const proofs: string[] = [];
      for (const { id } of await all(acme.checkpoints.list())) {
        const { artifacts } = await acme.checkpoints.get(id);
        const copies = artifacts.flatMap(({ volume }) => volume?.copies ?? []);
        proofs.push(...copies.filter(({ kind }) => kind === 'archive').map(({ proof }) => proof));
      }
      return proofs;
    },
    async [Symbol.asyncDispose]() {
      await engine.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

const SEEN = 'source-compared';

it.each([
  [2, ['read-back', SEEN, 'read-back', SEEN, 'read-back']],
  [3, ['read-back', 'read-back', SEEN, 'read-back', 'read-back']],
])('of %i archives in a row one is compared with its source', async (every, proofs) => {
  await using volume = await openVolume(every);
  for (const _ of proofs) await volume.protect();
  expect(await volume.proofs()).toEqual(proofs);
});

it('a restore says nothing of the source: it does not put the comparison off', async () => {
  await using volume = await openVolume(2);
  const first = await volume.protect();
  await (await volume.acme.restore(first, { to: 'gold' })).result();
  expect(await volume.proofs()).toEqual(['restored']);
  await volume.protect();
  expect(await volume.proofs()).toEqual(['restored', SEEN]);
});

it('where the bank no longer tells, it is time to compare', async () => {
  await using volume = await openVolume(9);
  const { bank } = volume;
  const call = { signal: new AbortController().signal };
  const first = await volume.protect();
  await volume.protect();
  for await (const { key } of bank.list(`acme/artifacts/${first}`, call)) await bank.remove([key], call);
  const { artifacts } = await volume.acme.checkpoints.get(await volume.protect());
  const archives = artifacts.flatMap(
    ({ volume: of }) => of?.copies.filter(({ kind }) => kind === 'archive') ?? [],
  );
  expect(archives.map(({ proof }) => proof)).toEqual([SEEN]);
});
