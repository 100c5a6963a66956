import { describe, expect, it } from 'vitest';
import type { Resource } from '../../../src/core/contracts/index.ts';
import { localApplication } from '../../../src/resources/local/application.ts';
import { call, collect, emptySystem, shopSystem, token } from './system.ts';

const type = 'Local::Application';
const application = (id: string): Resource => ({ type, id, name: id, attributes: {} });

describe('localApplication', () => {
  it('depends on servers, networks and applications', async () => {
    const { root, write } = await shopSystem();
    await write('applications/office.json', { name: 'Office', servers: ['web'], applications: ['shop'] });
    const applications = localApplication({ root });
    expect((await collect(applications.list(call))).map(({ name }) => name).sort()).toEqual([
      'Office',
      'Shop',
    ]);
    const found = await applications.dependencies([application('shop'), application('office')], call);
    expect(found.resources.map((target) => `${target.type} ${target.id}`)).toEqual([
      'Local::Server web',
      'Local::Server database',
      'Local::Network front',
      'Local::Application shop',
    ]);
    expect(found.edges).toEqual({ from: [0, 0, 0, 1, 1], to: [0, 1, 2, 0, 3] });
    expect(found.failures).toEqual([]);
  });

  it('gives a cycle as edges, for the graph to report', async () => {
    const { root, write } = await emptySystem();
    await write('applications/a.json', { name: 'a', servers: [], applications: ['b'] });
    await write('applications/b.json', { name: 'b', servers: [], applications: ['a'] });
    const batch = [application('a'), application('b')];
    const { resources, edges, failures } = await localApplication({ root }).dependencies(batch, call);
    expect(resources.map(({ id }) => id)).toEqual(['b', 'a']);
    expect(edges).toEqual({ from: [0, 1], to: [0, 1] });
    expect(failures).toEqual([]);
  });

  it('counts a reference that is written twice once, and keeps the edges beside one that is gone', async () => {
    const { root, write } = await shopSystem();
    await write('applications/shop.json', { name: 'Shop', servers: ['web', 'gone', 'web', 'database'] });
    const found = await localApplication({ root }).dependencies([application('shop')], call);
    expect(found.edges).toEqual({ from: [0, 0], to: [0, 1] });
    expect(found.failures).toEqual([
      {
        at: 0,
        error: expect.objectContaining({ code: 'NOT_FOUND', message: expect.stringContaining('gone') }),
      },
    ]);
  });

  it('is created empty and joined to what stands for its parts, with no field more than the original', async () => {
    const { root, read, write } = await shopSystem();
    await write('applications/office.json', { name: 'Office', servers: ['web'], applications: ['shop'] });
    const applications = localApplication({ root });
    const description = await applications.capture(application('office'), call);
    const made = await applications.create(description, { token }, call);
    expect(await read(`applications/${made.id}.json`)).toEqual({ name: 'Office', servers: [], token });
    await applications.connect(
      made,
      {
        token,
        description,
        resolve: ({ type: of, id }) => ({ type: of, id: id === 'web' ? 'database' : id }),
        address: (address) => address,
      },
      call,
    );
    expect(await read(`applications/${made.id}.json`)).toEqual({
      name: 'Office',
      servers: ['database'],
      applications: ['shop'],
      token,
    });
  });
});
