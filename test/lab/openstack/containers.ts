import * as z from 'zod';
import { type OpenStackOptions, openStackClient } from '../../../src/clients/openstack/index.ts';
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
