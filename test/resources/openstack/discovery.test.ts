import { describe, expect, it } from 'vitest';
import type { CallOptions, Protectable, ResourceKey } from '../../../src/core/contracts/index.ts';
import { discover } from '../../../src/core/graph/discover.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { shop, TableCloud, type Tables } from './table-cloud.ts';

const PROJECT = { type: 'OS::Keystone::Project', id: 'p1' };
const server = (number: number): ResourceKey => ({ type: 'OS::Nova::Server', id: `server-${number}` });

const newCall = () => ({ signal: new AbortController().signal });

function protectablesOf(client: TableCloud): ReadonlyMap<string, Protectable> {
  return new Map(openStackResources({ client }).map((protectable) => [protectable.type, protectable]));
}

async function explore(tables: Tables, root: ResourceKey) {
  const client = new TableCloud(tables);
  const graph = await discover({ roots: [root], protectables: protectablesOf(client) }, newCall());
  const edgesOf = ({ type, id }: ResourceKey): string[] => {
    const position = graph.position({ type, id });
    if (position === undefined) throw new Error(`${type} ${id} was not found`);
    return [...graph.dependencies(position)].map((at) => graph.resources[at]?.id ?? '').sort();
  };
  return { client, graph, edgesOf };
}

describe('discovery of a project', () => {
  it('finds all that it has, and what that stands on', async () => {
    const { graph, edgesOf } = await explore(shop(1), PROJECT);
    expect(graph.resources.map(({ type, id }) => `${type} ${id}`).sort()).toEqual([
      'OS::Cinder::Volume volume-0',
      'OS::Keystone::Project p1',
      'OS::Neutron::FloatingIP floating-0',
      'OS::Neutron::Network net',
      'OS::Neutron::Network public',
      'OS::Neutron::Port port-0',
      'OS::Neutron::Router router',
      'OS::Neutron::SecurityGroup group-a',
      'OS::Neutron::SecurityGroup group-b',
      'OS::Neutron::SecurityGroupRule rule-1',
      'OS::Neutron::SecurityGroupRule rule-2',
      'OS::Nova::KeyPair key',
      'OS::Nova::Server server-0',
      'OS::Nova::ServerGroup apart',
    ]);
    expect(edgesOf(server(0))).toEqual(['apart', 'floating-0', 'key', 'port-0', 'router', 'volume-0']);
    expect(edgesOf({ type: 'OS::Neutron::FloatingIP', id: 'floating-0' })).toEqual([
      'port-0',
      'public',
      'router',
    ]);
    expect(edgesOf({ type: 'OS::Neutron::Router', id: 'router' })).toEqual(['net', 'public']);
    // A group does not depend on its rules, or groups that refer to each other were a cycle.
    expect(edgesOf({ type: 'OS::Neutron::Port', id: 'port-0' })).toEqual(['group-a', 'net', 'rule-1']);
    expect(edgesOf({ type: 'OS::Neutron::SecurityGroupRule', id: 'rule-1' })).toEqual(['group-a', 'group-b']);
  });

  it('asks as often for 40 servers as for 10', async () => {
    const [few, many] = [await explore(shop(10), PROJECT), await explore(shop(40), PROJECT)];
    expect(many.graph.resources.length).toBeGreaterThan(few.graph.resources.length + 100);
    expect(few.client.asked.toSorted()).toEqual(many.client.asked.toSorted());
    expect(new Set(few.client.asked).size).toBe(few.client.asked.length);
    expect(few.client.asked.length).toBeLessThanOrEqual(25);
  });

  it('shows names, metadata and tags', async () => {
    const { graph } = await explore(shop(1), server(0));
    const [found] = graph.resources.filter(({ type }) => type === 'OS::Nova::Server');
    expect(found).toMatchObject({ name: 'web 0', tags: { tier: 'web', gold: '' } });
    const [volume] = graph.resources.filter(({ type }) => type === 'OS::Cinder::Volume');
    expect(volume?.attributes).toMatchObject({ size: 2 * 1024 ** 3, status: 'in-use' });
  });

  it('leaves out a key pair that the user does not have, and the rest of the project', async () => {
    const { graph } = await explore(shop(2), server(1));
    const types = graph.resources.map(({ type }) => type);
    expect(types).not.toContain('OS::Nova::KeyPair');
    expect(types.filter((type) => type === 'OS::Nova::Server')).toHaveLength(1);
    expect(types).toContain('OS::Neutron::FloatingIP');
  });

  it('leaves out an image that is gone, of which a server needs nothing any more', async () => {
    const tables = shop(1);
    const [row = {}] = tables['compute/servers/detail'] ?? [];
    const image = { id: 'base' };
    const started = { ...tables, 'compute/servers/detail': [{ ...row, image }] };
    const rest = ['apart', 'floating-0', 'key', 'port-0', 'router', 'volume-0'];
    expect((await explore(started, server(0))).edgesOf(server(0))).toEqual(rest);
    const there = { ...started, 'image/images': [{ id: 'base', status: 'active' }] };
    expect((await explore(there, server(0))).edgesOf(server(0))).toEqual([...rest, 'base'].toSorted());
  });

  it.each([
    ['a volume', 'block-storage/volumes/detail', 'OS::Cinder::Volume volume-0'],
    ['a security group', 'network/security-groups', 'OS::Neutron::SecurityGroup group-a'],
  ])('fails where %s is named and not there', async (_, table, missing) => {
    await expect(explore({ ...shop(1), [table]: [] }, server(0))).rejects.toMatchObject({
      code: 'DISCOVERY_FAILED',
      message: expect.stringContaining(missing),
    });
  });

  it('takes no list that cannot be read for an empty one, and asks again', async () => {
    const client = new TableCloud(shop(1));
    const protectables = protectablesOf(client);
    const call = newCall();
    client.broken = 'network/floatingips';
    const attempt = () => discover({ roots: [PROJECT], protectables }, call);
    await expect(attempt()).rejects.toMatchObject({ code: 'DISCOVERY_FAILED', retryable: true });
    client.broken = undefined;
    expect((await attempt()).resources).toHaveLength(14);
  });
});

