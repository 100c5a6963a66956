import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import { wrap } from '../../../src/banks/wrappers/wrap.ts';
import { tenantsIn } from '../../../src/core/archive/tenants.ts';
import type { Bank } from '../../../src/core/contracts/index.ts';
import { temporaryDirectory } from '../engine/application.ts';
import { all } from '../engine/world.ts';

const call = { signal: new AbortController().signal };
// In the order of their keys: what follows a name may sort before a slash or behind it.
const TENANTS = ['A', 'a-b', 'a.b', 'a', 'a0-', 'a0', 'aa', 'b'];

async function directoryBank(): Promise<Bank> {
  const directory = await temporaryDirectory();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  return filesystemBank({ root: join(directory.path, 'bank'), name: 'bank' });
}

it.each([
  ['in memory', async () => memoryBank({ name: 'bank' })],
  ['on disk', directoryBank],
] as const)('the tenants of a bank %s are found with one short list for each', async (_, make) => {
  const sound = await make();
  for (const tenant of TENANTS) {
    for (const key of ['commits/c1=p1', 'data/00/x', 'keys/k', 'zzz/0'])
      await sound.put(`${tenant}/${key}`, new Uint8Array(1), { ifAbsent: true, ...call });
  }
  for (const other of ['_not-a-tenant/x', 'top', '=/x', 'zz'])
    await sound.put(other, new Uint8Array(1), { ifAbsent: true, ...call });
  let seen = 0;
  const bank = wrap(sound, {
    async *list(prefix, options) {
      for await (const object of sound.list(prefix, options)) {
        seen += 1;
        yield object;
      }
    },
  });
  expect(await all(tenantsIn(bank, call))).toEqual(TENANTS);
  expect(seen).toBe(TENANTS.length + 4);
});

it('a bank that is empty has no tenants', async () => {
  expect(await all(tenantsIn(memoryBank({ name: 'bank' }), call))).toEqual([]);
});
