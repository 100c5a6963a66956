import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ConnectRequest, ResourceKey } from '../../../src/core/contracts/index.ts';
import { localServer } from '../../../src/resources/local/server.ts';
import { aborted, call, collect, otherToken, shopSystem, token } from './system.ts';

const type = 'Local::Server';
const web = { type, id: 'web', name: 'web server', attributes: { cpus: 2, memory: 2 ** 31 } };
const database = { type, id: 'database', name: 'database server', attributes: { cpus: 4, memory: 2 ** 33 } };

describe('discovery', () => {
  it('lists servers and groups their volumes', async () => {
    const { root } = await shopSystem();
    const servers = localServer({ root });
    expect(servers.groupsVolumes).toBe(true);
    const listed = await collect(servers.list(call));
    expect(listed.toSorted((a, b) => a.id.localeCompare(b.id))).toEqual([database, web]);
  });

  it('gives networks and volumes as dependencies, each target once', async () => {
    const { root } = await shopSystem();
    const { resources, edges, failures } = await localServer({ root }).dependencies([web, database], call);
    expect(resources.map((target) => `${target.type} ${target.id}`)).toEqual([
      'Local::Network front',
      'Local::Volume web-root',
      'Local::Volume db-root',
      'Local::Volume db-data',
    ]);
    expect(resources[3]).toEqual({
      type: 'Local::Volume',
      id: 'db-data',
      name: 'database files',
      attributes: { size: 65536 },
    });
    expect({ from: Array.from(edges.from), to: Array.from(edges.to) }).toEqual({
      from: [0, 0, 1, 1, 1],
      to: [0, 1, 0, 2, 3],
    });
    expect(failures).toEqual([]);
  });

  it('reports each server that has a target which is gone or damaged, or is gone itself', async () => {
    const { root, write } = await shopSystem();
    await rm(join(root, 'volumes/db-data.raw'));
    await write('volumes/web-root.json', 'damaged');
    const gone = { ...web, id: 'gone' };
    const { resources, failures } = await localServer({ root }).dependencies([web, database, gone], call);
    expect(resources.map(({ id }) => id)).toEqual(['front', 'db-root']);
    expect(failures).toEqual([
      { at: 0, error: expect.objectContaining({ code: 'CORRUPT' }) },
      {
        at: 1,
        error: expect.objectContaining({ code: 'NOT_FOUND', message: expect.stringContaining('db-data') }),
      },
      { at: 2, error: expect.objectContaining({ code: 'NOT_FOUND' }) },
    ]);
  });

  it('does not take an abort for a failure of an item', async () => {
    const { root } = await shopSystem();
    await expect(localServer({ root }).dependencies([web], aborted)).rejects.toThrow('no longer wanted');
  });
});

describe('create and connect', () => {
  const joining = (
    description: ConnectRequest['description'],
    ids: Readonly<Record<string, string>> = {},
    addresses: Readonly<Record<string, string>> = {},
  ): ConnectRequest => ({
    token,
    description,
    resolve: (key) => ({ ...key, id: ids[key.id] ?? key.id }),
    address: (address) => addresses[address] ?? address,
  });

  it('creates alone, then joins as the original was, keeping every field; may be repeated', async () => {
    const { root, read } = await shopSystem();
    const servers = localServer({ root });
    const description = await servers.capture(web, call);
    const made = await servers.create(description, { token }, call);
    expect(await read(`servers/${made.id}.json`)).toMatchObject({ networks: [], volumes: [] });
    await servers.connect(made, joining(description, { 'web-root': 'db-root' }), call);
    await servers.connect(made, joining(description, { 'web-root': 'db-root' }), call);
    expect(await servers.capture(made, call)).toEqual({
      ...description,
      id: made.id,
      volumes: [{ volume: 'db-root', bootOrder: 0 }],
    });
    expect(await servers.capture(web, call)).toEqual(description);
  });

  it('keeps what was changed of the created resource, such as its name', async () => {
    const { root, read } = await shopSystem();
    const servers = localServer({ root });
    const description = await servers.capture(web, call);
    const made = await servers.create({ ...description, name: 'renamed' }, { token }, call);
    await servers.connect(made, joining(description), call);
    expect(await read(`servers/${made.id}.json`)).toMatchObject({ name: 'renamed', token });
  });

  it('refuses an address outside the new network, and takes one that is mapped into it', async () => {
    const { root, write, read } = await shopSystem();
    await write('networks/back.json', { name: 'back', cidr: '192.168.4.0/22' });
    const servers = localServer({ root });
    const description = await servers.capture(web, call);
    const made = await servers.create(description, { token }, call);
    for (const addresses of [{}, { '10.0.0.10': '192.168.8.1' }, { '10.0.0.10': 'nowhere' }]) {
      await expect(
        servers.connect(made, joining(description, { front: 'back' }, addresses), call),
      ).rejects.toMatchObject({ code: 'MAPPING_GAP', message: expect.stringContaining('10.0.0.10') });
    }
    expect(await read(`servers/${made.id}.json`)).toMatchObject({ networks: [] });
    const mapped = joining(description, { front: 'back' }, { '10.0.0.10': '192.168.7.255' });
    await servers.connect(made, mapped, call);
    expect(await read(`servers/${made.id}.json`)).toMatchObject({
      networks: [{ network: 'back', address: '192.168.7.255', port: 'p1' }],
    });
  });

  it('keeps an address where the other network has the same range', async () => {
    const { root, write, read } = await shopSystem();
    await write('networks/front-2.json', { name: 'front', cidr: '10.0.0.0/24' });
    const servers = localServer({ root });
    const description = await servers.capture(web, call);
    const made = await servers.create(description, { token }, call);
    await servers.connect(made, joining(description, { front: 'front-2' }), call);
    expect(await read(`servers/${made.id}.json`)).toMatchObject({
      networks: [{ network: 'front-2', address: '10.0.0.10' }],
    });
  });

  it('joins no server that does not carry the token, and asks nothing before it refuses', async () => {
    const { root, read } = await shopSystem();
    const servers = localServer({ root });
    const description = await servers.capture(web, call);
    const made = await servers.create(description, { token }, call);
    const files = [`servers/${made.id}.json`, 'servers/web.json'];
    const before = await Promise.all(files.map(read));
    const asked = (): never => {
      throw new Error('asked for what the server is joined to');
    };
    const request = { ...joining(description), resolve: asked, address: asked };
    const refusal = { code: 'NOT_FOUND', message: expect.stringContaining('token') };
    await expect(servers.connect(web, request, call)).rejects.toMatchObject(refusal);
    await expect(servers.connect(made, { ...request, token: otherToken }, call)).rejects.toMatchObject(
      refusal,
    );
    expect(await Promise.all(files.map(read))).toEqual(before);
  });

  it('refuses what does not exist, is of another type, or cannot be a description', async () => {
    const { root, read } = await shopSystem();
    const servers = localServer({ root });
    const description = await servers.capture(web, call);
    const made = await servers.create(description, { token }, call);
    const gone = joining(description, { 'web-root': 'gone' });
    await expect(servers.connect(made, gone, call)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const foreign = {
      ...joining(description),
      resolve: ({ id }: ResourceKey): ResourceKey => ({ type: 'Other::Type', id }),
    };
    await expect(servers.connect(made, foreign, call)).rejects.toMatchObject({ code: 'MAPPING_GAP' });
    await expect(servers.connect(made, joining({ name: 'x' }), call)).rejects.toMatchObject({
      code: 'CORRUPT',
    });
    expect(await read(`servers/${made.id}.json`)).toMatchObject({ networks: [], volumes: [] });
  });
});