describe('lists that calls share', () => {
  it('are those of one signal, and not older than 30 seconds', async () => {
    const client = new TableCloud(shop(1));
    const clock = { now: () => 0, monotonic: () => time, sleep: async () => undefined };
    let time = 0;
    const volumes = openStackResources({ client, clock }).find(({ type }) => type === 'OS::Cinder::Volume');
    const readAt = async (at: number, call: CallOptions): Promise<number> => {
      time = at;
      await volumes?.dependencies([], call);
      return client.asked.length;
    };
    const [first, second] = [newCall(), newCall()];
    expect(await readAt(0, first)).toBe(1);
    expect(await readAt(29_999, first)).toBe(1);
    expect(await readAt(29_999, second)).toBe(2);
    expect(await readAt(30_000, first)).toBe(3);
  });
});

describe('lists of resources', () => {
  it('have what is the project’s own and was made by somebody', async () => {
    const protectables = protectablesOf(new TableCloud(shop(1)));
    const idsOf = async (type: string): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { id } of protectables.get(type)?.list(newCall()) ?? []) ids.push(id);
      return ids;
    };
    expect(await idsOf('OS::Neutron::Network')).toEqual(['net']);
    expect(await idsOf('OS::Neutron::Port')).toEqual(['port-0']);
    expect(await idsOf('OS::Keystone::Project')).toEqual(['p1']);
  });

  it('find what others share', async () => {
    const networks = protectablesOf(new TableCloud(shop(1))).get('OS::Neutron::Network');
    const found = await networks?.find(['public', 'nowhere', 'public'], newCall());
    expect(found?.map(({ id }) => id)).toEqual(['public']);
  });
});

describe('openStackResources', () => {
  it('has a Protectable of each type', () => {
    expect([...protectablesOf(new TableCloud({})).keys()].sort()).toEqual([
      'OS::Cinder::Volume',
      'OS::Glance::Image',
      'OS::Keystone::Project',
      'OS::Neutron::FloatingIP',
      'OS::Neutron::Network',
      'OS::Neutron::Port',
      'OS::Neutron::Router',
      'OS::Neutron::SecurityGroup',
      'OS::Neutron::SecurityGroupRule',
      'OS::Nova::KeyPair',
      'OS::Nova::Server',
      'OS::Nova::ServerGroup',
    ]);
  });

  it('refuses unknown options', () => {
    const options = { client: new TableCloud({}), volumes: 'cinder' };
    expect(() => openStackResources(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
  });
});
