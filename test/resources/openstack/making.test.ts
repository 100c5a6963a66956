import { describe, expect, it } from 'vitest';
import type { OpenStackService } from '../../../src/clients/openstack/index.ts';
import type { Protectable, ResourceKey } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { isIn } from '../../../src/resources/openstack/addresses.ts';
import { nameWith } from '../../../src/resources/openstack/token-names.ts';
import { TableCloud } from './table-cloud.ts';

const TOKEN = '0123456789abcdef'.repeat(2);
const newCall = () => ({ signal: new AbortController().signal });

function protectableOf(client: TableCloud, type: string): Protectable {
  const found = openStackResources({ client }).find((protectable) => protectable.type === type);
  if (found === undefined) throw new Error(`nothing protects ${type}`);
  return found;
}

describe('a creation', () => {
  it.each([
    'OS::Neutron::Network',
    'OS::Neutron::Router',
    'OS::Neutron::Port',
    'OS::Neutron::FloatingIP',
    'OS::Neutron::SecurityGroup',
    'OS::Neutron::SecurityGroupRule',
    'OS::Nova::KeyPair',
    'OS::Nova::Server',
    'OS::Nova::ServerGroup',
    'OS::Cinder::Volume',
    'OS::Glance::Image',
    'OS::Keystone::Project',
  ])('of %s refuses a description that does not fit, and asks nobody', async (type) => {
    const client = new TableCloud({});
    const creation = protectableOf(client, type).create({ name: 1 }, { token: TOKEN }, newCall());
    await expect(creation).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(client.asked).toEqual([]);
  });

  it('refuses what is no token', async () => {
    const groups = protectableOf(new TableCloud({}), 'OS::Neutron::SecurityGroup');
    await expect(groups.create({ name: 'web' }, { token: 'x' }, newCall())).rejects.toMatchObject({
      code: 'INVALID_ID',
    });
    await expect(groups.remove({ token: 'x' }, newCall())).rejects.toMatchObject({ code: 'INVALID_ID' });
  });

  it('finds by its token what an earlier call made', async () => {
    const keypair = { name: `key-${TOKEN}` };
    const client = new TableCloud({ 'compute/os-keypairs': [{ keypair }, { keypair: { name: 'key' } }] });
    const description = { name: 'key', public_key: 'ssh-ed25519 AAAA' };
    const keyPairs = protectableOf(client, 'OS::Nova::KeyPair');
    expect(await keyPairs.create(description, { token: TOKEN }, newCall())).toMatchObject({
      type: 'OS::Nova::KeyPair',
      id: keypair.name,
    });
  });

  it('joins nothing that does not carry its token', async () => {
    const client = new TableCloud({ 'network/routers': [{ id: 'another' }] });
    const request = {
      token: TOKEN,
      description: { name: 'out', admin_state_up: true, external_gateway_info: null, interfaces: [] },
      resolve: () => undefined,
      address: (original: string) => original,
    };
    const key = { type: 'OS::Neutron::Router', id: 'router' };
    await expect(protectableOf(client, key.type).connect(key, request, newCall())).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('takes back what a dead worker had asked for and came later, when it is connected', async () => {
    const named = (name: string) => ({ keypair: { name } });
    const client = new TableCloud({
      'compute/os-keypairs': [`key-${TOKEN}`, `late-${TOKEN}`, 'key'].map(named),
    });
    const removed: string[] = [];
    client.answer = ({ method, path }) => {
      removed.push(`${method} ${path.join('/')}`);
      return {};
    };
    const description = { name: 'key', public_key: 'ssh-ed25519 AAAA' };
    const surroundings = { resolve: () => undefined, address: (original: string) => original };
    const request = { token: TOKEN, description, ...surroundings };
    const key = { type: 'OS::Nova::KeyPair', id: `key-${TOKEN}` };
    await protectableOf(client, key.type).connect(key, request, newCall());
    expect(removed).toEqual([`DELETE os-keypairs/late-${TOKEN}`]);
  });

  it('does nothing once it is aborted', async () => {
    const client = new TableCloud({});
    const aborted = { signal: AbortSignal.abort() };
    const groups = protectableOf(client, 'OS::Neutron::SecurityGroup');
    await expect(groups.create({ name: 'web' }, { token: TOKEN }, aborted)).rejects.toThrow();
    await expect(groups.remove({ token: TOKEN }, aborted)).rejects.toThrow();
    expect(client.asked).toEqual([]);
  });
});

describe('a server', () => {
  const size = { vcpus: 1, ram: 128, disk: 1, swap: 0, extra_specs: {} };
  const description = {
    name: 'web',
    status: 'ACTIVE',
    key_name: 'key of somebody else',
    flavor: { ...size, original_name: 'small', ephemeral: 0 },
    image: null,
    bootVolume: 'root',
    volumes: [
      { volumeId: 'root', tag: 'system', delete_on_termination: true },
      { volumeId: 'left out' },
      { volumeId: 'data' },
    ],
    ports: [
      { portId: 'front', tag: 'outside' },
      { portId: 'left out', tag: null },
    ],
    server_groups: ['apart'],
    accessIPv4: '198.51.100.1',
    metadata: { tier: 'web', 'fafnir-token': 'of an earlier creation' },
  };
  const surroundings = {
    resolve({ type, id }: ResourceKey) {
      if (type === 'OS::Nova::KeyPair') throw new FafnirError('NOT_FOUND', 'not part of the restore');
      return id === 'left out' ? undefined : { type, id: `new ${id}` };
    },
    address: () => '198.51.100.2',
  };

  /** A cloud whose Nova makes a server, but is too slow to say so. */
  class SlowCloud extends TableCloud {
    readonly bodies: unknown[] = [];

    override service(type: string): OpenStackService {
      const request: OpenStackService['request'] = async ({ body }) => {
        this.bodies.push(body);
        this.tables['compute/servers/detail'] = [{ id: 'late', metadata: { 'fafnir-token': TOKEN } }];
        throw new FafnirError('UNAVAILABLE', 'no answer in time');
      };
      return { ...super.service(type), request };
    }
  }
  const newCloud = () => new SlowCloud({ 'compute/flavors/detail': [{ ...size, id: 'f1', name: 'small' }] });

  it('is asked for with what stands for what it was joined to, and found where the answer was late', async () => {
    const client = newCloud();
    const servers = protectableOf(client, 'OS::Nova::Server');
    const request = { token: TOKEN, surroundings };
    expect(await servers.create(description, request, newCall())).toMatchObject({ id: 'late' });
    expect(await servers.create(description, request, newCall())).toMatchObject({ id: 'late' });
    const disk = { source_type: 'volume', destination_type: 'volume' };
    expect(client.bodies).toEqual([
      {
        server: {
          name: 'web',
          flavorRef: 'f1',
          tags: [],
          config_drive: false,
          accessIPv4: '198.51.100.2',
          networks: [{ port: 'new front', tag: 'outside' }],
          block_device_mapping_v2: [
            { uuid: 'new root', boot_index: 0, tag: 'system', delete_on_termination: true, ...disk },
            { uuid: 'new data', boot_index: -1, delete_on_termination: false, ...disk },
          ],
          metadata: { tier: 'web', 'fafnir-token': TOKEN },
        },
        'os:scheduler_hints': { group: 'new apart' },
      },
    ]);
  });

  it.each([
    ['MAPPING_GAP', { bootVolume: 'left out' }],
    ['MAPPING_GAP', { flavor: { ...description.flavor, original_name: 'huge', ram: 1 } }],
    ['CORRUPT', { bootVolume: 'of nobody' }],
  ])('is refused with %s before anything is asked for', async (code, change) => {
    const client = newCloud();
    const request = { token: TOKEN, surroundings };
    const creation = protectableOf(client, 'OS::Nova::Server').create(
      { ...description, ...change },
      request,
      newCall(),
    );
    await expect(creation).rejects.toMatchObject({ code });
    expect(client.bodies).toEqual([]);
  });
});

describe('a name that carries a token', () => {
  it('has one alone, and is not too long', () => {
    expect(nameWith('key', TOKEN)).toBe(`key-${TOKEN}`);
    expect(nameWith(`key-${'f'.repeat(32)}`, TOKEN)).toBe(`key-${TOKEN}`);
    expect(nameWith('k'.repeat(255), TOKEN)).toMatch(new RegExp(`^k{222}-${TOKEN}$`));
  });
});

describe('a range', () => {
  it.each([
    ['10.0.0.1', '10.0.0.0/24', true],
    ['10.0.1.1', '10.0.0.0/24', false],
    ['fd00::1', 'fd00::/64', true],
    ['fd00:1::1', 'fd00::/64', false],
    ['10.0.0.1', 'fd00::/64', false],
    ['no address', '10.0.0.0/24', false],
  ])('knows of %s whether %s has it', (address, cidr, expected) => {
    expect(isIn(address, cidr)).toBe(expected);
  });
});
