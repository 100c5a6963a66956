import * as z from 'zod';
import { openStackClient } from '../../../src/clients/openstack/index.ts';
import { cloudOf } from './containers.ts';
import type { Account, OpenStack } from './openstack.ts';

const live = { signal: new AbortController().signal };
const KEYS = z.looseObject({ credential: z.looseObject({ access: z.string(), secret: z.string() }) });

/** Swift by its S3 interface, for one account. */
export type SwiftS3 = {
  readonly place: {
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  /** Takes the keys away. */
  end(): Promise<void>;
};

/** Asks Keystone for keys of an account; its buckets are the containers of its project. */
export async function swiftS3(lab: OpenStack, account: Account): Promise<SwiftS3> {
  const client = openStackClient(cloudOf(lab, account));
  const identity = client.service('identity');
  const { user, project } = await client.scope(live);
  const path = ['users', user.id, 'credentials', 'OS-EC2'];
  const body = { tenant_id: project?.id ?? '' };
  const { credential } = await identity.request({ method: 'POST', path, body, answer: KEYS }, live);
  const { origin } = await client.service('object-store').endpoint(live);
  const credentials = { accessKeyId: credential.access, secretAccessKey: credential.secret };
  return {
    place: { endpoint: origin, region: 'us-east-1', credentials },
    async end() {
      const keys = [...path, credential.access];
      await identity.request({ method: 'DELETE', path: keys, answer: z.unknown() }, live);
      await client.close();
    },
  };
}
