import { expect, it } from 'vitest';
import { memoryKeys } from '../../src/testing/memory-keys.ts';

const call = { signal: new AbortController().signal };
const dataKey = new Uint8Array(32).fill(1);

it('key providers in memory agree where they are given one key', async () => {
  const key = new Uint8Array(32).fill(2);
  const wrapped = await memoryKeys({ key }).wrap(dataKey, 'context', call);
  expect(await memoryKeys({ key }).unwrap(wrapped, 'context', call)).toEqual(dataKey);
});

it('key providers in memory each have a key of chance otherwise, and say which one they miss', async () => {
  const wrapped = await memoryKeys().wrap(dataKey, 'context', call);
  await expect(memoryKeys({ name: 'other' }).unwrap(wrapped, 'context', call)).rejects.toMatchObject({
    code: 'UNKNOWN_KEY',
    message: expect.stringMatching(`^other has no key .*${wrapped.by}`),
  });
});

it.each([31, 33, 0])('a key of %i bytes is refused', (size) => {
  expect(() => memoryKeys({ key: new Uint8Array(size) })).toThrow(/key: must have 32 bytes/);
});
