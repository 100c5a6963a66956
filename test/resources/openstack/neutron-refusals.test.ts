import { describe, expect, it } from 'vitest';
import type { OpenStackRequest } from '../../../src/clients/openstack/index.ts';
import type { JsonObject, Protectable, Surroundings } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { TableCloud, type Tables } from './table-cloud.ts';

const TOKEN = '0123456789abcdef'.repeat(2);
const newCall = () => ({ signal: new AbortController().signal });

/** A Neutron that has lists, makes everything under the id `made`, and refuses what it is told to refuse. */
class RefusingCloud extends TableCloud {
  readonly sent: { readonly what: string; readonly body: JsonObject }[] = [];

  constructor(tables: Tables, refuse: (what: string, body: JsonObject) => FafnirError | undefined) {
    super(tables);
    this.answer = ({ method, path, body = {} }: OpenStackRequest<unknown>) => {
      const what = [method, ...path].join(' ');
      this.sent.push({ what, body });
      const refusal = refuse(what, body);
      if (refusal !== undefined) throw refusal;
      return Object.fromEntries(Object.keys(body).map((member) => [member, { id: 'made' }]));
    };
  }

  bodies(what: string): readonly JsonObject[] {
    return this.sent.flatMap((one) => (one.what === what ? [one.body] : []));
  }

  protectable(type: string): Protectable {
    const found = openStackResources({ client: this }).find((protectable) => protectable.type === type);
    if (found === undefined) throw new Error(`nothing protects ${type}`);
    return found;
  }
}

const denied = new FafnirError('ACCESS_DENIED', 'disallowed by policy');
const surroundings = (addresses: Readonly<Record<string, string>> = {}): Surroundings => ({
  resolve: ({ type, id }) => (id === 'left out' ? undefined : { type, id: `new ${id}` }),
  address: (original) => addresses[original] ?? original,
});
const subnet = (id: string, cidr: string, gateway_ip: string) => ({
  id,
  name: '',
  ip_version: 4,
  cidr,
  gateway_ip,
  enable_dhcp: true,
});
const tables = { 'network/subnets': [subnet('subnet', '10.0.0.0/24', '10.0.0.1')] };

describe('a port in a network of others', () => {
  const description = {
    name: 'web',
    network_id: 'net',
    admin_state_up: true,
    mac_address: 'fa:16:3e:00:00:01',
    fixed_ips: [{ subnet_id: 'old', ip_address: '10.0.0.5' }],
    security_groups: ['group', 'left out'],
  };
  const make = async (addresses: Readonly<Record<string, string>>) => {
    const cloud = new RefusingCloud(tables, (what, { port }) =>
      what === 'POST ports' && JSON.stringify(port).includes('ip_address') ? denied : undefined,
    );
    const ports = cloud.protectable('OS::Neutron::Port');
    const request = { token: TOKEN, surroundings: surroundings(addresses) };
    return { cloud, made: ports.create(description, request, newCall()) };
  };

  it('has addresses that Neutron chooses', async () => {
    const { cloud, made } = await make({});
    expect(await made).toMatchObject({ id: 'made' });
    const common = { network_id: 'new net', security_groups: ['new group'] };
    expect(cloud.bodies('POST ports')).toMatchObject([
      { port: { ...common, mac_address: 'fa:16:3e:00:00:01', fixed_ips: [{ ip_address: '10.0.0.5' }] } },
      { port: { ...common, fixed_ips: [{ subnet_id: 'subnet' }] } },
    ]);
    expect(JSON.stringify(cloud.bodies('POST ports')[1])).not.toContain('mac_address');
  });

  it('is refused an address that was asked for', async () => {
    const { cloud, made } = await make({ '10.0.0.5': '10.0.0.6' });
    await expect(made).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    expect(cloud.bodies('POST ports')).toHaveLength(1);
  });
});

