import { open, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ArraySnapshot, ArrayTarget, StorageArray } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { localVolume } from '../../../src/resources/local/volume.ts';
import { aborted, call, collect, emptySystem, otherToken, shopSystem, token } from './system.ts';

const type = 'Local::Volume';
const data = { type, id: 'db-data' };
const description = { id: 'db-data', name: 'database files', metadata: { tier: 'fast' }, size: 65536 };

const unused = (): never => {
  throw new Error('not a part of this test');
};

/** The part of an array that a volume needs: raw files that are made and removed. */
function rawFiles(root: string, target: Partial<ArrayTarget> | undefined = {}): StorageArray {
  const path = (id: string): string => join(root, 'volumes', `${id}.raw`);
  return {
    contract: 1,
    name: 'disks',
    capabilities: unused,
    snapshot: unused,
    find: unused,
    list: unused,
    remove: unused,
    open: unused,
    target: {
      async create({ name, size }) {
        const file = await open(path(name), 'a');
        await file.close();
        await truncate(path(name), size);
        return { array: 'disks', id: name, size };
      },
      openForWrite: unused,
      remove: ({ id }) => rm(path(id), { force: true }),
      ...target,
    },
  };
}

const snapshotOf = (size: number): ArraySnapshot => ({
  name: 'snap',
  volume: { array: 'disks', id: 'db-data', size },
  reference: {},
  takenAt: new Date(0).toISOString(),
});

const system = async () => {
  const shop = await shopSystem();
  return { ...shop, volumes: localVolume({ root: shop.root, array: rawFiles(shop.root) }) };
};

describe('reading', () => {
  it('shows raw files, with or without a record, and no record without a raw file', async () => {
    const { volumes, write } = await system();
    await write('volumes/lost.json', { name: 'lost' });
    const listed = await collect(volumes.list(call));
    expect(listed.toSorted((a, b) => a.id.localeCompare(b.id))).toEqual([
      { type, id: 'db-data', name: 'database files', attributes: { size: 65536 } },
      { type, id: 'db-root', name: 'db-root', attributes: { size: 4096 } },
      { type, id: 'web-root', name: 'web-root', attributes: { size: 8192 } },
    ]);
    expect(await volumes.find(['lost', 'db-data', '../x'], call)).toHaveLength(1);
    expect(await volumes.capture(data, call)).toEqual(description);
    expect(await volumes.volumes?.(data, call)).toEqual([{ array: 'disks', id: 'db-data', size: 65536 }]);
  });

  it('reports a missing raw file', async () => {
    const { volumes } = await system();
    const gone = { type, id: 'gone' };
    const refusal = { code: 'NOT_FOUND', message: expect.stringContaining('gone') };
    await expect(volumes.capture(gone, call)).rejects.toMatchObject(refusal);
    await expect(volumes.volumes?.(gone, call)).rejects.toMatchObject(refusal);
    const batch = [data, gone].map((key) => ({ ...key, name: '', attributes: {} }));
    expect(await volumes.dependencies(batch, call)).toEqual({
      resources: [],
      edges: { from: [], to: [] },
      failures: [{ at: 1, error: expect.objectContaining(refusal) }],
    });
  });

  it('follows no link to a raw file', async () => {
    const { volumes, root } = await system();
    await symlink(join(root, 'volumes/db-data.raw'), join(root, 'volumes/link.raw'));
    await expect(volumes.capture({ type, id: 'link' }, call)).rejects.toMatchObject({ code: 'CORRUPT' });
  });
});

