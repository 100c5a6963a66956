import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { JsonObject } from '../../../src/core/contracts/index.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { newProject, type Project } from './project.ts';
import { protectableOf, type Remade, Remaking } from './remaking.ts';

const { openstack, skipped } = openStackLab();
const MINUTES = 20 * 60_000;
const newCall = () => ({ signal: new AbortController().signal });
const NETWORK = 'OS::Neutron::Network';
const ROUTER = 'OS::Neutron::Router';
const PORT = 'OS::Neutron::Port';
const FLOATING_IP = 'OS::Neutron::FloatingIP';
const GROUP = 'OS::Neutron::SecurityGroup';
const RULE = 'OS::Neutron::SecurityGroupRule';
const mark = (token: string): string => `fafnir-${token}`;

if (openstack === undefined)
  describe.skip(`Neutron's part of a project made again (${skipped})`, () =>
    test('needs the lab', () => undefined));
else describe("Neutron's part of a project made again", () => suite(openstack));

/** What the tests make in a project. */
type Site = {
  readonly network: string;
  /** Where the router is not the gateway. */
  readonly back: string;
  readonly outside: string;
  readonly router: string;
  readonly port: string;
  readonly free: string;
  readonly floatingIp: string;
};

function suite(lab: OpenStack): void {
  let source: Project;
  let destination: Project;
  let site: Site;
  beforeAll(async () => {
    source = await newProject(lab);
    destination = await newProject(lab);
    site = await makeSite(source, lab);
  }, MINUTES);
  afterAll(async () => {
    await destination.end();
    await source.end();
  }, MINUTES);

  const idsOf = async (project: Project, type: string): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of protectableOf(project, type).list(newCall())) ids.push(id);
    return ids;
  };
  const defaultGroupOf = (project: Project) => project.idOf(project.networks, 'security-groups', 'default');

  test(
    'is the same, field by field, but for what is listed in the documentation',
    async () => {
      const remaking = new Remaking(source, destination);
      destination.atEnd(async () => void (await remaking.undo()));
      const outside = await remaking.remake(NETWORK, site.outside);
      // It stands for itself, and carries no token.
      expect(outside.made.id).toBe(site.outside);

      const network = await remaking.remake(NETWORK, site.network);
      const subnetsOf = ({ subnets }: JsonObject) =>
        (subnets as JsonObject[])
          .map(({ id: _, ...subnet }) => subnet)
          .toSorted((a, b) => String(a.cidr).localeCompare(String(b.cidr)));
      expect(network.again).toEqual({
        ...network.description,
        tags: expect.arrayContaining(['gold', mark(network.token)]),
        subnets: expect.anything(),
      });
      expect(subnetsOf(network.again)).toEqual(subnetsOf(network.description));

      await remaking.remake(NETWORK, site.back);
      const router = await remaking.remake(ROUTER, site.router);
      const interfacesOf = ({ interfaces }: JsonObject) =>
        (interfaces as { fixed_ips: { ip_address: string }[] }[])
          .map(({ fixed_ips }) => fixed_ips.map(({ ip_address }) => ip_address))
          .toSorted();
      expect(router.again).toEqual({
        ...router.description,
        tags: [mark(router.token)],
        external_gateway_info: expect.objectContaining({ network_id: site.outside }),
        interfaces: expect.anything(),
      });
      expect(interfacesOf(router.again)).toEqual(interfacesOf(router.description));
      expect(interfacesOf(router.again)).toEqual([['10.1.0.1'], ['10.2.0.254'], ['fd00::']]);

      const groups = new Map<string, Remade>();
      for (const id of await idsOf(source, GROUP)) {
        const group = await remaking.remake(GROUP, id);
        groups.set(id, group);
        if (group.description.name === 'default') {
          expect(group.made.id).toBe(await defaultGroupOf(destination));
        } else expect(group.again).toEqual({ ...group.description, tags: [mark(group.token)] });
      }
      expect(groups.size).toBe(3);

      const remote = (id: unknown) => (id === null ? null : groups.get(String(id))?.made.id);
      const kept: string[] = [];
      for (const id of await idsOf(source, RULE)) {
        const { description, made, again, token } = await remaking.remake(RULE, id);
        const expected = {
          ...description,
          security_group_id: remote(description.security_group_id),
          remote_group_id: remote(description.remote_group_id),
        };
        // Every group `default` has some rules from the start.
        if (String(again.description).endsWith(mark(token))) {
          expect(again).toEqual({
            ...expected,
            description: `${description.description ?? ''} ${mark(token)}`.trim(),
          });
        } else {
          expect({ ...again, description: null }).toEqual({ ...expected, description: null });
          kept.push(made.id);
        }
      }
      expect(kept).toHaveLength(4);
      expect(await idsOf(destination, RULE)).toHaveLength((await idsOf(source, RULE)).length);

      const again = (description: JsonObject) => ({
        network_id: network.made.id,
        fixed_ips: expect.arrayContaining(
          (description.fixed_ips as JsonObject[]).map(({ ip_address }) => ({
            subnet_id: expect.any(String),
            ip_address,
          })),
        ),
        security_groups: expect.arrayContaining((description.security_groups as string[]).map(remote)),
      });
      // A server of Neutron's own took the address first, as they do in networks that are new.
      const subnet = (network.again.subnets as JsonObject[]).find(({ name }) => name === 'four')?.id;
      const taken = { network_id: network.made.id, device_owner: 'network:dhcp' };
      const fixed_ips = [{ subnet_id: subnet ?? null, ip_address: '10.1.0.77' }];
      const answer = await destination.send(destination.networks, 'POST', ['ports'], {
        port: { ...taken, fixed_ips },
      });
      const { id: dhcp } = z.object({ port: z.object({ id: z.string() }) }).parse(answer).port;
      const port = await remaking.remake(PORT, site.port);
      const moved = await destination.send(destination.networks, 'GET', ['ports', dhcp]);
      const address = z.object({ subnet_id: z.string(), ip_address: z.string() });
      const movedTo = z.object({ port: z.object({ fixed_ips: z.array(address) }) }).parse(moved)
        .port.fixed_ips;
      // Neutron adds addresses of subnets that give them by themselves.
      const there = movedTo.filter(({ subnet_id }) => subnet_id === subnet);
      expect(there).toHaveLength(1);
      expect(there[0]?.ip_address).not.toBe('10.1.0.77');
      expect(port.again).toEqual({
        ...port.description,
        ...again(port.description),
        tags: expect.arrayContaining(['silver', mark(port.token)]),
      });
      expect(port.again.fixed_ips).toHaveLength(2);
      expect(port.again).toMatchObject({
        mac_address: 'fa:16:3e:00:be:ef',
        fixed_ips: expect.arrayContaining([{ subnet_id: expect.any(String), ip_address: '10.1.0.77' }]),
        extra_dhcp_opts: [{ opt_name: 'tftp-server', opt_value: '10.1.0.5', ip_version: 4 }],
      });
      await expect(
        remaking.remake(PORT, site.port, { '10.1.0.77': '10.5.0.1' }, 'other'),
      ).rejects.toMatchObject({
        code: 'MAPPING_GAP',
        message: expect.stringContaining('10.5.0.1'),
      });
      await expect(remaking.remake(PORT, site.port, {}, 'other')).rejects.toMatchObject({
        code: 'MAPPING_GAP',
        message: expect.stringContaining(port.made.id),
      });

      const free = await remaking.remake(PORT, site.free);
      expect(free.again).toEqual({
        ...free.description,
        ...again(free.description),
        tags: [mark(free.token)],
      });
      const nothing = { security_groups: [], port_security_enabled: false };
      expect(free.again).toMatchObject({ ...nothing, admin_state_up: false });
      // That of the subnet which gives every port one.
      expect(free.again.fixed_ips).toEqual([
        expect.objectContaining({ ip_address: expect.stringMatching(/^fd00:/) }),
      ]);

      const floatingIp = await remaking.remake(FLOATING_IP, site.floatingIp);
      expect(floatingIp.again).toEqual({
        ...floatingIp.description,
        floating_ip_address: expect.any(String),
        port_id: port.made.id,
        router_id: router.made.id,
        tags: [mark(floatingIp.token)],
      });

      expect(new Set(await remaking.undo())).toEqual(
        new Set([site.outside, await defaultGroupOf(destination), ...kept]),
      );
      for (const type of [NETWORK, ROUTER, PORT, FLOATING_IP]) {
        expect(await idsOf(destination, type)).toEqual([]);
      }
      expect(await idsOf(destination, GROUP)).toHaveLength(1);
      expect(await idsOf(destination, RULE)).toHaveLength(4);
    },
    MINUTES,
  );
}