describe('a floating address', () => {
  const description = { floating_network_id: 'net', floating_ip_address: '10.0.0.9', port_id: 'left out' };
  const make = async (
    addresses: Readonly<Record<string, string>>,
    rows: Tables,
    role: 'administrator' | 'member',
  ) => {
    const cloud = new RefusingCloud(rows, (what, body) =>
      what === 'POST floatingips' && role === 'member' && JSON.stringify(body).includes('floating_ip_address')
        ? denied
        : undefined,
    );
    const request = { token: TOKEN, surroundings: surroundings(addresses) };
    await cloud.protectable('OS::Neutron::FloatingIP').create(description, request, newCall());
    return cloud.bodies('POST floatingips').map(({ floatingip }) => floatingip);
  };
  const mark = `fafnir-${TOKEN}`;
  const another = { floating_network_id: 'new net', description: mark };
  const same = { ...another, floating_ip_address: '10.0.0.9' };

  it('is the same one where the role admits it', async () => {
    expect(await make({}, tables, 'administrator')).toEqual([same]);
    expect(await make({}, tables, 'member')).toEqual([same, another]);
    expect(await make({}, {}, 'administrator')).toEqual([another]);
  });

  it('is the one that was asked for, or none', async () => {
    const mapped = { '10.0.0.9': '10.0.0.10' };
    expect(await make(mapped, {}, 'administrator')).toEqual([
      { ...another, floating_ip_address: '10.0.0.10' },
    ]);
    await expect(make(mapped, {}, 'member')).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  });
});

describe('a router', () => {
  const type = 'OS::Neutron::Router';
  const rows = { ...tables, 'network/routers': [{ id: 'made', description: `fafnir-${TOKEN}` }] };
  const description = {
    name: 'out',
    admin_state_up: true,
    external_gateway_info: { network_id: 'outside', enable_snat: false },
    interfaces: [{ network_id: 'net', fixed_ips: [{ subnet_id: 'old', ip_address: '10.0.0.1' }] }],
    routes: [
      { destination: '10.7.0.0/16', nexthop: '10.0.0.9' },
      { destination: '10.8.0.0/16', nexthop: '192.0.2.1' },
    ],
  };
  const join = (cloud: RefusingCloud, more: JsonObject = {}) =>
    cloud
      .protectable(type)
      .connect(
        { type, id: 'made' },
        { token: TOKEN, description: { ...description, ...more }, ...surroundings() },
        newCall(),
      );

  it('translates addresses where the role does not admit otherwise', async () => {
    const cloud = new RefusingCloud(rows, (_, body) =>
      JSON.stringify(body).includes('enable_snat') ? denied : undefined,
    );
    await join(cloud);
    expect(cloud.bodies('PUT routers made')).toEqual([
      {
        router: {
          external_gateway_info: { network_id: 'new outside', enable_snat: false },
          routes: description.routes,
        },
      },
      { router: { external_gateway_info: { network_id: 'new outside' }, routes: description.routes } },
    ]);
  });

  it('has no routes through what was left out', async () => {
    const cloud = new RefusingCloud(rows, () => undefined);
    await join(cloud, { external_gateway_info: { network_id: 'left out' } });
    expect(cloud.bodies('PUT routers made')).toEqual([{ router: { routes: [description.routes[0]] } }]);
  });

  it('leaves no port where it is removed while it is joined', async () => {
    const cloud = new RefusingCloud(rows, (what) =>
      what.endsWith('add_router_interface') ? new FafnirError('NOT_FOUND', 'no such router') : undefined,
    );
    const fixed_ips = [{ subnet_id: 'old', ip_address: '10.0.0.254' }];
    const interfaces = [{ network_id: 'net', fixed_ips }];
    await expect(join(cloud, { interfaces })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(cloud.bodies('POST ports')).toMatchObject([
      { port: { network_id: 'new net', fixed_ips: [{ subnet_id: 'subnet', ip_address: '10.0.0.254' }] } },
    ]);
    expect(cloud.sent.at(-1)).toMatchObject({ what: 'DELETE ports made' });
  });
});
