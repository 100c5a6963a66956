import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import type {
  ConnectRequest,
  JsonObject,
  Protectable,
  ResourceKey,
} from '../../../src/core/contracts/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { newProject, type Project } from './project.ts';
import { newPublicKey } from './shop.ts';

const { openstack, skipped } = openStackLab();
const MINUTES = 10 * 60_000;
const newCall = () => ({ signal: new AbortController().signal });
const tokenOf = (name: string): string => createHash('md5').update(name).digest('hex');

if (openstack === undefined)
  describe.skip(`resources of OpenStack made again (${skipped})`, () =>
    test('needs the lab', () => undefined));
else describe('resources of OpenStack made again', () => suite(openstack));

function suite(lab: OpenStack): void {
  let source: Project;
  let destination: Project;
  beforeAll(async () => {
    source = await newProject(lab);
    destination = await newProject(lab);
  }, MINUTES);
  afterAll(async () => {
    await destination.end();
    await source.end();
  }, MINUTES);

  const protectableOf = ({ client }: Project, type: string): Protectable => {
    const found = openStackResources({ client }).find((one) => one.type === type);
    if (found === undefined) throw new Error(`nothing protects ${type}`);
    return found;
  };
  const idsIn = async (project: Project, type: string): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of protectableOf(project, type).list(newCall())) ids.push(id);
    return ids;
  };

  /** Makes a resource of the source in the destination, twice, and gives what it then is. */
  const remake = async (type: string, id: string, more: Partial<ConnectRequest> = {}) => {
    const token = tokenOf(`${type} ${id}`);
    const description = await protectableOf(source, type).capture({ type, id }, newCall());
    const there = protectableOf(destination, type);
    const made = await there.create(description, { token }, newCall());
    expect(await there.create(description, { token }, newCall())).toEqual(made);
    const request = { token, description, resolve: () => undefined, address: (one: string) => one, ...more };
    await there.connect(made, request, newCall());
    await there.connect(made, request, newCall());
    const again = await there.capture(made, newCall());
    return { made, description, again, token, there };
  };
  const removeTwice = async (there: Protectable, token: string, id: string): Promise<void> => {
    await there.remove({ token }, newCall());
    await there.remove({ token }, newCall());
    expect(await there.find([id], newCall())).toEqual([]);
  };
  const mark = (token: string): string => `fafnir-${token}`;

  test('networks with subnets, and routers between them', async () => {
    const { networks, make, send, idOf, atEnd } = source;
    const network = await make(networks, 'networks', {
      network: { name: 'front', description: 'the front', mtu: 1_400 },
    });
    await send(networks, 'PUT', ['networks', network, 'tags'], { tags: ['gold'] });
    const common = { network_id: network, dns_nameservers: ['192.0.2.53'] };
    const subnets = [
      { ...common, name: 'four', cidr: '10.1.0.0/24', ip_version: 4, enable_dhcp: false },
      {
        network_id: network,
        name: 'six',
        cidr: 'fd00::/64',
        ip_version: 6,
        ipv6_ra_mode: 'slaac',
        ipv6_address_mode: 'slaac',
      },
    ];
    const ids: string[] = [];
    for (const subnet of subnets) ids.push(await make(networks, 'subnets', { subnet }));
    const outside = await idOf(networks, 'networks', lab.externalNetwork);
    const router = await make(networks, 'routers', {
      router: { name: 'out', description: 'the way out', external_gateway_info: { network_id: outside } },
    });
    const body = { subnet_id: ids[0] };
    await send(networks, 'PUT', ['routers', router, 'add_router_interface'], body);
    atEnd(async () => {
      await send(networks, 'PUT', ['routers', router, 'remove_router_interface'], body);
    });

    const front = await remake('OS::Neutron::Network', network);
    const subnetsOf = (description: JsonObject) =>
      (description.subnets as JsonObject[])
        .map(({ id: _, ...subnet }) => subnet)
        .toSorted((a, b) => String(a.cidr).localeCompare(String(b.cidr)));
    expect(front.again).toEqual({
      ...front.description,
      tags: expect.arrayContaining(['gold', mark(front.token)]),
      subnets: expect.anything(),
    });
    expect(subnetsOf(front.again)).toEqual(subnetsOf(front.description));

    const standIns = new Map<string, ResourceKey>([
      [network, front.made],
      [outside, { type: 'OS::Neutron::Network', id: outside }],
    ]);
    const out = await remake('OS::Neutron::Router', router, { resolve: ({ id }) => standIns.get(id) });
    expect(out.again).toEqual({
      ...out.description,
      tags: [mark(out.token)],
      external_gateway_info: expect.objectContaining({ network_id: outside }),
      interfaces: [
        {
          network_id: front.made.id,
          fixed_ips: [{ subnet_id: expect.any(String), ip_address: '10.1.0.1' }],
        },
      ],
    });
    await removeTwice(out.there, out.token, out.made.id);
    await removeTwice(front.there, front.token, front.made.id);
  });

  test('no networks that are of others', async () => {
    const outside = await source.idOf(source.networks, 'networks', lab.externalNetwork);
    await expect(remake('OS::Neutron::Network', outside)).rejects.toMatchObject({ code: 'MAPPING_GAP' });
    expect(await idsIn(destination, 'OS::Neutron::Network')).toEqual([]);
  });

  test('security groups without rules, also the one that every project has', async () => {
    const { networks, make } = source;
    const type = 'OS::Neutron::SecurityGroup';
    const group = await make(networks, 'security-groups', {
      security_group: { name: 'web', description: 'of the web' },
    });
    const web = await remake(type, group);
    expect(web.again).toEqual({ ...web.description, tags: [mark(web.token)] });
    const rules: unknown[] = [];
    const place = { path: ['security-group-rules'], query: { security_group_id: web.made.id } };
    const list = { ...place, collection: 'security_group_rules', item: z.unknown() };
    for await (const rule of destination.networks.list(list, newCall())) rules.push(rule);
    expect(rules).toEqual([]);
    await removeTwice(web.there, web.token, web.made.id);

    const own = protectableOf(source, type);
    const [common] = (await own.find(await idsIn(source, type), newCall())).filter(
      ({ name }) => name === 'default',
    );
    const other = await remake(type, common?.id ?? '');
    expect(other.again).toMatchObject({ name: 'default (restored)' });
    await removeTwice(other.there, other.token, other.made.id);
  });

  test('key pairs and server groups, whose names carry the token', async () => {
    const { compute, make, send, atEnd } = source;
    const keypair = { name: 'shop key', type: 'ssh', public_key: newPublicKey() };
    await send(compute, 'POST', ['os-keypairs'], { keypair });
    atEnd(async () => {
      const path = ['os-keypairs', keypair.name];
      await compute.request({ method: 'DELETE', path, answer: z.unknown() }, newCall());
    });
    const key = await remake('OS::Nova::KeyPair', keypair.name);
    expect(key.again).toEqual({ ...key.description, name: `shop key-${key.token}` });
    await removeTwice(key.there, key.token, key.made.id);

    const group = { name: 'apart', policy: 'anti-affinity', rules: { max_server_per_host: 2 } };
    const id = await make(compute, 'os-server-groups', { server_group: group });
    const apart = await remake('OS::Nova::ServerGroup', id);
    expect(apart.again).toEqual({ ...group, name: `apart-${apart.token}` });
    await removeTwice(apart.there, apart.token, apart.made.id);
  });

  test('volumes', async () => {
    const { volumes, make, send } = source;
    const volume = {
      name: 'root',
      description: 'of the web',
      size: 1,
      volume_type: 'file',
      metadata: { use: 'system' },
    };
    const id = await make(volumes, 'volumes', { volume }, 'available');
    await send(volumes, 'POST', ['volumes', id, 'action'], { 'os-set_bootable': { bootable: true } });
    await send(volumes, 'POST', ['volumes', id, 'action'], {
      'os-set_image_metadata': { metadata: { hw_disk_bus: 'scsi' } },
    });
    const root = await remake('OS::Cinder::Volume', id);
    expect(root.again).toEqual({
      ...root.description,
      metadata: { use: 'system', 'fafnir-token': root.token },
    });
    expect(root.again).toMatchObject({ bootable: 'true', volume_image_metadata: { hw_disk_bus: 'scsi' } });
    await removeTwice(root.there, root.token, root.made.id);

    const { there, description } = root;
    const elsewhere = { ...description, volume_type: 'gold' };
    await expect(there.create(elsewhere, { token: root.token }, newCall())).rejects.toMatchObject({
      code: 'MAPPING_GAP',
    });
    expect(await idsIn(destination, 'OS::Cinder::Volume')).toEqual([]);
  });
}
