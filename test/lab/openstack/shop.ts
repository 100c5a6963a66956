import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { JsonObject } from '../../../src/core/contracts/index.ts';
import type { OpenStack } from './openstack.ts';
import type { Project } from './project.ts';

const live = { signal: new AbortController().signal };

/** A server of {@link Shop}. */
export type ShopServer = {
  readonly id: string;
  /** It starts from this one. */
  readonly root: string;
  readonly data: string;
  readonly port: string;
  readonly group: string;
};

/** The ids of what {@link makeShop} made. */
export type Shop = {
  readonly web: ShopServer;
  readonly app: ShopServer;
  readonly db: ShopServer;
  readonly front: string;
  readonly back: string;
  readonly router: string;
  readonly floatingIp: string;
  readonly serverGroup: string;
  readonly keyPair: string;
  readonly publicKey: string;
  readonly publicNetwork: string;
};

/**
 * An application of three tiers: servers that start from volumes and have one more each, two networks that a router
 * joins to each other and to the outside, security groups that refer to each other in a circle, and a floating address.
 */
export async function makeShop(project: Project, { externalNetwork }: OpenStack): Promise<Shop> {
  const { compute, volumes, networks, make, send, idOf, atEnd } = project;
  const publicNetwork = await idOf(networks, 'networks', externalNetwork);
  const network = async (name: string, cidr: string) => {
    const description = `the ${name} of the shop`;
    const id = await make(networks, 'networks', { network: { name, description, mtu: 1_400 } });
    const subnet = {
      network_id: id,
      name: `${name} 4`,
      cidr,
      ip_version: 4,
      dns_nameservers: ['192.0.2.53'],
    };
    return { id, subnet: await make(networks, 'subnets', { subnet }) };
  };
  const front = await network('front', '10.1.0.0/24');
  const back = await network('back', '10.2.0.0/24');
  await send(networks, 'PUT', ['networks', front.id, 'tags'], { tags: ['gold', 'shop'] });
  const router = await make(networks, 'routers', {
    router: {
      name: 'shop',
      description: 'the way out',
      external_gateway_info: { network_id: publicNetwork },
    },
  });
  for (const { subnet } of [front, back]) {
    const body = { subnet_id: subnet };
    await send(networks, 'PUT', ['routers', router, 'add_router_interface'], body);
    atEnd(async () => {
      await send(networks, 'PUT', ['routers', router, 'remove_router_interface'], body);
    });
  }

  const makeGroup = (name: string) =>
    make(networks, 'security-groups', { security_group: { name, description: `of ${name} servers` } });
  const groups = { web: await makeGroup('web'), app: await makeGroup('app'), db: await makeGroup('db') };
  const admit = async (to: keyof typeof groups, from: keyof typeof groups, port: number) => {
    const rule = {
      security_group_id: groups[to],
      remote_group_id: groups[from],
      direction: 'ingress',
      protocol: 'tcp',
      port_range_min: port,
      port_range_max: port,
      description: `${from} to ${to}`,
    };
    await send(networks, 'POST', ['security-group-rules'], { security_group_rule: rule });
    // Groups that refer to each other cannot be removed.
    atEnd(async () => {
      const item = z.looseObject({ id: z.string(), remote_group_id: z.string().nullable() });
      const query = { security_group_id: groups[to], remote_group_id: groups[from] };
      const place = { path: ['security-group-rules'], collection: 'security_group_rules', query, item };
      for await (const { id } of networks.list(place, live)) {
        const path = ['security-group-rules', id];
        await networks.request({ method: 'DELETE', path, answer: z.unknown() }, live);
      }
    });
  };
  await admit('app', 'web', 8_080);
  await admit('db', 'app', 5_432);
  await admit('web', 'db', 443);

  const [keyPair, publicKey] = ['shop key', newPublicKey()];
  await send(compute, 'POST', ['os-keypairs'], {
    keypair: { name: keyPair, type: 'ssh', public_key: publicKey },
  });
  atEnd(async () => {
    await compute.request({ method: 'DELETE', path: ['os-keypairs', keyPair], answer: z.unknown() }, live);
  });
  const serverGroup = await make(compute, 'os-server-groups', {
    server_group: { name: 'shop', policy: 'soft-anti-affinity' },
  });

  const flavorRef = await idOf(compute, 'flavors', 'small');
  const makeVolume = (name: string, more: JsonObject) =>
    make(volumes, 'volumes', { volume: { name, size: 1, volume_type: 'file', ...more } }, 'available');
  const makeServer = async (name: keyof typeof groups, in_: string): Promise<ShopServer> => {
    const group = groups[name];
    const port = await make(networks, 'ports', {
      port: {
        name: `${name} port`,
        network_id: in_,
        security_groups: [group],
        allowed_address_pairs: [{ ip_address: '10.9.9.9' }],
      },
    });
    const root = await makeVolume(`${name} root`, { metadata: { use: 'system' } });
    const data = await makeVolume(`${name} data`, { description: 'what is sold' });
    await send(volumes, 'POST', ['volumes', root, 'action'], { 'os-set_bootable': { bootable: true } });
    const disk = { source_type: 'volume', destination_type: 'volume' };
    const body = {
      server: {
        name,
        description: `the ${name} server`,
        flavorRef,
        key_name: keyPair,
        metadata: { tier: name },
        tags: ['gold'],
        networks: [{ port }],
        block_device_mapping_v2: [
          { boot_index: 0, uuid: root, ...disk },
          { boot_index: -1, uuid: data, delete_on_termination: false, ...disk },
        ],
      },
      'os:scheduler_hints': { group: serverGroup },
    };
    return { id: await make(compute, 'servers', body, 'ACTIVE'), root, data, port, group };
  };
  const [web, app, db] = [
    await makeServer('web', front.id),
    await makeServer('app', back.id),
    await makeServer('db', back.id),
  ];
  const floatingIp = await make(networks, 'floatingips', {
    floatingip: { floating_network_id: publicNetwork, port_id: web.port, description: 'the shop window' },
  });
  const made = { web, app, db, router, floatingIp, serverGroup, keyPair, publicKey, publicNetwork };
  return { ...made, front: front.id, back: back.id };
}

/** What looks like a key, for Nova reads its form. */
export function newPublicKey(): string {
  const field = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const key = Buffer.concat([field(Buffer.from('ssh-ed25519')), field(randomBytes(32))]);
  return `ssh-ed25519 ${key.toString('base64')} shop`;
}
