import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { OpenStackRequest } from '../../../src/clients/openstack/index.ts';
import { live, PASSWORD, SmallCloud } from './small-cloud.ts';

const get = { method: 'GET', path: ['servers'], answer: z.unknown() } satisfies OpenStackRequest<unknown>;
const post = { ...get, method: 'POST', body: { server: {} } } satisfies OpenStackRequest<unknown>;

let cloud: SmallCloud;
beforeEach(async () => {
  cloud = new SmallCloud();
  await cloud.start();
});
afterEach(() => cloud.stop());

const compute = () => cloud.client().service('compute');

/** Lets the first requests fail. */
function failing(times: number, fail: (response: ServerResponse) => void): void {
  cloud.serve = (_, response) => {
    if (cloud.received.length <= times) fail(response);
    else response.end('{"done":true}');
  };
}

const away =
  (headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    response.writeHead(503, { 'x-openstack-request-id': 'req-1', ...headers }).end('{"message":"down"}');

describe('a request that can be repeated', () => {
  test('waits as long as an overloaded service asks', async () => {
    failing(1, away({ 'retry-after': '2' }));
    expect(await compute().request(get, live)).toEqual({ done: true });
    expect(cloud.clock.pauses).toEqual([2_000]);
  });

  test('is sent four times, and then says who was away', async () => {
    failing(9, away());
    const error = {
      code: 'UNAVAILABLE',
      retryable: true,
      message: 'GET servers of compute: down (HTTP 503, req-1)',
    };
    await expect(compute().request(get, live)).rejects.toMatchObject(error);
    expect(cloud.received).toHaveLength(4);
    expect(cloud.clock.pauses).toEqual([250, 500, 1_000]);
  });

  test('does not wait for an hour, but tells of it', async () => {
    failing(9, away({ 'retry-after': '3600' }));
    const error = { code: 'UNAVAILABLE', retryAfterMilliseconds: 3_600_000 };
    await expect(compute().request(get, live)).rejects.toMatchObject(error);
    expect(cloud.received).toHaveLength(1);
  });

  test('survives a connection that is cut', async () => {
    failing(1, (response) => response.destroy());
    expect(await compute().request(get, live)).toEqual({ done: true });
    failing(2, (response) => {
      response.writeHead(200, { 'content-length': 99 }).write('{"done":');
      setImmediate(() => response.destroy());
    });
    cloud.received.length = 0;
    expect(await compute().request(get, live)).toEqual({ done: true });
    expect(cloud.received).toHaveLength(3);
  });
});

describe('a request that cannot', () => {
  test.each([
    ['a gateway without a service', away()],
    ['a connection that is cut', (response: ServerResponse) => response.destroy()],
  ])('is sent once to %s', async (_, fail) => {
    failing(1, fail);
    await expect(compute().request(post, live)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(cloud.received).toHaveLength(1);
  });

  test('is sent again where the service has not begun with it', async () => {
    failing(1, away({ 'retry-after': '1' }));
    expect(await compute().request(post, live)).toEqual({ done: true });
    failing(1, (response) => response.writeHead(429).end());
    cloud.received.length = 0;
    expect(await compute().request(post, live)).toEqual({ done: true });
    expect(cloud.clock.pauses).toEqual([1_000, 250]);
  });
});

test('a service that cannot be reached is UNAVAILABLE, after some pauses', async () => {
  const gone = new SmallCloud();
  await gone.start();
  await gone.stop();
  const client = cloud.client({ authUrl: gone.url });
  await expect(client.scope(live)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('ECONNREFUSED'),
  });
  expect(cloud.clock.pauses).toHaveLength(3);
});

test('an answer that does not come is not waited for', async () => {
  cloud.serve = () => undefined;
  const client = cloud.client({ timeoutMilliseconds: 60_001 });
  await client.scope(live);
  cloud.clock.sleep = async () => undefined;
  await expect(client.service('compute').request(get, live)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: 'GET servers of compute: no answer within 60001 ms',
  });
});

test('a caller who goes gets the own reason, and the request is cancelled', async () => {
  const caller = new AbortController();
  const reason = new Error('enough');
  const closed = new Promise<void>((resolve) => {
    cloud.serve = (_, response) => {
      response.on('close', () => resolve());
      caller.abort(reason);
    };
  });
  await expect(compute().request(get, { signal: caller.signal })).rejects.toBe(reason);
  await closed;
  expect(cloud.clock.pauses).toEqual([]);
  await expect(compute().request(get, { signal: caller.signal })).rejects.toBe(reason);
  expect(cloud.received).toHaveLength(1);
});

test('what a service repeats of secrets is in no message', async () => {
  cloud.serve = ({ token }, response) => {
    response.writeHead(400).end(JSON.stringify({ badRequest: { message: `no ${token} and ${PASSWORD}` } }));
  };
  const error = await compute()
    .request(get, live)
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: 'PLUGIN_FAILED',
    message: 'GET servers of compute: no [secret] and [secret] (HTTP 400)',
    cause: { status: 400, message: 'no [secret] and [secret]' },
  });
});

test('a closed client refuses', async () => {
  const client = cloud.client();
  await client.scope(live);
  await client.close();
  await expect(client.service('compute').request(get, live)).rejects.toMatchObject({ code: 'CLOSED' });
});

test('no path leads out of the service', async () => {
  for (const segment of ['', '.', '..']) {
    const path = ['servers', segment];
    await expect(compute().request({ ...get, path }, live)).rejects.toMatchObject({ code: 'INVALID_ID' });
  }
  await compute().request({ ...get, path: ['os-keypairs', 'a/../b?c#d'], query: { limit: 2 } }, live);
  expect(cloud.received.map(({ url }) => url.pathname + url.search)).toEqual([
    '/compute/v2.1/os-keypairs/a%2F..%2Fb%3Fc%23d?limit=2',
  ]);
});

test('an answer of another shape is refused', async () => {
  cloud.serve = (_, response) => response.end('<html>welcome</html>');
  const answer = z.looseObject({ servers: z.array(z.unknown()) });
  await expect(compute().request({ ...get, answer }, live)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
});
