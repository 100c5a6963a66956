import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { local } from '../../src/providers/local.ts';

const call = { signal: new AbortController().signal };
const token = '0123456789abcdef0123456789abcdef';

async function emptyRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'fafnir-local-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return root;
}

it('joins the types, the array and the strategy of a directory, and makes nothing', async () => {
  const root = await emptyRoot();
  const part = local({ root: join(root, 'absent') });
  expect(part.name).toBe('local');
  expect(part.protectables?.map(({ type }) => type)).toEqual([
    'Local::Application',
    'Local::Server',
    'Local::Network',
    'Local::Volume',
  ]);
  expect(part.arrays?.map(({ name }) => name)).toEqual(['files']);
  expect(part.strategies?.map(({ name }) => name)).toEqual(['volume-snapshot']);
  expect(await readdir(root)).toEqual([]);
});

it('makes and removes volumes on the array that it names', async () => {
  const root = await emptyRoot();
  const volumes = local({ root, array: 'left' }).protectables?.find(({ type }) => type === 'Local::Volume');
  const description = { id: 'data', name: 'data', size: 1024 * 1024 };
  const made = await volumes?.create(description, { token }, call);
  expect(made).toMatchObject({ id: 'data', attributes: { size: 1024 * 1024 } });
  if (volumes === undefined || made === undefined) return;
  expect(await volumes.create(description, { token }, call)).toEqual(made);
  expect(await volumes.volumes?.(made, call)).toEqual([{ array: 'left', id: 'data', size: 1024 * 1024 }]);
  expect((await readdir(join(root, 'volumes'))).sort()).toEqual(['data.json', 'data.raw']);
  await volumes.remove({ token }, call);
  expect(await readdir(join(root, 'volumes'))).toEqual([]);
});

it('refuses wrong options by name', () => {
  expect(() => local({ root: '' })).toThrow(/local: root/);
  expect(() => local(JSON.parse('{"root": "/srv", "path": "/srv"}'))).toThrow(/unknown option path/);
});
