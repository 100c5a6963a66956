import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { createKeyFile, keyFile, rotateKeyFile } from '../../src/keys/file.ts';
import { keyProviderSuite } from '../../src/testing/key-provider-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';

const suite = keyProviderSuite({
  name: 'keyFile',
  rotates: true,
  async create() {
    const folder = await mkdtemp(join(tmpdir(), 'fafnir-keys-'));
    const path = join(folder, 'keys.json');
    await createKeyFile({ path });
    const rotate = async () => {
      await rotateKeyFile({ path });
      return keyFile({ path });
    };
    return { provider: keyFile({ path }), rotate, dispose: () => rm(folder, { recursive: true }) };
  },
});

registerSuite(suite, { describe, it });