async function makeSite(project: Project, { externalNetwork }: OpenStack): Promise<Site> {
  const { networks, make, send, idOf, atEnd } = project;
  const network = await make(networks, 'networks', {
    network: { name: 'front', description: 'the front', mtu: 1_400 },
  });
  await send(networks, 'PUT', ['networks', network, 'tags'], { tags: ['gold'] });
  const four = await make(networks, 'subnets', {
    subnet: {
      network_id: network,
      name: 'four',
      cidr: '10.1.0.0/24',
      ip_version: 4,
      dns_nameservers: ['192.0.2.53'],
      host_routes: [{ destination: '10.7.0.0/16', nexthop: '10.1.0.9' }],
      allocation_pools: [{ start: '10.1.0.10', end: '10.1.0.200' }],
    },
  });
  const six = await make(networks, 'subnets', {
    subnet: {
      network_id: network,
      name: 'six',
      cidr: 'fd00::/64',
      ip_version: 6,
      ipv6_ra_mode: 'slaac',
      ipv6_address_mode: 'slaac',
    },
  });
  const outside = await idOf(networks, 'networks', externalNetwork);
  const router = await make(networks, 'routers', {
    router: { name: 'out', description: 'the way out', external_gateway_info: { network_id: outside } },
  });
  for (const subnet_id of [four, six]) {
    await send(networks, 'PUT', ['routers', router, 'add_router_interface'], { subnet_id });
    atEnd(async () => {
      await send(networks, 'PUT', ['routers', router, 'remove_router_interface'], { subnet_id });
    });
  }
  const back = await make(networks, 'networks', { network: { name: 'back' } });
  const inside = { network_id: back, cidr: '10.2.0.0/24', ip_version: 4 };
  const subnet = await make(networks, 'subnets', { subnet: inside });
  const fixed_ips = [{ subnet_id: subnet, ip_address: '10.2.0.254' }];
  const own = { port: { network_id: back, fixed_ips } };
  // The router takes it along when it goes.
  const made = z.object({ port: z.object({ id: z.string() }) });
  const { id: port_id } = made.parse(await send(networks, 'POST', ['ports'], own)).port;
  await send(networks, 'PUT', ['routers', router, 'add_router_interface'], { port_id });
  atEnd(async () => {
    await send(networks, 'PUT', ['routers', router, 'remove_router_interface'], { port_id });
  });
  const setRoutes = (routes: JsonObject[]) =>
    send(networks, 'PUT', ['routers', router], { router: { routes } });
  await setRoutes([{ destination: '10.7.0.0/16', nexthop: '10.1.0.9' }]);
  atEnd(async () => void (await setRoutes([])));

  const makeGroup = (name: string) =>
    make(networks, 'security-groups', { security_group: { name, description: `of ${name}` } });
  const [web, db] = [await makeGroup('web'), await makeGroup('db')];
  // Groups that refer to each other cannot be removed.
  atEnd(async () => {
    const item = z.looseObject({ id: z.string(), remote_group_id: z.string().nullable() });
    const place = { path: ['security-group-rules'], collection: 'security_group_rules', item };
    for await (const { id, remote_group_id } of networks.list(place, newCall())) {
      if (remote_group_id === null) continue;
      const path = ['security-group-rules', id];
      await networks.request({ method: 'DELETE', path, answer: z.unknown() }, newCall());
    }
  });
  const tcp = { direction: 'ingress', ethertype: 'IPv4', protocol: 'tcp' };
  const rules = [
    { ...tcp, security_group_id: db, remote_group_id: web, port_range_min: 5_432, port_range_max: 5_432 },
    { ...tcp, security_group_id: web, remote_group_id: db, description: 'back' },
    {
      ...tcp,
      security_group_id: web,
      remote_ip_prefix: '0.0.0.0/0',
      port_range_min: 443,
      port_range_max: 443,
    },
    { direction: 'ingress', ethertype: 'IPv6', protocol: 'ipv6-icmp', security_group_id: web },
    { ...tcp, security_group_id: await idOf(networks, 'security-groups', 'default') },
  ];
  for (const rule of rules) {
    await send(networks, 'POST', ['security-group-rules'], { security_group_rule: rule });
  }

  const port = await make(networks, 'ports', {
    port: {
      name: 'web port',
      description: 'of the web',
      network_id: network,
      mac_address: 'fa:16:3e:00:be:ef',
      fixed_ips: [{ subnet_id: four, ip_address: '10.1.0.77' }, { subnet_id: six }],
      security_groups: [web, db],
      allowed_address_pairs: [
        { ip_address: '10.9.9.9' },
        { ip_address: '10.9.9.0/24', mac_address: 'fa:16:3e:00:00:01' },
      ],
      extra_dhcp_opts: [{ opt_name: 'tftp-server', opt_value: '10.1.0.5', ip_version: 4 }],
    },
  });
  await send(networks, 'PUT', ['ports', port, 'tags'], { tags: ['silver'] });
  const free = await make(networks, 'ports', {
    port: {
      network_id: network,
      admin_state_up: false,
      port_security_enabled: false,
      security_groups: [],
      fixed_ips: [],
    },
  });
  const floatingIp = await make(networks, 'floatingips', {
    floatingip: { floating_network_id: outside, port_id: port, description: 'the shop window' },
  });
  return { network, back, outside, router, port, free, floatingIp };
}
