import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { ConnectRequest, Protectable } from '../../../src/core/contracts/index.ts';
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
