import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import type {
  CreateRequest,
  JsonObject,
  Protectable,
  Surroundings,
} from '../../../src/core/contracts/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { newProject, type Project } from './project.ts';
import { newPublicKey } from './shop.ts';

const { openstack, skipped } = openStackLab();
// The services share few cores with others.
const MINUTES = 30 * 60_000;
const SERVER = 'OS::Nova::Server';
const VOLUME = 'OS::Cinder::Volume';
// What Nova says of a server that no description can bring back; as in docs/openstack.md.
const OWN = [
  'OS-SRV-USG:launched_at',
  'created',
  'hostId',
  'id',
  'key_name',
  'links',
  'metadata',
  'os-extended-volumes:volumes_attached',
  'server_groups',
  'tenant_id',
  'updated',
  'user_id',
];

const newCall = () => ({ signal: new AbortController().signal });
const tokenOf = (name: string): string => createHash('md5').update(name).digest('hex');
const same = (original: string): string => original;

if (openstack === undefined)
  describe.skip(`servers of OpenStack made again (${skipped})`, () => test('needs the lab', () => undefined));
else describe('servers of OpenStack made again', () => suite(openstack));

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
  const capture = (project: Project, type: string, id: string): Promise<JsonObject> =>
    protectableOf(project, type).capture({ type, id }, newCall());
  const idsIn = async (project: Project, type: string): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of protectableOf(project, type).list(newCall())) ids.push(id);
    return ids;
  };
  const serverIn = async ({ compute, send }: Project, id: string): Promise<JsonObject> =>
    z.object({ server: z.record(z.string(), z.json()) }).parse(await send(compute, 'GET', ['servers', id]))
      .server;

  /** Makes a resource of the source in the destination. */
  const remake = async (type: string, id: string): Promise<{ id: string; token: string }> => {
    const token = tokenOf(`${type} ${id}`);
    const description = await capture(source, type, id);
    const there = protectableOf(destination, type);
    const made = await there.create(description, { token }, newCall());
    destination.atEnd(() => there.remove({ token }, newCall()));
    return { id: made.id, token };
  };
  /** Makes a server of a description in the destination, twice, with what stands for what it is joined to. */
  const remakeServer = async (
    description: JsonObject,
    token: string,
    standIns: ReadonlyMap<string, string>,
    more: Partial<CreateRequest> = {},
  ): Promise<string> => {
    const there = protectableOf(destination, SERVER);
    const surroundings: Surroundings = {
      resolve({ type, id }) {
        const standIn = standIns.get(id);
        return standIn === undefined ? undefined : { type, id: standIn };
      },
      address: same,
    };
    destination.atEnd(() => there.remove({ token }, newCall()));
    const made = await there.create(description, { token, surroundings, ...more }, newCall());
    expect(await there.create(description, { token, surroundings, ...more }, newCall())).toEqual(made);
    const request = { token, description, ...surroundings };
    await there.connect(made, request, newCall());
    await there.connect(made, request, newCall());
    await there.probe?.(made, request, newCall());
    return made.id;
  };
  const removeTwice = async (token: string): Promise<void> => {
    const there = protectableOf(destination, SERVER);
    await there.remove({ token }, newCall());
    await there.remove({ token }, newCall());
  };

  const volumeIn = async ({ volumes, make, send }: Project, name: string): Promise<string> => {
    const volume = { name, size: 1, volume_type: 'file' };
    const id = await make(volumes, 'volumes', { volume }, 'available');
    await send(volumes, 'POST', ['volumes', id, 'action'], { 'os-set_bootable': { bootable: true } });
    return id;
  };
  const portsIn = async ({ networks, make }: Project): Promise<string[]> => {
    const network = await make(networks, 'networks', { network: { name: 'front' } });
    const subnet = { network_id: network, cidr: '10.1.0.0/24', ip_version: 4 };
    await make(networks, 'subnets', { subnet });
    const ports: string[] = [];
    for (const last of [7, 5]) {
      const [ip_address, mac_address] = [`10.1.0.${last}`, `fa:16:3e:00:00:0${last}`];
      const port = { network_id: network, fixed_ips: [{ ip_address }], mac_address };
      ports.push(await make(networks, 'ports', { port }));
    }
    return ports;
  };

  test(
    'are equal in all that can be',
    async () => {
      const { compute, make, send, idOf, atEnd } = source;
      const keypair = { name: 'shop key', type: 'ssh', public_key: newPublicKey() };
      await send(compute, 'POST', ['os-keypairs'], { keypair });
      atEnd(async () => {
        const path = ['os-keypairs', keypair.name];
        await compute.request({ method: 'DELETE', path, answer: z.unknown() }, newCall());
      });
      // There is one host alone, so that a second member finds no place.
      const server_group = { name: 'apart', policy: 'anti-affinity' };
      const group = await make(compute, 'os-server-groups', { server_group });
      const [first = '', second = ''] = await portsIn(source);
      const [root, data] = [await volumeIn(source, 'root'), await volumeIn(source, 'data')];
      const disk = { source_type: 'volume', destination_type: 'volume' };
      const body = {
        server: {
          name: 'web',
          description: 'the web server',
          flavorRef: await idOf(compute, 'flavors', 'small'),
          key_name: keypair.name,
          hostname: 'www',
          metadata: { tier: 'web' },
          tags: ['gold'],
          config_drive: true,
          'OS-DCF:diskConfig': 'MANUAL',
          accessIPv4: '198.51.100.9',
          networks: [{ port: first, tag: 'outside' }, { port: second }],
          block_device_mapping_v2: [
            { boot_index: 0, uuid: root, ...disk, tag: 'system' },
            { boot_index: -1, uuid: data, ...disk, delete_on_termination: true },
          ],
        },
        'os:scheduler_hints': { group },
      };
      const id = await make(compute, 'servers', body, 'ACTIVE');
      // What ends with its server cannot be removed once more.
      atEnd(async () => {
        const attachment = { volumeAttachment: { volumeId: data, delete_on_termination: false } };
        await send(compute, 'PUT', ['servers', id, 'os-volume_attachments', data], attachment);
      });
      const act = (action: JsonObject) => send(compute, 'POST', ['servers', id, 'action'], action);

      const [firstThere = '', secondThere = ''] = await portsIn(destination);
      const rootThere = await volumeIn(destination, 'root');
      const dataThere = await remake(VOLUME, data);
      const keyThere = await remake('OS::Nova::KeyPair', keypair.name);
      const groupThere = await remake('OS::Nova::ServerGroup', group);
      const standIns = new Map([
        [first, firstThere],
        [second, secondThere],
        [root, rootThere],
        [data, dataThere.id],
        [keypair.name, keyThere.id],
        [group, groupThere.id],
      ]);

      const description = await capture(source, SERVER, id);
      const token = tokenOf(id);
      const made = await remakeServer(description, token, standIns);
      expect(await capture(destination, SERVER, made)).toEqual({
        ...description,
        key_name: keyThere.id,
        server_groups: [groupThere.id],
        metadata: { tier: 'web', 'fafnir-token': token },
        bootVolume: rootThere,
        volumes: [
          { volumeId: rootThere, device: expect.any(String), tag: 'system', delete_on_termination: false },
          { volumeId: dataThere.id, device: expect.any(String), tag: null, delete_on_termination: true },
        ],
        ports: [
          { portId: firstThere, tag: 'outside', state: 'ACTIVE' },
          { portId: secondThere, tag: null, state: 'ACTIVE' },
        ],
      });
      const [before, after] = [await serverIn(source, id), await serverIn(destination, made)];
      expect(Object.keys(after).toSorted()).toEqual(Object.keys(before).toSorted());
      const without = (server: JsonObject) =>
        Object.fromEntries(Object.entries(server).filter(([name]) => !OWN.includes(name)));
      expect(without(after)).toEqual(without(before));
      expect(await idsIn(destination, SERVER)).toEqual([made]);

      const spare = await volumeIn(destination, 'spare');
      const alone = {
        ...description,
        ports: [],
        volumes: (description.volumes as JsonObject[]).slice(0, 1),
      };
      const other = remakeServer(alone, tokenOf('other'), new Map([...standIns, [root, spare]]));
      await expect(other).rejects.toMatchObject({
        code: 'PLUGIN_FAILED',
        message: expect.stringContaining('No valid host was found'),
      });
      await removeTwice(tokenOf('other'));
      expect(await idsIn(destination, SERVER)).toEqual([made]);

      await removeTwice(token);
      expect(await idsIn(destination, SERVER)).toEqual([]);
      // It ended with its server.
      await protectableOf(destination, VOLUME).remove({ token: dataThere.token }, newCall());
      expect(new Set(await idsIn(destination, VOLUME))).toEqual(new Set([rootThere, spare]));

      await act({ 'os-stop': null });
      const wait = { path: ['servers', id], member: 'server', until: ['SHUTOFF'], milliseconds: MINUTES };
      await compute.waitFor(wait, newCall());
      await act({ lock: { locked_reason: 'do not touch' } });
      atEnd(async () => {
        await act({ unlock: null });
      });
      const off = await capture(source, SERVER, id);
      standIns.delete(data);
      standIns.delete(second);
      const offToken = tokenOf('off');
      const names = { of: (kind: string, name: string) => (kind === 'flavor' ? 'large' : name) };
      const offThere = await remakeServer(off, offToken, standIns, { names });
      expect(await serverIn(destination, offThere)).toMatchObject({
        status: 'SHUTOFF',
        locked: true,
        locked_reason: 'do not touch',
        flavor: { original_name: 'large' },
        'os-extended-volumes:volumes_attached': [{ id: rootThere }],
        addresses: { front: [{ addr: '10.1.0.7' }] },
      });
      await removeTwice(offToken);
      expect(await idsIn(destination, SERVER)).toEqual([]);
    },
    MINUTES,
  );

  test(
    'start from the image that has the same bytes',
    async () => {
      const imageIn = async ({ images, send, atEnd }: Project, name: string, bytes: string) => {
        const image = { name, disk_format: 'raw', container_format: 'bare' };
        const { id } = z.looseObject({ id: z.string() }).parse(await send(images, 'POST', ['images'], image));
        atEnd(async () => {
          await images.request({ method: 'DELETE', path: ['images', id], answer: z.unknown() }, newCall());
        });
        const headers = { 'content-type': 'application/octet-stream' };
        const upload = {
          method: 'PUT',
          path: ['images', id, 'file'],
          headers,
          body: [Buffer.from(bytes)],
        } as const;
        await images.transfer(upload, async () => undefined, newCall());
        return id;
      };
      const { compute, make, idOf } = source;
      const base = await imageIn(source, 'base', 'what a server starts from');
      const flavorRef = await idOf(compute, 'flavors', 'small');
      const server = { name: 'from image', flavorRef, imageRef: base, networks: 'none' };
      const id = await make(compute, 'servers', { server }, 'ACTIVE');
      const images = protectableOf(destination, 'OS::Glance::Image');
      const image = await capture(source, 'OS::Glance::Image', base);
      const gaps = async () =>
        (await images.gaps?.([{ description: image, address: same }], newCall())) ?? [];

      await imageIn(destination, 'base', 'something else');
      expect(await gaps()).toEqual([
        { at: 0, reason: expect.stringMatching(/^image base is not there.*map it/) },
      ]);
      const token = tokenOf(base);
      await expect(images.create(image, { token }, newCall())).rejects.toMatchObject({ code: 'MAPPING_GAP' });

      const renamed = await imageIn(destination, 'renamed', 'what a server starts from');
      expect(await gaps()).toEqual([]);
      expect(await images.create(image, { token }, newCall())).toMatchObject({ id: renamed });
      await images.remove({ token }, newCall());
      expect(await images.find([renamed], newCall())).toHaveLength(1);

      const description = await capture(source, SERVER, id);
      const serverToken = tokenOf(id);
      const made = await remakeServer(description, serverToken, new Map([[base, renamed]]));
      expect(await capture(destination, SERVER, made)).toEqual({
        ...description,
        image: renamed,
        metadata: { 'fafnir-token': serverToken },
      });
      await removeTwice(serverToken);
    },
    MINUTES,
  );

  test('tell what is missing, and what it can be mapped to', async () => {
    const id = await volumeIn(source, 'somewhere');
    const volume = await capture(source, VOLUME, id);
    const elsewhere = { ...volume, volume_type: 'gold', availability_zone: 'mars' };
    const ask = async (type: string, description: JsonObject, names?: Record<string, string>) => {
      const of = (_kind: string, original: string): string => names?.[original] ?? original;
      const request = { description, address: same, names: { of } };
      return (await protectableOf(destination, type).gaps?.([request, request], newCall())) ?? [];
    };
    const reason = expect.stringMatching(/type gold.*zone mars/);
    expect(await ask(VOLUME, volume)).toEqual([]);
    expect(await ask(VOLUME, elsewhere)).toEqual([
      { at: 0, reason },
      { at: 1, reason },
    ]);
    expect(await ask(VOLUME, elsewhere, { gold: 'file', mars: 'nova' })).toEqual([]);

    const [token, names] = [
      tokenOf(id),
      { of: (_: string, one: string) => (one === 'mars' ? 'nova' : 'file') },
    ];
    const there = protectableOf(destination, VOLUME);
    await expect(there.create(elsewhere, { token }, newCall())).rejects.toMatchObject({
      code: 'MAPPING_GAP',
    });
    const made = await there.create(elsewhere, { token, names }, newCall());
    expect(await capture(destination, VOLUME, made.id)).toMatchObject({
      volume_type: 'file',
      availability_zone: 'nova',
    });
    await there.remove({ token }, newCall());
  });

  test('belong to the project of the destination', async () => {
    const type = 'OS::Keystone::Project';
    const description = await capture(source, type, source.id);
    const token = tokenOf(source.id);
    const there = protectableOf(destination, type);
    const standIn = await there.create(description, { token }, newCall());
    expect(standIn).toMatchObject({ type, id: destination.id });
    const request = { token, description, resolve: () => undefined, address: same };
    await there.connect(standIn, request, newCall());
    await there.remove({ token }, newCall());
    expect(await there.find([destination.id], newCall())).toHaveLength(1);
  });
}
