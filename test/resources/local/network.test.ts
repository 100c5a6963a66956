import { execFileSync } from 'node:child_process';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { localNetwork } from '../../../src/resources/local/network.ts';
import { aborted, call, collect, emptySystem, otherToken, shopSystem, token } from './system.ts';

const type = 'Local::Network';
const front = { type, id: 'front' };
const sameAnswer = { resolve: (key: { type: string; id: string }) => key, address: (text: string) => text };

describe('reading', () => {
  it('lists, finds and captures what is there', async () => {
    const { root, write } = await shopSystem();
    const networks = localNetwork({ root });
    const resource = { type, id: 'front', name: 'front', attributes: { cidr: '10.0.0.0/24' } };
    await write('networks/~unfinished.json', '{');
    await write('networks/note.txt', 'x');
    expect(await collect(networks.list(call))).toEqual([resource]);
    expect(await networks.find(['front', 'back', '../networks/front', ''], call)).toEqual([resource]);
    expect(await networks.capture(front, call)).toEqual({
      id: 'front',
      name: 'front',
      cidr: '10.0.0.0/24',
      metadata: { vlan: 7 },
    });
    expect(await networks.dependencies([resource], call)).toEqual({
      resources: [],
      edges: { from: [], to: [] },
      failures: [],
    });
  });

  it('takes a missing directory for an empty one, and makes nothing', async () => {
    const { root, files } = await emptySystem();
    const networks = localNetwork({ root: join(root, 'absent') });
    expect(await collect(networks.list(call))).toEqual([]);
    expect(await networks.find(['front'], call)).toEqual([]);
    await expect(networks.capture(front, call)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await files('.')).toEqual([]);
  });

  it.each([
    ['invalid JSON', '{"name": "front"'],
    ['no object', '[]'],
    ['a missing field', '{"name": "front"}'],
    ['no CIDR', '{"name": "front", "cidr": "10.0.0.0/33"}'],
    ['bytes that are no UTF-8', '\xff'],
    [
      'deep nesting',
      `{"name": "front", "cidr": "10.0.0.0/8", "x": ${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
    ],
    ['more than 1 MiB', JSON.stringify({ name: 'front', cidr: '10.0.0.0/8', x: 'x'.repeat(1024 * 1024) })],
  ])('refuses %s as CORRUPT, naming the file', async (_, content) => {
    const { root, write } = await emptySystem();
    await mkdir(join(root, 'networks'));
    await write('networks/front.json', content);
    if (content === '\xff') execFileSync('sh', ['-c', `printf '"\\377"' > ${root}/networks/front.json`]);
    const networks = localNetwork({ root });
    const refusal = { code: 'CORRUPT', message: expect.stringContaining('networks/front.json') };
    await expect(networks.capture(front, call)).rejects.toMatchObject(refusal);
    await expect(networks.find(['front'], call)).rejects.toMatchObject(refusal);
    await expect(collect(networks.list(call))).rejects.toMatchObject(refusal);
  });

  it('follows no link, neither to a record nor to the directory of records', async () => {
    const { root, write } = await emptySystem();
    await write('elsewhere/real.json', { name: 'real', cidr: '10.0.0.0/8' });
    await mkdir(join(root, 'networks'));
    await symlink(join(root, 'elsewhere/real.json'), join(root, 'networks/front.json'));
    const networks = localNetwork({ root });
    await expect(networks.capture(front, call)).rejects.toMatchObject({ code: 'CORRUPT' });
    await rm(join(root, 'networks'), { recursive: true });
    await symlink(join(root, 'elsewhere'), join(root, 'networks'));
    await expect(networks.find(['real'], call)).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    await expect(collect(networks.list(call))).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    await expect(
      networks.create({ id: 'new', name: 'n', cidr: '10.0.0.0/8' }, { token }, call),
    ).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  });

  it('refuses a pipe without waiting for its writer', async () => {
    const { root } = await emptySystem();
    await mkdir(join(root, 'networks'));
    execFileSync('mkfifo', [join(root, 'networks/front.json')]);
    await expect(localNetwork({ root }).capture(front, call)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('lets no id leave the root', async () => {
    const { root } = await shopSystem();
    const networks = localNetwork({ root });
    for (const id of ['../servers/web', 'a/b', '.hidden', '~x', '', 'x'.repeat(129)]) {
      await expect(networks.capture({ type, id }, call)).rejects.toMatchObject({ code: 'INVALID_ID' });
    }
  });

  it('names a root that is a file', async () => {
    const { root, write } = await emptySystem();
    await write('file', 'x');
    const networks = localNetwork({ root: join(root, 'file') });
    await expect(networks.find(['front'], call)).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining(join(root, 'file')),
    });
  });
});

describe('create and remove', () => {
  const description = { id: 'front', name: 'front', cidr: '10.0.0.0/24', metadata: { vlan: 7 }, extra: [1] };

  it('gives the original id where it is free, keeps unknown fields, and leaves one file', async () => {
    const { root, read, files } = await emptySystem();
    const networks = localNetwork({ root: join(root, 'new/site') });
    const made = await networks.create(description, { token }, call);
    expect(made).toEqual({ type, id: 'front', name: 'front', attributes: { cidr: '10.0.0.0/24' } });
    const { id: _, ...fields } = description;
    expect(await read('new/site/networks/front.json')).toEqual({ ...fields, token });
    expect(await files('new/site/networks')).toEqual(['front.json']);
    expect(await networks.capture(made, call)).toEqual(description);
  });

  it('gives another id beside the original, found again by the token even once the original is gone', async () => {
    const { root, files } = await shopSystem();
    const networks = localNetwork({ root });
    const made = await networks.create(description, { token }, call);
    expect(made.id).toBe('front-01234567');
    await rm(join(root, 'networks/front.json'));
    expect(await networks.create(description, { token }, call)).toEqual(made);
    expect(await files('networks')).toEqual(['front-01234567.json']);
  });

  it('makes one resource for callers with one token, and one each for others', async () => {
    const { root, files } = await emptySystem();
    const made = await Promise.all(
      [token, token, token, otherToken].map((each) =>
        localNetwork({ root }).create(description, { token: each }, call),
      ),
    );
    expect(new Set(made.slice(0, 3).map(({ id }) => id)).size).toBe(1);
    expect(made[3]?.id).not.toBe(made[0]?.id);
    expect(await files('networks')).toHaveLength(2);
  });

  it('takes the id of a damaged record for taken', async () => {
    const { root, write } = await emptySystem();
    await write('networks/front.json', 'damaged');
    expect((await localNetwork({ root }).create(description, { token }, call)).id).toBe('front-01234567');
  });

  it('keeps to the longest id', async () => {
    const { root, write } = await emptySystem();
    const id = 'x'.repeat(120);
    await write(`networks/${id}.json`, { name: 'n', cidr: '10.0.0.0/8' });
    const made = await localNetwork({ root }).create({ ...description, id }, { token }, call);
    expect(made.id).toBe(`${'x'.repeat(111)}-01234567`);
  });

  it.each([
    ['no id', { name: 'front', cidr: '10.0.0.0/24' }],
    ['an id that leaves the root', { ...description, id: '../front' }],
    ['a wrong field', { ...description, cidr: 7 }],
    ['more than 1 MiB', { ...description, extra: 'x'.repeat(1024 * 1024) }],
  ])('refuses a description with %s before any effect', async (_, wrong) => {
    const { root, files } = await emptySystem();
    await expect(localNetwork({ root }).create(wrong, { token }, call)).rejects.toMatchObject({
      code: 'CORRUPT',
    });
    expect(await files('.')).toEqual([]);
  });

  it('does not take a token from the description', async () => {
    const { root } = await emptySystem();
    const networks = localNetwork({ root });
    const made = await networks.create({ ...description, token: otherToken }, { token }, call);
    await networks.remove({ token: otherToken }, call);
    expect(await networks.find([made.id], call)).toEqual([made]);
  });

  it('removes what the token made, twice, and nothing else, past damaged records', async () => {
    const { root, write, files } = await shopSystem();
    await write('networks/damaged.json', 'damaged');
    const networks = localNetwork({ root });
    await networks.create(description, { token }, call);
    const other = await networks.create(description, { token: otherToken }, call);
    await networks.remove({ token }, call);
    await networks.remove({ token }, call);
    expect(await files('networks')).toEqual(['damaged.json', `${other.id}.json`, 'front.json'].sort());
  });

  it('removes nothing where there is nothing, not even a directory', async () => {
    const { root, files } = await emptySystem();
    await localNetwork({ root }).remove({ token }, call);
    expect(await files('.')).toEqual([]);
  });

  it('connects to nothing, but only what exists and carries the token', async () => {
    const { root } = await shopSystem();
    const networks = localNetwork({ root });
    const request = { token, description, ...sameAnswer };
    const made = await networks.create(description, { token }, call);
    await networks.connect(made, request, call);
    expect(await networks.capture(made, call)).toEqual({ ...description, id: made.id });
    for (const id of ['gone', 'front']) {
      await expect(networks.connect({ type, id }, request, call)).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
    }
  });
});

it('does nothing for an aborted call', async () => {
  const { root, files } = await shopSystem();
  const networks = localNetwork({ root });
  const description = { id: 'back', name: 'back', cidr: '10.0.0.0/24' };
  const reason = 'no longer wanted';
  await expect(collect(networks.list(aborted))).rejects.toThrow(reason);
  await expect(networks.find(['front'], aborted)).rejects.toThrow(reason);
  await expect(networks.capture(front, aborted)).rejects.toThrow(reason);
  await expect(networks.dependencies([{ ...front, name: '', attributes: {} }], aborted)).rejects.toThrow(
    reason,
  );
  await expect(networks.create(description, { token }, aborted)).rejects.toThrow(reason);
  await expect(networks.connect(front, { token, description, ...sameAnswer }, aborted)).rejects.toThrow(
    reason,
  );
  await expect(networks.remove({ token }, aborted)).rejects.toThrow(reason);
  expect(await files('networks')).toEqual(['front.json']);
});

it('refuses wrong options by name', () => {
  expect(() => localNetwork({ root: '' })).toThrow(/localNetwork.*root/);
});
