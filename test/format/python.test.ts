import { describe, expect, test } from 'vitest';
import { pythonSkipped, runPython } from './python.ts';

describe.skipIf(pythonSkipped !== undefined)(
  `the reader and the writer in Python${pythonSkipped === undefined ? '' : ` (${pythonSkipped})`}`,
  () => {
    test('pass their own tests', { timeout: 120_000 }, async () => {
      await expect(runPython('test_format.py')).resolves.toBe('');
    });
  },
);
