import { join } from 'node:path';
import { expect, it } from 'vitest';
import { nightlyArchive } from '../../examples/own-strategy/nightly-archive.ts';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { createEngine, defineProvider } from '../../src/index.ts';
import { local } from '../../src/providers/local.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { KEYS } from '../core/archive/vaults.ts';
import { SHOP, temporaryDirectory, writeShop } from '../core/engine/application.ts';

it("a host's own strategy decides, is recorded, and its archives are made", async () => {
  await using directory = await temporaryDirectory();
  const site = join(directory.path, 'a');
  await writeShop(site);
  const bank = filesystemBank(join(directory.path, 'bank'));
  const gold = defineProvider({
    name: 'gold',
    site: 'a',
    parts: [local({ root: site })],
    strategies: [nightlyArchive],
    banks: [{ bank, keys: KEYS, role: 'primary' }],
  });
  await using engine = await createEngine({ store: memoryStore(), providers: [gold] });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  const preview = await acme.preview.protect(plan.id);
  const previewed = preview.snapshots.flatMap(({ volumes }) => volumes);
  expect(new Set(previewed.map(({ strategy }) => strategy.name))).toEqual(new Set(['nightly-archive']));
  const { checkpoint, archive } = await (await acme.protect(plan.id)).result();
  if (archive !== undefined) await acme.jobs.handle(archive).result();
  const { artifacts } = await acme.checkpoints.get(checkpoint);
  const volumes = artifacts.flatMap((artifact) => artifact.volume ?? []);
  for (const { volume, strategy } of volumes) {
    expect(strategy).toEqual({ name: 'nightly-archive', reason: `volume ${volume.id} is small` });
  }
  for (const { copies } of volumes) expect(copies.map(({ kind }) => kind)).toContain('archive');
});
