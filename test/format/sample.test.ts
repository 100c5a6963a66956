import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type FrozenBank, openFrozenBank } from './frozen-bank.ts';
import { expectCheckpoints } from './frozen-volumes.ts';
import { pythonSkipped, runPython } from './python.ts';

test('a bank that an engine wrote once is listed, opened, verified and restored', async () => {
  await using frozen = await openFrozenBank('sample');
  await expectCheckpoints(frozen);
  expect(frozen.expected.checkpoints.map(({ state }) => state)).toEqual([
    'available',
    'available',
    'removed',
  ]);
});

describe.skipIf(pythonSkipped !== undefined)(
  `the reader in Python${pythonSkipped === undefined ? '' : ` (${pythonSkipped})`}`,
  () => {
    const read = ({ path, expected }: FrozenBank, ...command: readonly string[]): Promise<string> => {
      const bank = ['--bank', join(path, 'bank'), '--keys', join(path, 'keys.json')];
      return runPython('read_bank.py', ...bank, '--tenant', expected.tenant, ...command);
    };

    test('finds nothing wrong with it, and lists it', async () => {
      await using frozen = await openFrozenBank('sample');
      await expect(read(frozen, 'check')).resolves.toBe('');
      const lines = (await read(frozen, 'list')).trimEnd().split('\n');
      const listed = lines.map((line) => JSON.parse(line) as { readonly id: string; readonly state: string });
      expect(listed.map(({ id, state }) => ({ id, state }))).toEqual(
        frozen.expected.checkpoints.map(({ id, state }) => ({ id, state })),
      );
    });

    test('restores every volume of it', async () => {
      await using frozen = await openFrozenBank('sample');
      const out = join(frozen.path, 'out');
      let restored = 0;
      for (const { id, volumes } of frozen.expected.checkpoints) {
        for (const volume of volumes) {
          await read(frozen, 'restore', id, volume.id, out);
          const bytes = await readFile(out);
          expect(createHash('sha256').update(bytes).digest('hex')).toBe(volume.sha256);
          restored += 1;
        }
      }
      expect(restored).toBe(4);
    });
  },
);
