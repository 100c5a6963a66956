import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { swiftBank } from '../../../src/banks/swift.ts';
import { type OpenStackOptions, openStackClient } from '../../../src/clients/openstack/index.ts';
import type { Bank } from '../../../src/core/contracts/index.ts';
import type { Ceph } from '../ceph/ceph.ts';
import type { Account, OpenStack } from './openstack.ts';

const live = { signal: new AbortController().signal };

/** How a client of an account finds the lab's cloud. */
export function cloudOf(
  { authUrl, region }: OpenStack,
  { user, password, project }: Account,
): OpenStackOptions {
  const credentials = {
    type: 'password',
    user: { name: user },
    password,
    project: { name: project },
  } as const;
  return { authUrl, region, credentials };
}

/** How a client finds a Swift that has no Keystone. */
export function tempAuthOf({ authUrl, ...account }: Ceph['swift']): OpenStackOptions {
  return { authUrl, credentials: { type: 'tempauth', ...account } };
}

/** Makes a container, or changes one that is there. */
export async function makeContainer(
  cloud: OpenStackOptions,
  name: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  await using client = openStackClient(cloud);
  const swift = client.service('object-store');
  await swift.transfer({ method: 'PUT', path: [name], headers }, async () => undefined, live);
}

/** Removes a container that is empty. */
export async function removeContainer(cloud: OpenStackOptions, name: string): Promise<void> {
  await using client = openStackClient(cloud);
  const request = { method: 'DELETE', path: [name], answer: z.unknown() } as const;
  await client.service('object-store').request(request, live);
}

/** A container for many banks. */
export type SharedContainer = {
  readonly name: string;
  /** A bank of its own, in a new folder. */
  open(): Bank;
  /** Removes the container and all that is in it. */
  end(): Promise<void>;
};

/** Makes a container for many banks, for which Keystone is asked for a token once. */
export async function shareContainer(cloud: OpenStackOptions): Promise<SharedContainer> {
  const container = `bank-${randomUUID()}`;
  await makeContainer(cloud, container);
  const token = await tokenOf(cloud);
  const known = { ...cloud, ...(token !== undefined && { credentials: { type: 'token', token } as const }) };
  const open = (place: { readonly prefix?: string }): Bank =>
    swiftBank({ name: 'swift', container, ...place, ...known });
  return {
    name: container,
    open: () => open({ prefix: `fafnir/${randomUUID()}` }),
    end: () => emptyContainer(cloud, container).then(() => removeContainer(cloud, container)),
  };
}

/** Removes all that is in a container, in one request for each list. */
export async function emptyContainer(cloud: OpenStackOptions, container: string): Promise<void> {
  await using client = openStackClient(cloud);
  const swift = client.service('object-store');
  const path = [container];
  const item = z.array(z.object({ name: z.string() }));
  for (;;) {
    const asked = { method: 'GET', path, query: { format: 'json' }, answer: item.default([]) } as const;
    const objects = await swift.request(asked, live);
    if (objects.length === 0) return;
    const body = [Buffer.from(objects.map(({ name }) => `/${container}/${name}`).join('\n'))];
    const headers = { 'content-type': 'text/plain' };
    const request = { method: 'POST', path: [], query: { 'bulk-delete': true }, headers, body } as const;
    await swift.transfer(request, async () => undefined, live);
  }
}

/** A token of Keystone for others to use; of an authentication without Keystone, undefined. */
async function tokenOf(cloud: OpenStackOptions): Promise<string | undefined> {
  const { credentials } = cloud;
  if (typeof credentials === 'function' || credentials.type !== 'password') return undefined;
  await using client = openStackClient(cloud);
  const { user, password, project } = credentials;
  const domain = { id: 'default' };
  const identity = { methods: ['password'], password: { user: { ...user, domain, password } } };
  const body = Buffer.from(
    JSON.stringify({ auth: { identity, scope: { project: { ...project, domain } } } }),
  );
  const headers = { 'content-type': 'application/json' };
  return await client
    .service('identity')
    .transfer(
      { method: 'POST', path: ['auth', 'tokens'], headers, body: [body] },
      async (answer) => answer.headers['x-subject-token'],
      live,
    );
}
