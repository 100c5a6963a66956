import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/index.ts';

it('docs/errors.md lists every code with its hint, and no other', () => {
  const page = readFileSync('docs/errors.md', 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  const expected = Object.entries(ERROR_CODES).map(
    ([code, { retryable, hint }]) => `| \`${code}\` | ${retryable ? 'yes' : 'no'} | ${hint} |`,
  );
  expect(rows).toEqual(expected);
});
