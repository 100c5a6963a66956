import { afterEach, beforeEach, expect, test } from 'vitest';
import * as z from 'zod';
import { type OpenStackCredentials, openStackClient } from '../../../src/clients/openstack/index.ts';
import { live, PASSWORD, SmallCloud } from './small-cloud.ts';

const get = { method: 'GET', path: ['servers'], answer: z.unknown() } as const;

let cloud: SmallCloud;
beforeEach(async () => {
  cloud = new SmallCloud();
  await cloud.start();
});
afterEach(() => cloud.stop());

test('nothing is sent before the first call, and one token serves many', async () => {
  const client = cloud.client();
  const compute = client.service('compute');
  expect(cloud.authentications).toEqual([]);
  await Promise.all([client.scope(live), compute.request(get, live), compute.request(get, live)]);
  expect(cloud.authentications).toEqual([
    {
      auth: {
        identity: {
          methods: ['password'],
          password: { user: { name: 'ann', domain: { id: 'default' }, password: PASSWORD } },
        },
        scope: { project: { name: 'shop', domain: { id: 'default' } } },
      },
    },
  ]);
});

test('a token is renewed before it ends', async () => {
  const compute = cloud.client().service('compute');
  await compute.request(get, live);
  cloud.clock.elapsed = 54 * 60_000;
  await compute.request(get, live);
  expect(cloud.authentications).toHaveLength(1);
  cloud.clock.elapsed = 56 * 60_000;
  await compute.request(get, live);
  expect(cloud.received.map(({ token }) => token)).toEqual(['token-1', 'token-1', 'token-2']);
});

test('a token that is refused is replaced once, also for requests that cannot be repeated', async () => {
  const compute = cloud.client().service('compute');
  cloud.serve = ({ token }, response) => response.writeHead(token === 'token-1' ? 401 : 202).end('{}');
  await compute.request({ ...get, method: 'POST', body: {} }, live);
  expect(cloud.received.map(({ token }) => token)).toEqual(['token-1', 'token-2']);
  cloud.serve = (_, response) => response.writeHead(401).end();
  cloud.received.length = 0;
  await expect(compute.request(get, live)).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  expect(cloud.received.map(({ token }) => token)).toEqual(['token-2', 'token-3']);
});

test('a caller who goes leaves the authentication to the others', async () => {
  const client = cloud.client();
  const caller = new AbortController();
  const [gone, stays] = [client.scope({ signal: caller.signal }), client.scope(live)];
  caller.abort(new Error('enough'));
  await expect(gone).rejects.toThrow('enough');
  expect(await stays).toMatchObject({ user: { name: 'ann' }, project: { name: 'shop' } });
  expect(cloud.authentications).toHaveLength(1);
});

test('credentials of a function are checked, and what it throws is not passed on', async () => {
  const failing = async (): Promise<OpenStackCredentials> => {
    throw new Error(`vault said ${PASSWORD}`);
  };
  const error = await cloud
    .client({ credentials: failing })
    .scope(live)
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
  expect(JSON.stringify(error) + String(error)).not.toContain(PASSWORD);
  const wrong = async () => ({ type: 'password' }) as unknown as OpenStackCredentials;
  await expect(cloud.client({ credentials: wrong }).scope(live)).rejects.toMatchObject({
    code: 'INVALID_OPTIONS',
  });
});

test.each([
  [{ authUrl: 'ftp://cloud' }],
  [{ authUrl: 'http://ann:secret@cloud' }],
  [{ credentials: { type: 'password', user: { name: 'ann' } } }],
  [{ region: '' }],
  [{ regions: ['one'] }],
])('options %j are refused', (options) => {
  const credentials = { type: 'token' as const, token: 'abc' };
  const open = () => openStackClient({ authUrl: 'http://cloud', credentials, ...(options as object) });
  expect(open).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
});
