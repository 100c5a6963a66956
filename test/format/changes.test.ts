import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { createEngine, defineProvider } from '../../src/index.ts';
import { createKeyFile, keyFile } from '../../src/keys/file.ts';
import { local } from '../../src/providers/local.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { storageArraySnapshot } from '../../src/strategies/storage-array-snapshot.ts';
import {
  changeRecord,
  SHOP,
  temporaryDirectory,
  writeServer,
  writeShop,
} from '../core/engine/application.ts';
import { pythonSkipped, runPython } from './python.ts';

describe.skipIf(pythonSkipped !== undefined)(
  `the reader in Python${pythonSkipped === undefined ? '' : ` (${pythonSkipped})`}`,
  () => {
    test('reads what joined and what left since an earlier checkpoint', async () => {
      await using directory = await temporaryDirectory();
      const [site, bank, path] = ['a', 'bank', 'keys.json'].map((name) => join(directory.path, name));
      if (site === undefined || bank === undefined || path === undefined) throw new Error('three paths');
      await writeShop(site);
      await createKeyFile({ path });
      const banks = [{ bank: filesystemBank(bank), keys: keyFile({ path }), role: 'primary' as const }];
      const parts = [local({ root: site })];
      const gold = defineProvider({
        name: 'gold',
        site: 'a',
        parts,
        strategies: [storageArraySnapshot()],
        banks,
      });
      await using engine = await createEngine({ store: memoryStore(), providers: [gold] });
      const acme = engine.for({ tenant: 'acme', actor: 'test' });
      const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
      const made = async () => (await (await acme.protect(plan.id)).result()).checkpoint;
      const [first, second] = [await made(), await made()];
      await writeServer(site, 'new');
      await changeRecord(site, 'applications/shop', { servers: ['db', 'new'] });
      const third = await made();

      const read = async (...command: readonly string[]): Promise<string> =>
        runPython('read_bank.py', '--bank', bank, '--keys', path, '--tenant', 'acme', ...command);
      await expect(read('check')).resolves.toBe('');
      for (const id of [first, second, third]) {
        expect(JSON.parse(await read('changes', id))).toEqual(await acme.checkpoints.changes(id));
      }
      expect(await acme.checkpoints.changes(third)).toMatchObject({
        joined: [{ id: 'new' }, { id: 'new-root' }],
        left: [{ id: 'front' }, { id: 'web' }, { id: 'web-root' }],
      });
    });
  },
);
