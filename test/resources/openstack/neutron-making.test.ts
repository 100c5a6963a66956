import { describe, expect, it } from 'vitest';
import type { GapRequest, JsonObject, Protectable } from '../../../src/core/contracts/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { TableCloud } from './table-cloud.ts';

const TOKEN = '0123456789abcdef'.repeat(2);
const newCall = () => ({ signal: new AbortController().signal });
const NETWORK = 'OS::Neutron::Network';
const RULE = 'OS::Neutron::SecurityGroupRule';
const GROUP = 'OS::Neutron::SecurityGroup';

const network = (name: string, more: JsonObject) => ({
  id: `id of ${name}`,
  name,
  project_id: 'others',
  status: 'ACTIVE',
  ...more,
});
const external = { 'router:external': true };
const shared = { shared: true };
const tables = {
  'network/networks': [
    network('public', external),
    network('twin', external),
    network('twin', external),
    network('office', shared),
    network('private', {}),
  ],
  'network/security-groups': [
    { id: 'of others', name: 'default', project_id: 'others' },
    { id: 'ours', name: 'default', project_id: 'p1' },
  ],
};

function protectableOf(type: string, client: TableCloud = new TableCloud(tables)): Protectable {
  const found = openStackResources({ client }).find((protectable) => protectable.type === type);
  if (found === undefined) throw new Error(`nothing protects ${type}`);
  return found;
}

const describedNetwork = (name: string, more: JsonObject): JsonObject => ({
  name,
  admin_state_up: true,
  subnets: [],
  ...more,
});

function gapsOf(type: string, descriptions: readonly JsonObject[], more: Partial<GapRequest> = {}) {
  const requests = descriptions.map((description) => ({
    description,
    address: (original: string) => original,
    ...more,
  }));
  return protectableOf(type).gaps?.(requests, newCall());
}

describe('networks of others', () => {
  const create = (description: JsonObject, names: Readonly<Record<string, string>> = {}) =>
    protectableOf(NETWORK).create(
      description,
      { token: TOKEN, names: { of: (kind, name) => names[`${kind} ${name}`] ?? name } },
      newCall(),
    );

  it('are found by their name, or the one that it is mapped to', async () => {
    expect(await create(describedNetwork('public', external))).toMatchObject({ id: 'id of public' });
    expect(await create(describedNetwork('office', shared))).toMatchObject({ id: 'id of office' });
    const mapped = create(describedNetwork('internet', external), { 'floating-pool internet': 'public' });
    expect(await mapped).toMatchObject({ id: 'id of public' });
  });

  it.each([
    ['none of the name', 'internet', external],
    ['one that is not external', 'office', external],
    ['one that is not shared', 'private', shared],
    ['two of the name', 'twin', external],
  ])('are not made where there is %s', async (_, name, more) => {
    await expect(create(describedNetwork(name, more))).rejects.toMatchObject({ code: 'MAPPING_GAP' });
  });

  it('are named beforehand where they are missing', async () => {
    const wanted = [
      describedNetwork('own', {}),
      describedNetwork('public', external),
      describedNetwork('internet', external),
    ];
    const gaps = await gapsOf(NETWORK, wanted);
    expect(gaps).toEqual([{ at: 2, reason: expect.stringContaining('public, twin') }]);
    const names = { of: () => 'public' };
    expect(await gapsOf(NETWORK, wanted, { names })).toEqual([]);
  });

  it('stay as they are', async () => {
    const description = describedNetwork('public', external);
    const request = { token: TOKEN, description, resolve: () => undefined, address: (one: string) => one };
    const key = { type: NETWORK, id: 'id of public' };
    const client = new TableCloud(tables);
    await protectableOf(NETWORK, client).connect(key, request, newCall());
    // Looked for by the token, which none of them has; any request would be refused.
    expect(client.asked).toEqual(['network/networks', 'network/networks']);
  });
});

it('the group that every project has stands for that of another', async () => {
  const made = await protectableOf(GROUP).create({ name: 'default' }, { token: TOKEN }, newCall());
  expect(made).toMatchObject({ id: 'ours' });
});

