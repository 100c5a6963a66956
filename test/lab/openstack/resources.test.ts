import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import pMap from 'p-map';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { JsonObject, Protectable, ResourceKey } from '../../../src/core/contracts/index.ts';
import { discover } from '../../../src/core/graph/discover.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { newProject, type Project } from './project.ts';
import { makeShop, type Shop } from './shop.ts';

const { openstack, skipped } = openStackLab();
// Of 40 servers, one after the other.
const MINUTES = 40 * 60_000;
const newCall = () => ({ signal: new AbortController().signal });

if (openstack === undefined)
  describe.skip(`resources of OpenStack (${skipped})`, () => test('needs the lab', () => undefined));
else describe('resources of OpenStack', () => suite(openstack));

/** How many requests the work sends, those for tokens and versions included. */
async function countRequests<Result>(work: () => Promise<Result>): Promise<[number, Result]> {
  let requests = 0;
  const count = (): void => {
    requests += 1;
  };
  subscribe('undici:request:create', count);
  try {
    const result = await work();
    return [requests, result];
  } finally {
    unsubscribe('undici:request:create', count);
  }
}

function suite(lab: OpenStack): void {
  let project: Project;
  let shop: Shop;
  beforeAll(async () => {
    project = await newProject(lab);
    shop = await makeShop(project, lab);
  }, MINUTES);
  afterAll(() => project.end(), MINUTES);

  const protectables = (): ReadonlyMap<string, Protectable> =>
    new Map(openStackResources({ client: project.client }).map((one) => [one.type, one]));
  const explore = (root: ResourceKey) => discover({ roots: [root], protectables: protectables() }, newCall());
  const capture = async (type: string, id: string): Promise<JsonObject> => {
    const captured = await protectables().get(type)?.capture({ type, id }, newCall());
    if (captured === undefined) throw new Error(`nothing captures ${type}`);
    return captured;
  };

  let running = 3;
  const addServers = async (wanted: number): Promise<void> => {
    const { compute, volumes, make, send, idOf } = project;
    const flavorRef = await idOf(compute, 'flavors', 'small');
    const names = Array.from({ length: wanted - running }, (_, at) => `more ${running + at}`);
    await pMap(
      names,
      async (name) => {
        const volume = { name, size: 1, volume_type: 'file' };
        const root = await make(volumes, 'volumes', { volume }, 'available');
        await send(volumes, 'POST', ['volumes', root, 'action'], { 'os-set_bootable': { bootable: true } });
        const disk = { boot_index: 0, uuid: root, source_type: 'volume', destination_type: 'volume' };
        const networks = [{ uuid: shop.back }];
        const server = { name, flavorRef, networks, block_device_mapping_v2: [disk] };
        await make(compute, 'servers', { server }, 'ACTIVE');
      },
      { concurrency: 6 },
    );
    running = wanted;
  };

  test('are found as one graph, in at most 25 requests', async () => {
    const root = { type: 'OS::Keystone::Project', id: project.id };
    const [requests, graph] = await countRequests(() => explore(root));
    expect(requests).toBeLessThanOrEqual(25);
    const counts: Record<string, number> = {};
    for (const { type } of graph.resources) counts[type] = (counts[type] ?? 0) + 1;
    expect(counts).toMatchObject({
      'OS::Keystone::Project': 1,
      'OS::Nova::Server': 3,
      'OS::Nova::KeyPair': 1,
      'OS::Nova::ServerGroup': 1,
      'OS::Cinder::Volume': 6,
      'OS::Neutron::Network': 3,
      'OS::Neutron::Router': 1,
      'OS::Neutron::Port': 3,
      'OS::Neutron::FloatingIP': 1,
    });
    // Of each group two rules that Neutron made, and one of ours; the project has one more group of its own.
    expect(counts['OS::Neutron::SecurityGroup']).toBeGreaterThanOrEqual(3);
    expect(counts['OS::Neutron::SecurityGroupRule']).toBeGreaterThanOrEqual(9);
  });

  test('are what a server stands on', async () => {
    const { web } = shop;
    const graph = await explore({ type: 'OS::Nova::Server', id: web.id });
    const position = graph.position({ type: 'OS::Nova::Server', id: web.id }) ?? -1;
    const direct = [...graph.dependencies(position)].map((at) => graph.resources[at]?.id);
    expect(new Set(direct)).toEqual(
      new Set([web.root, web.data, web.port, shop.floatingIp, shop.router, shop.serverGroup, shop.keyPair]),
    );
    const ids = graph.resources.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining([shop.front, shop.publicNetwork, web.group]));
    expect(ids).not.toContain(shop.app.id);
  });

  test(
    'are asked for as often at 40 servers as at 10',
    async () => {
      const root = { type: 'OS::Keystone::Project', id: project.id };
      const requestsAt = async (servers: number): Promise<number> => {
        await addServers(servers);
        const [requests, graph] = await countRequests(() => explore(root));
        expect(graph.resources.filter(({ type }) => type === 'OS::Nova::Server')).toHaveLength(servers);
        return requests;
      };
      const atTen = await requestsAt(10);
      expect(await requestsAt(40)).toBe(atTen);
      expect(atTen).toBeLessThanOrEqual(25);
    },
    MINUTES,
  );

  describe('are captured', () => {
    test('as servers with the order of their volumes', async () => {
      const { web } = shop;
      expect(await capture('OS::Nova::Server', web.id)).toMatchObject({
        name: 'web',
        description: 'the web server',
        status: 'ACTIVE',
        key_name: shop.keyPair,
        image: null,
        flavor: { original_name: 'small', vcpus: 1, ram: 128, disk: 1 },
        metadata: { tier: 'web' },
        tags: ['gold'],
        server_groups: [shop.serverGroup],
        ports: [{ portId: web.port, tag: null }],
        bootVolume: web.root,
        volumes: [
          { volumeId: web.root, delete_on_termination: false },
          { volumeId: web.data, delete_on_termination: false },
        ],
      });
    });

    test('as volumes', async () => {
      const root = await capture('OS::Cinder::Volume', shop.db.root);
      expect(root).toMatchObject({
        name: 'db root',
        size: 1,
        volume_type: 'file',
        bootable: 'true',
        encrypted: false,
        metadata: { use: 'system' },
      });
      const data = await capture('OS::Cinder::Volume', shop.db.data);
      expect(data).toMatchObject({ description: 'what is sold', bootable: 'false' });
      const volumes = protectables().get('OS::Cinder::Volume');
      const key = { type: 'OS::Cinder::Volume', id: shop.db.data };
      expect(await volumes?.volumes?.(key, newCall())).toEqual([
        { array: 'cinder', id: shop.db.data, size: 1024 ** 3 },
      ]);
    });

    test('as networks with their subnets, and routers with what they join', async () => {
      const front = await capture('OS::Neutron::Network', shop.front);
      expect(front).toMatchObject({
        name: 'front',
        description: 'the front of the shop',
        mtu: 1_400,
        admin_state_up: true,
        subnets: [
          {
            name: 'front 4',
            cidr: '10.1.0.0/24',
            gateway_ip: '10.1.0.1',
            enable_dhcp: true,
            dns_nameservers: ['192.0.2.53'],
          },
        ],
      });
      expect(new Set(front.tags as string[])).toEqual(new Set(['gold', 'shop']));
      const router = await capture('OS::Neutron::Router', shop.router);
      expect(router).toMatchObject({
        name: 'shop',
        description: 'the way out',
        external_gateway_info: { network_id: shop.publicNetwork },
      });
      const joined = router.interfaces as { network_id: string }[];
      expect(new Set(joined.map(({ network_id }) => network_id))).toEqual(new Set([shop.front, shop.back]));
    });

    test('as ports, floating addresses and groups', async () => {
      const port = await capture('OS::Neutron::Port', shop.web.port);
      expect(port).toMatchObject({
        name: 'web port',
        network_id: shop.front,
        security_groups: [shop.web.group],
        allowed_address_pairs: [{ ip_address: '10.9.9.9' }],
        fixed_ips: [{ ip_address: expect.stringMatching(/^10\.1\.0\./) }],
      });
      expect(await capture('OS::Neutron::FloatingIP', shop.floatingIp)).toMatchObject({
        description: 'the shop window',
        floating_network_id: shop.publicNetwork,
        port_id: shop.web.port,
        router_id: shop.router,
      });
      expect(await capture('OS::Neutron::SecurityGroup', shop.app.group)).toEqual({
        name: 'app',
        description: 'of app servers',
        stateful: true,
        tags: [],
      });
    });

    test('as rules that name groups', async () => {
      const graph = await explore({ type: 'OS::Neutron::Port', id: shop.app.port });
      const rules = graph.resources.filter(({ type }) => type === 'OS::Neutron::SecurityGroupRule');
      const captured = await Promise.all(rules.map(({ type, id }) => capture(type, id)));
      expect(captured).toContainEqual({
        security_group_id: shop.app.group,
        remote_group_id: shop.web.group,
        direction: 'ingress',
        ethertype: 'IPv4',
        protocol: 'tcp',
        port_range_min: 8_080,
        port_range_max: 8_080,
        remote_ip_prefix: null,
        remote_address_group_id: null,
        description: 'web to app',
      });
    });

    test('as images', async () => {
      const { images, send, atEnd } = project;
      const image = { name: 'base', disk_format: 'raw', container_format: 'bare', tags: ['gold'] };
      const { id } = z.looseObject({ id: z.string() }).parse(await send(images, 'POST', ['images'], image));
      atEnd(async () => {
        await images.request({ method: 'DELETE', path: ['images', id], answer: z.unknown() }, newCall());
      });
      expect(await capture('OS::Glance::Image', id)).toMatchObject({ ...image, owner: project.id });
    });

    test('as key pairs, server groups and the project', async () => {
      expect(await capture('OS::Nova::KeyPair', shop.keyPair)).toMatchObject({
        name: shop.keyPair,
        type: 'ssh',
        public_key: shop.publicKey,
      });
      expect(await capture('OS::Nova::ServerGroup', shop.serverGroup)).toEqual({
        name: 'shop',
        policy: 'soft-anti-affinity',
        rules: {},
      });
      expect(await capture('OS::Keystone::Project', project.id)).toMatchObject({
        name: expect.stringMatching(/^lab-/),
      });
    });

    test.each([
      'OS::Nova::Server',
      'OS::Cinder::Volume',
      'OS::Glance::Image',
      'OS::Neutron::Network',
      'OS::Neutron::Port',
    ])('not as %s where they are gone', async (type) => {
      const id = '00000000-0000-4000-8000-000000000000';
      await expect(capture(type, id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });
  });
}
