import { expect, test } from 'vitest';
import { openFrozenBank } from './frozen-bank.ts';
import { expectCheckpoints } from './frozen-volumes.ts';

test('a bank written from the document alone is listed, opened, verified and restored', async () => {
  await using frozen = await openFrozenBank('written');
  await expectCheckpoints(frozen);
  const { checkpoints } = frozen.expected;
  expect(checkpoints.map(({ state }) => state)).toEqual(['available', 'partial']);
  expect(checkpoints.flatMap(({ volumes }) => volumes)).toHaveLength(6);
});
