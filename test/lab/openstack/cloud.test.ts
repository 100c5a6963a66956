import { randomUUID } from 'node:crypto';
import { open as openFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { type OpenStackService, openStackClient } from '../../../src/clients/openstack/index.ts';
import type { JsonObject } from '../../../src/core/contracts/index.ts';
import { type OpenStack, openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const live = { signal: new AbortController().signal };
const MINUTES = 5 * 60_000;
const anything = z.unknown();

if (openstack === undefined)
  describe.skip(`the cloud of the lab (${skipped})`, () => test('needs the lab', () => undefined));
else describe('the cloud of the lab', () => suite(openstack));

function suite({ authUrl, region, sites, files, rbd }: OpenStack): void {
  const { user, password, project } = sites.b;
  const credentials = {
    type: 'password',
    user: { name: user },
    password,
    project: { name: project },
  } as const;
  const cloud = openStackClient({ authUrl, region, credentials });
  const volumes = cloud.service('block-storage', { least: '3.27', most: '3.70' });
  const compute = cloud.service('compute', { least: '2.67', most: '2.93' });
  const networks = cloud.service('network');
  const name = `cloud-${randomUUID().slice(0, 8)}`;
  /** What was made, the last first. */
  const made: (() => Promise<void>)[] = [];
  afterAll(async () => {
    for (const remove of made) await remove();
    // Cinder removes backups, and leaves the container that it made for them.
    const container = { method: 'DELETE', path: [name], answer: anything } as const;
    await cloud.service('object-store').request(container, live);
    await cloud.close();
  });

  /** Makes a resource, waits until it is as it should be where that takes time, and remembers to remove it. */
  const make = async (
    service: OpenStackService,
    collection: string,
    body: JsonObject,
    until?: string,
  ): Promise<string> => {
    const member = Object.keys(body)[0] ?? '';
    const answer = z.looseObject({ [member]: z.looseObject({ id: z.string() }) });
    const path = [collection];
    const { id = '' } = (await service.request({ method: 'POST', path, body, answer }, live))[member] ?? {};
    const place = { path: [collection, id], member, milliseconds: MINUTES };
    made.unshift(async () => {
      await service.request({ method: 'DELETE', path: place.path, answer: anything }, live);
      await service.waitUntilGone(place, live);
    });
    if (until !== undefined) await service.waitFor({ ...place, until: [until] }, live);
    return id;
  };
  const makeVolume = (more: JsonObject) =>
    make(volumes, 'volumes', { volume: { name, size: 1, ...more } }, 'available');
  const contents = async (volume: string, text?: string): Promise<string> => {
    await using file = await openFile(join(files, `volume-${volume}`), 'r+');
    if (text !== undefined) await file.write(text, 4_096);
    return (await file.read(Buffer.alloc(6), 0, 6, 4_096)).buffer.toString();
  };

  test.each(['file', 'nfs', ...(rbd === undefined ? [] : ['rbd'])])(
    'keeps volumes of the type %s, and snapshots and backups of them',
    async (type) => {
      const volume = await makeVolume({ volume_type: type });
      await make(volumes, 'backups', { backup: { name, volume_id: volume, container: name } }, 'available');
      await make(volumes, 'snapshots', { snapshot: { name, volume_id: volume } }, 'available');
    },
  );

  test('clones files with what is in them', async () => {
    const volume = await makeVolume({ volume_type: 'file' });
    expect(await contents(volume, 'before')).toBe('before');
    const snapshot = await make(volumes, 'snapshots', { snapshot: { name, volume_id: volume } }, 'available');
    expect(await contents(volume, 'after!')).toBe('after!');
    expect(await contents(await makeVolume({ snapshot_id: snapshot }))).toBe('before');
    const body = { revert: { snapshot_id: snapshot } };
    await volumes.request(
      { method: 'POST', path: ['volumes', volume, 'action'], body, answer: anything },
      live,
    );
    const reverted = {
      path: ['volumes', volume],
      member: 'volume',
      until: ['available'],
      milliseconds: MINUTES,
    };
    await volumes.waitFor(reverted, live);
    expect(await contents(volume)).toBe('before');
  });

  test('takes snapshots of groups', async () => {
    const first = async (collection: string, wanted: string): Promise<string> => {
      const item = z.looseObject({ id: z.string(), name: z.string() });
      const ids: string[] = [];
      for await (const one of volumes.list(
        { path: [collection.replace('volume_', '')], collection, item },
        live,
      )) {
        if (one.name === wanted) ids.push(one.id);
      }
      return ids[0] ?? '';
    };
    const [groupType, type] = await Promise.all([
      first('group_types', 'consistent'),
      first('volume_types', 'file'),
    ]);
    const body = { group: { name, group_type: groupType, volume_types: [type] } };
    const group = await make(volumes, 'groups', body, 'available');
    made.shift();
    await makeVolume({ volume_type: 'file', group_id: group });
    made.shift();
    await make(volumes, 'group_snapshots', { group_snapshot: { name, group_id: group } }, 'available');
    const remove = made.shift();
    await remove?.();
    const action = { method: 'POST', path: ['groups', group, 'action'], answer: anything } as const;
    await volumes.request({ ...action, body: { delete: { 'delete-volumes': true } } }, live);
    await volumes.waitUntilGone({ path: ['groups', group], member: 'group', milliseconds: MINUTES }, live);
  });

  test('runs servers that have volumes and addresses', async () => {
    const network = await make(networks, 'networks', { network: { name } });
    await make(networks, 'subnets', { subnet: { network_id: network, cidr: '10.9.0.0/24', ip_version: 4 } });
    const [root, data] = [
      await makeVolume({ volume_type: 'file' }),
      await makeVolume({ volume_type: 'nfs' }),
    ];
    const bootable = { 'os-set_bootable': { bootable: true } };
    await volumes.request(
      { method: 'POST', path: ['volumes', root, 'action'], body: bootable, answer: anything },
      live,
    );
    const flavors = z.looseObject({ flavors: z.array(z.looseObject({ id: z.string(), name: z.string() })) });
    const found = await compute.request({ method: 'GET', path: ['flavors'], answer: flavors }, live);
    const disk = { source_type: 'volume', destination_type: 'volume' };
    const server = {
      name,
      flavorRef: found.flavors.find((flavor) => flavor.name === 'small')?.id ?? '',
      networks: [{ uuid: network }],
      block_device_mapping_v2: [
        { boot_index: 0, uuid: root, ...disk },
        { boot_index: -1, uuid: data, ...disk },
      ],
    };
    const id = await make(compute, 'servers', { server }, 'ACTIVE');
    const answer = z.looseObject({
      server: z.looseObject({
        addresses: z.record(z.string(), z.array(z.looseObject({ addr: z.string() }))),
        'os-extended-volumes:volumes_attached': z.array(z.looseObject({ id: z.string() })),
      }),
    });
    const { server: running } = await compute.request({ method: 'GET', path: ['servers', id], answer }, live);
    expect(running.addresses[name]?.[0]?.addr).toMatch(/^10\.9\.0\.\d+$/);
    expect(running['os-extended-volumes:volumes_attached'].map((volume) => volume.id)).toEqual([root, data]);
  });
}
