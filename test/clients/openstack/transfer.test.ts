import type { IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { OpenStackBytes, OpenStackOptions } from '../../../src/clients/openstack/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { live, PASSWORD, SmallCloud } from './small-cloud.ts';

const MEBIBYTE = 1024 ** 2;
const get = { method: 'GET', path: ['images', 'a'] } as const;

let cloud: SmallCloud;
beforeEach(async () => {
  cloud = new SmallCloud();
  await cloud.start();
});
afterEach(() => cloud.stop());

const compute = (more: Partial<OpenStackOptions> = {}) => cloud.client(more).service('compute');

async function read({ body }: OpenStackBytes): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('bytes go up and down as they are, with a length and the headers asked for', async () => {
  let came = Buffer.alloc(0);
  let headers: IncomingHttpHeaders = {};
  cloud.serve = async (_, response, request) => {
    headers = request.headers;
    came = await buffer(request);
    response.end(came);
  };
  const body = Array.from({ length: 5 }, (_, at) => Buffer.alloc(MEBIBYTE + at, at));
  const put = {
    method: 'PUT',
    path: ['images', 'a'],
    headers: { 'content-type': 'image/raw' },
    body,
  } as const;
  const back = await compute().transfer(put, read, live);
  expect(came.equals(Buffer.concat(body))).toBe(true);
  expect(back.equals(came)).toBe(true);
  expect(headers).toMatchObject({
    'content-length': String(5 * MEBIBYTE + 10),
    'content-type': 'image/raw',
    'x-auth-token': 'token-1',
  });
});

test('bytes that are made on the way up come in order, and again from the first where a token is renewed', async () => {
  const came: Buffer[] = [];
  cloud.serve = async ({ token }, response, request) => {
    came.push(await buffer(request));
    response.writeHead(token === 'token-1' ? 401 : 200).end();
  };
  let opened = 0;
  const body = {
    size: 3 * MEBIBYTE,
    async *open() {
      opened += 1;
      for (let at = 0; at < 3; at += 1) yield Buffer.alloc(MEBIBYTE, at);
    },
  };
  const put = { method: 'PUT', path: ['images', 'a'], body } as const;
  expect(await compute().transfer(put, async ({ status }) => status, live)).toBe(200);
  expect(opened).toBe(2);
  const whole = Buffer.concat([0, 1, 2].map((at) => Buffer.alloc(MEBIBYTE, at)));
  expect(came.map((one) => one.equals(whole))).toEqual([true, true]);
});

test.each([1, 3])('a stream that is %i MiB and not two fails', async (pieces) => {
  cloud.serve = async (_, response, request) => {
    await buffer(request).catch(() => undefined);
    response.end();
  };
  const body = {
    size: 2 * MEBIBYTE,
    async *open() {
      for (let at = 0; at < pieces; at += 1) yield Buffer.alloc(MEBIBYTE, at);
    },
  };
  const put = { method: 'PUT', path: ['images', 'a'], body } as const;
  await expect(compute().transfer(put, read, live)).rejects.toSatisfy((error) => FafnirError.is(error));
});

test('a stream that fails is the error of the transfer', async () => {
  cloud.serve = async (_, response, request) => {
    await buffer(request).catch(() => undefined);
    response.end();
  };
  const body = {
    size: 2 * MEBIBYTE,
    async *open() {
      yield Buffer.alloc(MEBIBYTE);
      throw new FafnirError('CORRUPT', 'the rest is damaged');
    },
  };
  const put = { method: 'PUT', path: ['images', 'a'], body } as const;
  await expect(compute().transfer(put, read, live)).rejects.toMatchObject({ code: 'CORRUPT' });
});

test('an answer larger than what is kept of JSON comes piece by piece', async () => {
  cloud.serve = async (_, response) => {
    const piece = Buffer.alloc(MEBIBYTE);
    for (let sent = 0; sent < 80; sent += 1) {
      if (!response.write(piece)) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end();
  };
  const count = async ({ body }: OpenStackBytes): Promise<number> => {
    let size = 0;
    for await (const chunk of body) size += chunk.length;
    return size;
  };
  expect(await compute().transfer(get, count, live)).toBe(80 * MEBIBYTE);
});

test('what is not read does not hold the connection', async () => {
  cloud.serve = (_, response) => response.end(Buffer.alloc(MEBIBYTE));
  const service = compute();
  const status = async (answer: OpenStackBytes): Promise<number> => answer.status;
  for (let times = 0; times < 20; times += 1) expect(await service.transfer(get, status, live)).toBe(200);
});

test('a refusal is an error that has its words without secrets, and nothing is sent twice', async () => {
  cloud.serve = ({ token }, response) =>
    response
      .writeHead(503, { 'x-trans-id': 'tx-1', 'retry-after': '3' })
      .end(`<p>away, ${token}, ${PASSWORD}</p>${'x'.repeat(MEBIBYTE)}`);
  await expect(compute().transfer(get, read, live)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    retryAfterMilliseconds: 3_000,
    message: expect.stringMatching(
      /^GET images\/a of compute: away, \[secret\], \[secret\] x+ \(HTTP 503, tx-1\)$/,
    ),
    cause: { status: 503 },
  });
  expect(cloud.received).toHaveLength(1);
  expect(cloud.clock.pauses).toEqual([]);
});

test('a token that is refused is replaced once, and the body sent again', async () => {
  const bodies: string[] = [];
  cloud.serve = async ({ token }, response, request) => {
    bodies.push((await buffer(request)).toString());
    response.writeHead(token === 'token-1' ? 401 : 201).end();
  };
  const put = { method: 'PUT', path: ['a'], body: [Buffer.from('one,'), Buffer.from('two')] } as const;
  expect(await compute().transfer(put, async ({ status }) => status, live)).toBe(201);
  expect(bodies).toEqual(['one,two', 'one,two']);
});

test('a reader who refuses ends the transfer with the own error', async () => {
  cloud.serve = (_, response) => response.end('bytes');
  const reason = new FafnirError('LIMIT_EXCEEDED', 'too many');
  const refused = compute().transfer(get, () => Promise.reject(reason), live);
  await expect(refused).rejects.toBe(reason);
});

test('a transfer that stands still is ended, one that moves is not', async () => {
  const service = compute({ timeoutMilliseconds: 60_001 });
  await service.endpoint(live);
  const pauses: (() => void)[] = [];
  cloud.clock.sleep = () => new Promise((resolve) => pauses.push(resolve));
  const pass = async (): Promise<void> => {
    for (const over of pauses.splice(0)) over();
    await new Promise((resolve) => setImmediate(resolve));
  };
  let more: (piece: string) => void = () => undefined;
  cloud.serve = (_, response) => {
    more = (piece) => response.write(piece);
    response.write('first');
  };
  const pieces: string[] = [];
  const waiting: { readonly wanted: string; readonly come: () => void }[] = [];
  const transfer = service.transfer(
    get,
    async ({ body }) => {
      for await (const chunk of body) {
        pieces.push(Buffer.from(chunk).toString());
        for (const { wanted, come } of waiting) if (pieces.includes(wanted)) come();
      }
    },
    live,
  );
  const has = (wanted: string): Promise<void> =>
    new Promise((come) => {
      waiting.push({ wanted, come });
      if (pieces.includes(wanted)) come();
    });
  await has('first');
  await pass();
  more('second');
  await has('second');
  await pass();
  expect(pieces).toEqual(['first', 'second']);
  const ended = expect(transfer).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: 'GET images/a of compute: nothing moved for 60001 ms',
  });
  await pass();
  await pass();
  await ended;
});

test('a caller who goes gets the own reason', async () => {
  const caller = new AbortController();
  const reason = new Error('enough');
  const closed = new Promise<void>((resolve) => {
    cloud.serve = (_, response) => {
      response.on('close', () => resolve());
      response.write('first');
    };
  });
  const transfer = compute().transfer(
    get,
    async ({ body }) => {
      for await (const _ of body) caller.abort(reason);
    },
    { signal: caller.signal },
  );
  await expect(transfer).rejects.toBe(reason);
  await closed;
});

test('a client that is closed meanwhile says so', async () => {
  const client = cloud.client();
  cloud.serve = (_, response) => response.write('first');
  const transfer = client.service('compute').transfer(
    get,
    async ({ body }) => {
      for await (const _ of body) await client.close();
    },
    live,
  );
  await expect(transfer).rejects.toMatchObject({ code: 'CLOSED' });
});
