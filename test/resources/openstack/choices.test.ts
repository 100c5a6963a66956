import { describe, expect, it } from 'vitest';
import type { JsonObject, Protectable } from '../../../src/core/contracts/index.ts';
import { chooseFlavor, type Flavor } from '../../../src/resources/openstack/flavors.ts';
import { chooseImage, type ThereImage } from '../../../src/resources/openstack/image-making.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { TableCloud } from './table-cloud.ts';

const newCall = () => ({ signal: new AbortController().signal });
const namesOf = (names: Record<string, string>) => ({
  of: (_kind: string, original: string) => names[original] ?? original,
});

describe('the flavor of a server', () => {
  const size = { vcpus: 1, ram: 128, disk: 1, ephemeral: 0, swap: 0, extra_specs: {} };
  const flavor = (name: string, more: Partial<Flavor> = {}): Flavor => ({ ...size, id: name, name, ...more });
  const choose = (flavors: readonly Flavor[], wanted: Partial<Flavor> = {}, names = {}) =>
    chooseFlavor(flavors, { ...size, original_name: 'small', ...wanted }, namesOf(names))?.name;

  it('is that of its name and size', () => {
    expect(choose([flavor('a'), flavor('small')])).toBe('small');
    expect(choose([flavor('a'), flavor('small', { extra_specs: { x: '1' } })])).toBe('small');
  });

  it('is else one of its size, with the same extra specifications where there is one', () => {
    expect(choose([flavor('small', { ram: 256 }), flavor('b'), flavor('a')])).toBe('a');
    const special = { extra_specs: { 'hw:numa_nodes': '1' } };
    expect(choose([flavor('a'), flavor('b', special)], special)).toBe('b');
  });

  it.each(['vcpus', 'ram', 'disk', 'ephemeral', 'swap'])('is none of other %s', (member) => {
    expect(choose([flavor('small', { [member]: 7 })])).toBeUndefined();
  });

  it('is the one that it is mapped to, whatever its size', () => {
    expect(choose([flavor('small'), flavor('large', { ram: 512 })], {}, { small: 'large' })).toBe('large');
    expect(choose([flavor('small')], {}, { small: 'large' })).toBeUndefined();
  });
});

describe('the image of a server', () => {
  const image = (id: string, more: Partial<ThereImage> = {}): ThereImage => ({
    id,
    name: 'base',
    status: 'active',
    disk_format: 'raw',
    container_format: 'bare',
    checksum: 'md5',
    os_hash_algo: 'sha512',
    os_hash_value: 'sha',
    tags: [],
    ...more,
  });
  const choose = (...images: ThereImage[]) => chooseImage(images, image('original'))?.id;

  it('is one of the same digest, with its name where there is one', () => {
    expect(choose(image('a', { name: 'other' }), image('b'))).toBe('b');
    expect(choose(image('a', { name: 'other' }))).toBe('a');
    expect(choose(image('a', { os_hash_value: 'other', checksum: 'other' }))).toBeUndefined();
  });

  it('is one of its name and MD5 where there are other digests', () => {
    const other = { os_hash_algo: 'sha256', os_hash_value: 'sha' };
    expect(choose(image('a', other))).toBe('a');
    expect(choose(image('a', { ...other, name: 'other' }))).toBeUndefined();
    expect(choose(image('a', { ...other, checksum: 'other' }))).toBeUndefined();
    expect(choose(image('a', { ...other, checksum: null }))).toBeUndefined();
  });

  it('is none that has other bytes in truth, or cannot be used', () => {
    expect(choose(image('a', { disk_format: 'qcow2' }))).toBeUndefined();
    expect(choose(image('a', { status: 'deactivated' }))).toBeUndefined();
  });
});

describe('what stands in the way', () => {
  const protectableOf = (tables: ConstructorParameters<typeof TableCloud>[0], type: string): Protectable => {
    const client = new TableCloud(tables);
    const found = openStackResources({ client }).find((protectable) => protectable.type === type);
    if (found === undefined) throw new Error(`nothing protects ${type}`);
    return found;
  };
  const ask = async (protectable: Protectable, descriptions: readonly JsonObject[], names = {}) => {
    const common = { address: (original: string) => original, names: namesOf(names) };
    const requests = descriptions.map((description) => ({ ...common, description }));
    return (await protectable.gaps?.(requests, newCall())) ?? [];
  };

  it('of a server is its flavor, its zone, and what it starts from', async () => {
    const size = { vcpus: 1, ram: 128, disk: 1, swap: 0, extra_specs: {} };
    const server = {
      name: 'web',
      status: 'ACTIVE',
      flavor: { ...size, original_name: 'small', ephemeral: 0 },
      'OS-EXT-AZ:availability_zone': 'nova',
      image: null,
      bootVolume: 'root',
      volumes: [{ volumeId: 'root' }],
      ports: [],
    };
    const servers = protectableOf(
      {
        'compute/flavors/detail': [{ ...size, id: '1', name: 'small' }],
        'image/images': [{ id: 'base', status: 'active' }],
        'compute/os-availability-zone': [
          { zoneName: 'north', zoneState: { available: true } },
          { zoneName: 'south', zoneState: { available: false } },
        ],
      },
      'OS::Nova::Server',
    );
    const wanted = [
      server,
      { ...server, flavor: { ...server.flavor, ram: 1 } },
      { ...server, 'OS-EXT-AZ:availability_zone': 'south' },
      { ...server, bootVolume: null },
      { ...server, bootVolume: null, image: 'gone', imageGone: true },
    ];
    expect(await ask(servers, wanted)).toEqual([
      { at: 1, reason: expect.stringContaining('server web has the flavor small (1 CPUs, 1 MiB, 1 GiB)') },
      { at: 2, reason: expect.stringContaining('zone south') },
      { at: 3, reason: expect.stringContaining('neither an image nor a volume') },
      { at: 4, reason: expect.stringContaining('image gone, which was gone') },
    ]);
    expect(await ask(servers, wanted.slice(2, 3), { south: 'north' })).toEqual([]);
    expect(await ask(servers, wanted.slice(0, 1), { nova: 'east' })).toHaveLength(1);
    expect(await ask(servers, wanted.slice(4), { gone: 'base' })).toEqual([]);
    expect(await ask(servers, wanted.slice(4), { gone: 'other' })).toHaveLength(1);
  });

  it('of a key pair is another key of its name', async () => {
    const public_key = 'ssh-ed25519 AAAA';
    const keyPairs = protectableOf(
      { 'compute/os-keypairs': [{ keypair: { name: 'key', public_key } }] },
      'OS::Nova::KeyPair',
    );
    const wanted = [
      { name: 'key', public_key: `${public_key}\n` },
      { name: 'key', public_key: 'ssh-ed25519 BBBB' },
      { name: 'other', public_key },
    ];
    expect(await ask(keyPairs, wanted)).toEqual([
      { at: 1, reason: expect.stringContaining('another public key') },
    ]);
    const request = { token: '0'.repeat(32), resolve: () => undefined, address: (one: string) => one };
    const [description = {}] = wanted;
    const there = await keyPairs.create(description, request, newCall());
    expect(there).toMatchObject({ id: 'key' });
    await keyPairs.connect(there, { ...request, description }, newCall());
    await keyPairs.remove(request, newCall());
  });
});
