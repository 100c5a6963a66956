import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { pattern } from '../../../src/testing/storage-array/helpers.ts';
import type { OpenStack } from '../../lab/openstack/openstack.ts';
import type { Project } from '../../lab/openstack/project.ts';
import { newPublicKey } from '../../lab/openstack/shop.ts';

const MIB = 2 ** 20;

/**
 * Makes a small application of all that a larger one has: a server that starts from a volume and has one more, its key
 * pair, port and floating address, a network that a router joins to the outside, and a security group with a rule.
 * Resolves with the ids of its volumes.
 */
export async function makeApplication(
  project: Project,
  { externalNetwork, files }: OpenStack,
): Promise<readonly string[]> {
  const { compute, volumes, networks, make, send, idOf, atEnd } = project;
  const outside = await idOf(networks, 'networks', externalNetwork);
  const network = await make(networks, 'networks', { network: { name: 'net' } });
  const subnet = await make(networks, 'subnets', {
    subnet: { network_id: network, name: 'net 4', cidr: '10.1.0.0/24', ip_version: 4 },
  });
  const router = await make(networks, 'routers', {
    router: { name: 'way out', external_gateway_info: { network_id: outside } },
  });
  const joined = { subnet_id: subnet };
  await send(networks, 'PUT', ['routers', router, 'add_router_interface'], joined);
  atEnd(async () => {
    await send(networks, 'PUT', ['routers', router, 'remove_router_interface'], joined);
  });
  const group = await make(networks, 'security-groups', { security_group: { name: 'web' } });
  const rule = { security_group_id: group, direction: 'ingress', protocol: 'tcp', port_range_min: 443 };
  await make(networks, 'security-group-rules', { security_group_rule: { ...rule, port_range_max: 443 } });
  const port = await make(networks, 'ports', { port: { network_id: network, security_groups: [group] } });
  await make(networks, 'floatingips', { floatingip: { floating_network_id: outside, port_id: port } });

  const root = await makeVolume(project, files, 'root');
  const data = await makeVolume(project, files, 'data');
  await send(volumes, 'POST', ['volumes', root, 'action'], { 'os-set_bootable': { bootable: true } });
  const key = `crash ${randomBytes(4).toString('hex')}`;
  await send(compute, 'POST', ['os-keypairs'], {
    keypair: { name: key, type: 'ssh', public_key: newPublicKey() },
  });
  atEnd(async () => {
    await send(compute, 'DELETE', ['os-keypairs', key]);
  });
  const disk = { source_type: 'volume', destination_type: 'volume' };
  const server = {
    name: 'web',
    flavorRef: await idOf(compute, 'flavors', 'small'),
    key_name: key,
    metadata: { tier: 'web' },
    networks: [{ port }],
    block_device_mapping_v2: [
      { boot_index: 0, uuid: root, ...disk },
      { boot_index: -1, uuid: data, ...disk },
    ],
  };
  await make(compute, 'servers', { server }, 'ACTIVE');
  return [root, data];
}

async function makeVolume({ volumes, make }: Project, files: string, name: string): Promise<string> {
  const id = await make(volumes, 'volumes', { volume: { name, size: 1, volume_type: 'file' } }, 'available');
  await using file = await open(join(files, `volume-${id}`), 'r+');
  const bytes = pattern(MIB, name.length);
  for (const offset of [0, 700 * MIB]) await file.write(bytes, 0, bytes.length, offset);
  return id;
}
