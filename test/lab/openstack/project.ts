import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import {
  type OpenStackClient,
  type OpenStackService,
  openStackClient,
} from '../../../src/clients/openstack/index.ts';
import type { JsonObject } from '../../../src/core/contracts/index.ts';
import type { Account, OpenStack } from './openstack.ts';

const live = { signal: new AbortController().signal };
const MINUTES = 5 * 60_000;
const named = z.looseObject({ id: z.string(), name: z.string() });

/** A project that nobody else works in. */
export type Project = {
  readonly id: string;
  /** Whoever may work in it. */
  readonly account: Account;
  readonly client: OpenStackClient;
  readonly compute: OpenStackService;
  readonly volumes: OpenStackService;
  readonly images: OpenStackService;
  readonly networks: OpenStackService;
  /** Sends a request, and gives the answer. */
  send(
    service: OpenStackService,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: readonly string[],
    body?: JsonObject,
  ): Promise<unknown>;
  /** Makes a resource, the body's first member, and gives its id; waits for the state where one is given. */
  make(service: OpenStackService, collection: string, body: JsonObject, until?: string): Promise<string>;
  /** The id of the first resource of a list that has the name. */
  idOf(service: OpenStackService, collection: string, name: string): Promise<string>;
  /** Calls this when the project ends, what was given last first. */
  atEnd(work: () => Promise<void>): void;
  /** Removes all that was made, and the project. */
  end(): Promise<void>;
};

/** Makes a project with a user of its own. */
export async function newProject({ authUrl, region, admin }: OpenStack): Promise<Project> {
  const credentials = {
    type: 'password',
    user: { name: admin.user },
    password: admin.password,
    project: { name: admin.project },
  } as const;
  const administrator = openStackClient({ authUrl, region, credentials, timeoutMilliseconds: MINUTES });
  const identity = administrator.service('identity');
  const name = `lab-${randomUUID().slice(0, 8)}`;
  const password = randomUUID();
  const ends: (() => Promise<void>)[] = [];

  const send: Project['send'] = async (service, method, path, body) => {
    const answer = z.unknown();
    return await service.request({ method, path, answer, ...(body && { body }) }, live);
  };
  const remove = (service: OpenStackService, path: readonly string[]) => async () => {
    await service.request({ method: 'DELETE', path, answer: z.unknown() }, live);
    await service.waitUntilGone({ path, milliseconds: MINUTES }, live);
  };
  const make: Project['make'] = async (service, collection, body, until) => {
    const [member = ''] = Object.keys(body);
    const answer = z.looseObject({ [member]: z.looseObject({ id: z.string() }) });
    const got = answer.parse(await send(service, 'POST', [collection], body));
    const id = got[member]?.id ?? '';
    const path = [collection, id];
    ends.unshift(remove(service, path));
    if (until !== undefined)
      await service.waitFor({ path, member, until: [until], milliseconds: MINUTES }, live);
    return id;
  };
  const idOf: Project['idOf'] = async (service, collection, wanted) => {
    const place = { path: [collection], collection: collection.replaceAll('-', '_') };
    for await (const one of service.list({ ...place, item: named }, live)) {
      if (one.name === wanted) return one.id;
    }
    throw new Error(`${service.type} has no ${collection} ${wanted}`);
  };

  const id = await make(identity, 'projects', { project: { name, domain_id: 'default' } });
  // Neutron makes one for each project that it sees, and keeps it; only administrators may remove it.
  ends.unshift(async () => {
    const neutron = administrator.service('network');
    const place = { path: ['security-groups'], collection: 'security_groups', query: { project_id: id } };
    for await (const group of neutron.list({ ...place, item: named }, live))
      await neutron.request(
        { method: 'DELETE', path: ['security-groups', group.id], answer: z.unknown() },
        live,
      );
  });
  const user = await make(identity, 'users', { user: { name, domain_id: 'default', password } });
  const role = await idOf(identity, 'roles', 'member');
  await send(identity, 'PUT', ['projects', id, 'users', user, 'roles', role]);
  const client = openStackClient({
    authUrl,
    region,
    // The services share few cores with others.
    timeoutMilliseconds: MINUTES,
    credentials: { type: 'password', user: { name }, password, project: { name } },
  });
  return {
    id,
    account: { user: name, password, project: name },
    client,
    compute: client.service('compute', { least: '2.79', most: '2.93' }),
    volumes: client.service('block-storage', { least: '3.27', most: '3.70' }),
    images: client.service('image'),
    networks: client.service('network'),
    send,
    make,
    idOf,
    atEnd: (work) => void ends.unshift(work),
    async end() {
      await removeSnapshots(client.service('block-storage'));
      for (const work of ends) await work();
      await client.close();
      await administrator.close();
    },
  };
}

/** Volumes cannot go before those of their snapshots that archives of changes are based on. */
async function removeSnapshots(volumes: OpenStackService): Promise<void> {
  const left: string[] = [];
  const place = { path: ['snapshots'], collection: 'snapshots', item: z.looseObject({ id: z.string() }) };
  for await (const { id } of volumes.list(place, live)) left.push(id);
  for (const id of left) {
    const path = ['snapshots', id];
    await volumes.request({ method: 'DELETE', path, answer: z.unknown() }, live);
    await volumes.waitUntilGone({ path, member: 'snapshot', milliseconds: MINUTES }, live);
  }
}
