import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { createEngine, defineProvider } from '../../src/index.ts';
import { createKeyFile, keyFile } from '../../src/keys/file.ts';
import { local } from '../../src/providers/local.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { storageArraySnapshot } from '../../src/strategies/storage-array-snapshot.ts';
import { changeVolume, readVolume, SHOP, temporaryDirectory, writeShop } from '../core/engine/application.ts';
import { all } from '../core/engine/world.ts';
import { pythonSkipped, runPython } from './python.ts';

const call = { signal: new AbortController().signal };

describe.skipIf(pythonSkipped !== undefined)(
  `the reader in Python${pythonSkipped === undefined ? '' : ` (${pythonSkipped})`}`,
  () => {
    test('reads a checkpoint of snapshots that others made, and restores what was archived of it', async () => {
      await using directory = await temporaryDirectory();
      const [site, root, path] = ['a', 'bank', 'keys.json'].map((name) => join(directory.path, name));
      if (site === undefined || root === undefined || path === undefined) throw new Error('three paths');
      await writeShop(site);
      await createKeyFile({ path });
      const part = local({ root: site });
      const volumes = ['web-root', 'db-root', 'db-data'];
      const wanted = volumes.map((id) => ({ array: 'files', id, size: 0 }));
      await part.arrays?.[0]?.snapshot(wanted, 'nightly', call);
      const bytes = await readVolume(site, 'db-data');
      await changeVolume(site, 'db-data', 4096, 'changed since');
      const banks = [{ bank: filesystemBank(root), keys: keyFile({ path }), role: 'primary' as const }];
      const strategies = [storageArraySnapshot()];
      const providers = [defineProvider({ name: 'gold', site: 'a', parts: [part], strategies, banks })];
      await using engine = await createEngine({ store: memoryStore(), providers });
      const acme = engine.for({ tenant: 'acme', actor: 'test' });
      const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
      const snapshots = await all(acme.snapshots(plan.id));
      const adopting = await acme.adopt(plan.id, { ownership: 'leave', snapshots });
      const { checkpoint } = await adopting.result();
      await (await acme.archive(checkpoint)).result();
      await (await acme.hold(checkpoint, { reason: 'read by another' })).result();

      const bank = ['--bank', root, '--keys', path, '--tenant', 'acme'];
      await expect(runPython('read_bank.py', ...bank, 'check')).resolves.toBe('');
      const out = join(directory.path, 'out');
      await runPython('read_bank.py', ...bank, 'restore', checkpoint, 'db-data', out);
      expect(Buffer.compare(await readFile(out), bytes)).toBe(0);
    });
  },
);