describe('rules', () => {
  const rule = { security_group_id: 'group', direction: 'ingress', ethertype: 'IPv4', protocol: 'tcp' };
  const create = (description: JsonObject, rows: readonly JsonObject[] = []) =>
    protectableOf(RULE, new TableCloud({ 'network/security-group-rules': rows })).create(
      description,
      {
        token: TOKEN,
        surroundings: {
          resolve: ({ type, id }) => (id === 'left out' ? undefined : { type, id: `new ${id}` }),
          address: (original) => (original === '10.0.0.5' ? '10.0.0.6' : original),
        },
      },
      newCall(),
    );
  const there = { ...rule, id: 'there', security_group_id: 'new group' };

  it('stand for those that admit the same', async () => {
    expect(await create(rule, [there])).toMatchObject({ id: 'there' });
    const same = { ...rule, remote_ip_prefix: '10.0.0.5/32' };
    expect(await create(same, [{ ...there, remote_ip_prefix: '10.0.0.6/32' }])).toMatchObject({
      id: 'there',
    });
    // This cloud makes nothing.
    const others = [
      { ...there, port_range_min: 22, port_range_max: 22 },
      { ...there, remote_ip_prefix: '10.0.0.5/32' },
      { ...there, remote_group_id: 'new group' },
      { ...there, remote_address_group_id: 'addresses' },
    ];
    await expect(create(rule, others)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it.each([
    ['their group', { security_group_id: 'left out' }],
    ['the one that they admit', { remote_group_id: 'left out' }],
    ['the addresses that they admit', { remote_address_group_id: 'addresses' }],
  ])('are not made without %s', async (_, more) => {
    await expect(create({ ...rule, ...more }, [there])).rejects.toMatchObject({ code: 'MAPPING_GAP' });
  });

  it('that admit a group of addresses are named beforehand', async () => {
    const gaps = await gapsOf(RULE, [rule, { ...rule, remote_address_group_id: 'addresses' }]);
    expect(gaps).toEqual([{ at: 1, reason: expect.stringContaining('addresses') }]);
  });
});

describe('addresses', () => {
  const port = {
    name: 'web',
    network_id: 'net',
    admin_state_up: true,
    mac_address: 'fa:16:3e:00:00:01',
    fixed_ips: [{ subnet_id: 'subnet', ip_address: '10.0.0.5' }],
  };
  const floatingIp = {
    floating_network_id: 'public',
    floating_ip_address: '198.51.100.1',
    fixed_ip_address: '10.0.0.5',
  };
  it.each([
    ['OS::Neutron::Port', port],
    ['OS::Neutron::FloatingIP', floatingIp],
  ])('of %s are mapped to those of their kind', async (type, description) => {
    const mapTo = (to: string) => ({ address: (one: string) => (one === '10.0.0.5' ? to : one) });
    expect(await gapsOf(type, [description], mapTo('10.0.0.6'))).toEqual([]);
    for (const to of ['fd00::1', 'web']) {
      expect(await gapsOf(type, [description], mapTo(to))).toEqual([
        { at: 0, reason: expect.stringContaining(to) },
      ]);
    }
  });
});

it('what has no name goes by what tells it from others', async () => {
  const common = { project_id: 'p1', security_group_id: 'group', direction: 'ingress' };
  const client = new TableCloud({
    'network/networks': [network('', { id: 'first', project_id: 'p1' })],
    'network/security-group-rules': [
      { ...common, id: 'a', ethertype: 'IPv4', protocol: 'tcp', port_range_min: 80, port_range_max: 443 },
      { ...common, id: 'b', ethertype: 'IPv4', remote_ip_prefix: '10.0.0.0/8' },
    ],
  });
  const namesOf = async (type: string): Promise<string[]> => {
    const names: string[] = [];
    for await (const { name } of protectableOf(type, client).list(newCall())) names.push(name);
    return names;
  };
  expect(await namesOf(NETWORK)).toEqual(['first']);
  expect(await namesOf(RULE)).toEqual([
    'ingress IPv4 tcp 80-443 all of group',
    'ingress IPv4 any 10.0.0.0/8 of group',
  ]);
});
