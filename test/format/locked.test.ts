import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createEngine, defineProvider } from '../../src/index.ts';
import { createKeyFile, keyFile } from '../../src/keys/file.ts';
import { local } from '../../src/providers/local.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { lockingBank, plunder } from '../banks/locking-bank.ts';
import { readVolume, SHOP, temporaryDirectory, writeShop } from '../core/engine/application.ts';
import { pythonSkipped, runPython } from './python.ts';

describe.skipIf(pythonSkipped !== undefined)(
  `the reader in Python${pythonSkipped === undefined ? '' : ` (${pythonSkipped})`}`,
  () => {
    test('restores a locked checkpoint from what nobody could remove', async () => {
      await using directory = await temporaryDirectory();
      const [root, locks, site, path, out] = ['bank', 'locks', 'a', 'keys.json', 'out'].map((name) =>
        join(directory.path, name),
      ) as [string, string, string, string, string];
      await writeShop(site);
      await createKeyFile({ path });
      const storage = lockingBank({ bank: root, locks });
      const banks = [{ bank: storage, keys: keyFile({ path }), role: 'primary' as const }];
      const providers = [defineProvider({ name: 'gold', site: 'a', parts: [local({ root: site })], banks })];
      await using engine = await createEngine({ store: memoryStore(), providers });
      const acme = engine.for({ tenant: 'acme', actor: 'test' });
      const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
      const { checkpoint } = await (await acme.protect(plan.id, { policy: { lock: 1 } })).result();
      await plunder(storage);

      const bank = ['--bank', root, '--keys', path, '--tenant', 'acme'];
      await expect(runPython('read_bank.py', ...bank, 'check')).resolves.toBe('');
      await runPython('read_bank.py', ...bank, 'restore', checkpoint, 'db-data', out);
      expect(Buffer.compare(await readFile(out), await readVolume(site, 'db-data'))).toBe(0);
    });
  },
);
