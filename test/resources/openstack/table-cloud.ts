import type {
  OpenStackClient,
  OpenStackRequest,
  OpenStackScope,
  OpenStackService,
} from '../../../src/clients/openstack/index.ts';
import type { CallOptions, JsonObject } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { parseOptions } from '../../../src/core/options.ts';

/** What services list, by service and path, such as `compute/servers/detail`. */
export type Tables = Record<string, readonly JsonObject[]>;

/** A cloud that is nothing but lists; it counts how often it is asked. */
export class TableCloud implements OpenStackClient {
  readonly asked: string[] = [];
  readonly tables: Tables;
  /** The list that cannot be read. */
  broken: string | undefined;
  /** What answers requests beside those for lists. */
  answer: ((request: OpenStackRequest<unknown>) => JsonObject) | undefined;

  constructor(tables: Tables) {
    this.tables = tables;
  }

  async scope(_call: CallOptions): Promise<OpenStackScope> {
    return {
      user: { id: 'u1', name: 'ann' },
      project: { id: 'p1', name: 'shop' },
      roles: ['member'],
    };
  }

  service(type: string): OpenStackService {
    const refuse = async (): Promise<never> => {
      throw new FafnirError('UNSUPPORTED', 'this cloud has lists alone');
    };
    const rowsOf = (path: readonly string[]): readonly JsonObject[] => {
      const name = [type, ...path].join('/');
      this.asked.push(name);
      if (name === this.broken) throw new FafnirError('UNAVAILABLE', `${name} cannot be read`);
      return this.tables[name] ?? [];
    };
    return {
      type,
      async *list({ path, item }) {
        for (const row of rowsOf(path)) yield parseOptions('row', item, row);
      },
      endpoint: refuse,
      microversion: refuse,
      request: async (request) =>
        this.answer === undefined ? refuse() : parseOptions('answer', request.answer, this.answer(request)),
      transfer: refuse,
      waitFor: refuse,
      waitUntilGone: refuse,
    };
  }

  async close(): Promise<void> {
    this.asked.push('close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const own = { project_id: 'p1', status: 'ACTIVE', tags: [] };

/** A project of servers that have a volume, a port, a floating address and a security group that they share. */
export function shop(servers: number): Tables {
  const numbers = Array.from({ length: servers }, (_, at) => `${at}`);
  const network = (id: string, more: JsonObject) => ({ ...own, id, name: id, ...more });
  const port = (id: string, more: JsonObject) => ({
    ...own,
    id,
    name: '',
    network_id: 'net',
    mac_address: `fa:16:3e:00:00:${id}`,
    fixed_ips: [],
    security_groups: [],
    ...more,
  });
  const rule = (id: string, security_group_id: string, remote_group_id: string | null) => ({
    ...own,
    id,
    security_group_id,
    remote_group_id,
    direction: 'ingress',
  });
  return {
    'compute/servers/detail': numbers.map((n) => ({
      id: `server-${n}`,
      name: `web ${n}`,
      status: 'ACTIVE',
      tenant_id: 'p1',
      key_name: n === '0' ? 'key' : 'of somebody else',
      image: '',
      'os-extended-volumes:volumes_attached': [{ id: `volume-${n}` }],
      metadata: { tier: 'web' },
      tags: ['gold'],
    })),
    'compute/os-keypairs': [{ keypair: { name: 'key' } }],
    'compute/os-server-groups': [
      { id: 'apart', name: 'apart', policy: 'anti-affinity', project_id: 'p1', members: ['server-0'] },
    ],
    'block-storage/volumes/detail': numbers.map((n) => ({
      id: `volume-${n}`,
      name: null,
      size: 2,
      status: 'in-use',
    })),
    'network/networks': [
      network('net', {}),
      network('public', { project_id: 'others', 'router:external': true }),
    ],
    'network/routers': [network('router', { external_gateway_info: { network_id: 'public' } })],
    'network/ports': [
      ...numbers.map((n) =>
        port(`port-${n}`, {
          device_id: `server-${n}`,
          device_owner: 'compute:nova',
          security_groups: ['group-a'],
        }),
      ),
      port('inside', { device_id: 'router', device_owner: 'network:router_interface' }),
      port('dhcp', { device_id: 'dhcp-agent', device_owner: 'network:dhcp' }),
    ],
    'network/floatingips': numbers.map((n) => ({
      ...own,
      id: `floating-${n}`,
      floating_network_id: 'public',
      floating_ip_address: `198.51.100.${n}`,
      port_id: `port-${n}`,
      router_id: 'router',
    })),
    'network/security-groups': [network('group-a', {}), network('group-b', {})],
    'network/security-group-rules': [
      rule('rule-1', 'group-a', 'group-b'),
      rule('rule-2', 'group-b', 'group-a'),
    ],
    'image/images': [],
  };
}