describe('create and remove', () => {
  it('makes a volume beside the original, found again by the token with what was written to it', async () => {
    const { volumes, root, files } = await system();
    const made = await volumes.create(description, { token }, call);
    expect(made).toEqual({
      type,
      id: 'db-data-01234567',
      name: 'database files',
      attributes: { size: 65536 },
    });
    const raw = join(root, 'volumes/db-data-01234567.raw');
    const file = await open(raw, 'r+');
    await file.write('written');
    await file.close();
    const before = await files('volumes');
    expect(await volumes.create(description, { token }, call)).toEqual(made);
    expect(await files('volumes')).toEqual(before);
    expect((await stat(raw)).size).toBe(65536);
  });

  it('takes the id of a raw file without a record for taken', async () => {
    const { volumes } = await system();
    const made = await volumes.create({ id: 'db-root', name: 'root', size: 4096 }, { token }, call);
    expect(made.id).toBe('db-root-01234567');
  });

  it('ends what a process began that died between record and raw file', async () => {
    const { root, write, files } = await emptySystem();
    await write('volumes/db-data.json', { name: 'database files', token });
    const volumes = localVolume({ root, array: rawFiles(root) });
    expect(await collect(volumes.list(call))).toEqual([]);
    expect((await volumes.create(description, { token }, call)).id).toBe('db-data');
    expect(await files('volumes')).toEqual(['db-data.json', 'db-data.raw']);
  });

  it('can be undone where the array made no volume', async () => {
    const { root, files } = await emptySystem();
    const create = async (): Promise<never> => {
      throw new FafnirError('NO_SPACE', 'disks is full');
    };
    const full = localVolume({ root, array: rawFiles(root, { create }) });
    await expect(full.create(description, { token }, call)).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect(await collect(full.list(call))).toEqual([]);
    await full.remove({ token }, call);
    expect(await files('volumes')).toEqual([]);
  });

  it('lets the array make it from a snapshot, once', async () => {
    const { root, files } = await emptySystem();
    const asked: string[] = [];
    const array: StorageArray = {
      ...rawFiles(root),
      async clone({ volume, name: snapshot }, name) {
        asked.push(`${snapshot} as ${name}`);
        await writeFile(join(root, 'volumes', `${name}.raw`), 'x'.repeat(volume.size));
        return { array: 'disks', id: name, size: volume.size };
      },
    };
    const volumes = localVolume({ root, array });
    expect(volumes.clones).toEqual(['disks']);
    const from = snapshotOf(65536);
    const made = await volumes.create(description, { token, from }, call);
    expect(made).toMatchObject({ id: 'db-data', attributes: { size: 65536 } });
    expect(await volumes.create(description, { token, from }, call)).toEqual(made);
    expect(await volumes.create(description, { token }, call)).toEqual(made);
    expect(asked).toEqual(['snap as db-data', 'snap as db-data']);
    expect(await files('volumes')).toEqual(['db-data.json', 'db-data.raw']);
    await volumes.remove({ token }, call);
    expect(await files('volumes')).toEqual([]);
  });

  it('refuses before any effect a snapshot that it cannot be made from', async () => {
    const { root, files } = await emptySystem();
    const able = { ...rawFiles(root), clone: unused };
    const cases: readonly (readonly [StorageArray, ArraySnapshot])[] = [
      [able, snapshotOf(4096)],
      [able, { ...snapshotOf(65536), volume: { array: 'tapes', id: 'db-data', size: 65536 } }],
      [rawFiles(root), snapshotOf(65536)],
    ];
    for (const [array, from] of cases) {
      await expect(
        localVolume({ root, array }).create(description, { token, from }, call),
      ).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringMatching(/makes no volume of 65536 bytes from a snapshot of/),
      });
    }
    expect(await files('.')).toEqual([]);
    expect(localVolume({ root, array: rawFiles(root) })).not.toHaveProperty('clones');
  });

  it('makes without the snapshot what was begun with one that is gone', async () => {
    const { root, files } = await emptySystem();
    const clone = async (): Promise<never> => {
      throw new FafnirError('NOT_FOUND', 'no such snapshot');
    };
    const volumes = localVolume({ root, array: { ...rawFiles(root), clone } });
    await expect(volumes.create(description, { token, from: snapshotOf(65536) }, call)).rejects.toMatchObject(
      { code: 'NOT_FOUND' },
    );
    expect((await volumes.create(description, { token }, call)).id).toBe('db-data');
    expect(await files('volumes')).toEqual(['db-data.json', 'db-data.raw']);
  });

  it('refuses an array that names the volume otherwise', async () => {
    const { root } = await emptySystem();
    const create: ArrayTarget['create'] = async ({ size }) => ({ array: 'disks', id: 'other', size });
    const volumes = localVolume({ root, array: rawFiles(root, { create }) });
    await expect(volumes.create(description, { token }, call)).rejects.toMatchObject({
      code: 'WRONG_ANSWER',
    });
  });

  it('refuses before any effect an array without targets, a wrong description, and an aborted call', async () => {
    const { root, files } = await emptySystem();
    const { target: _, ...readOnly } = rawFiles(root);
    await expect(
      localVolume({ root, array: readOnly }).create(description, { token }, call),
    ).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('disks') });
    const volumes = localVolume({ root, array: rawFiles(root) });
    await expect(volumes.create({ ...description, size: -1 }, { token }, call)).rejects.toMatchObject({
      code: 'CORRUPT',
    });
    await expect(volumes.create(description, { token }, aborted)).rejects.toThrow('no longer wanted');
    expect(await files('.')).toEqual([]);
  });

  it('removes the volume and its record, twice, and nothing that the token did not make', async () => {
    const { volumes, files } = await system();
    const before = await files('volumes');
    await volumes.create(description, { token }, call);
    await volumes.remove({ token: otherToken }, call);
    expect(await files('volumes')).toHaveLength(before.length + 2);
    await volumes.remove({ token }, call);
    await volumes.remove({ token }, call);
    expect(await files('volumes')).toEqual(before);
  });

  it('ends a removal that died between raw file and record', async () => {
    const { volumes, root, files } = await system();
    const before = await files('volumes');
    const made = await volumes.create(description, { token }, call);
    await rm(join(root, `volumes/${made.id}.raw`));
    await volumes.remove({ token }, call);
    expect(await files('volumes')).toEqual(before);
  });

  it('connects to nothing, but only what exists and carries the token', async () => {
    const { volumes, root } = await system();
    const made = await volumes.create(description, { token }, call);
    const request = { token, description, resolve: unused, address: unused };
    await volumes.connect(made, request, call);
    await writeFile(join(root, 'volumes/readme.txt'), 'x');
    for (const id of ['gone', 'db-data', 'db-root']) {
      await expect(volumes.connect({ type, id }, request, call)).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
    }
  });
});

it('refuses an array that is none', () => {
  const array = JSON.parse('{}');
  expect(() => localVolume({ root: '/srv', array })).toThrow(/localVolume: array: not a StorageArray/);
});
