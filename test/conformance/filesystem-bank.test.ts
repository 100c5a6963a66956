import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';

const suite = bankSuite({
  name: 'filesystemBank',
  async create() {
    const folder = await mkdtemp(join(tmpdir(), 'fafnir-bank-'));
    return {
      bank: filesystemBank(join(folder, 'bank')),
      dispose: () => rm(folder, { recursive: true }),
    };
  },
});

registerSuite(suite, { describe, it });
