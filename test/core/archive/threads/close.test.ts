import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const closer = fileURLToPath(new URL('fixtures/closer.ts', import.meta.url));

it('a process lives until its threads have ended, whatever they still answer', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [closer]);
  expect(stdout).toBe('closed');
});
