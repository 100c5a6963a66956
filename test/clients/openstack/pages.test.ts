import { createServer } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import * as z from 'zod';
import { live, SmallCloud } from './small-cloud.ts';

const item = z.looseObject({ id: z.string() });
const servers = { path: ['servers'], collection: 'servers', item, query: { all: true } };

let cloud: SmallCloud;
beforeEach(async () => {
  cloud = new SmallCloud();
  await cloud.start();
});
afterEach(() => cloud.stop());

const compute = () => cloud.client().service('compute');
const read = async (list: AsyncIterable<{ readonly id: string }>): Promise<readonly string[]> => {
  const ids: string[] = [];
  for await (const { id } of list) ids.push(id);
  return ids;
};

/** Answers with two servers a page; `link` makes the way to the next of three pages. */
function serve(link: (marker: string) => object): void {
  cloud.serve = ({ url }, response) => {
    const first = Number(url.searchParams.get('marker') ?? '0');
    const page = { servers: [{ id: String(first + 1), more: true }, { id: String(first + 2) }] };
    response.end(JSON.stringify(first < 4 ? { ...page, ...link(String(first + 2)) } : page));
  };
}

test.each([
  [
    'Nova',
    (marker: string) => ({ servers_links: [{ rel: 'next', href: `http://x/servers?marker=${marker}` }] }),
  ],
  ['Glance', (marker: string) => ({ next: `/v2/servers?marker=${marker}` })],
  ['Keystone', (marker: string) => ({ links: { self: '', next: `http://x/servers?marker=${marker}` } })],
])('pages are followed as %s links them', async (_, link) => {
  serve(link);
  expect(await read(compute().list({ ...servers, pageSize: 2 }, live))).toEqual([
    '1',
    '2',
    '3',
    '4',
    '5',
    '6',
  ]);
  expect(cloud.received.map(({ url }) => url.search)).toEqual([
    '?all=true&limit=2',
    '?marker=2&all=true&limit=2',
    '?marker=4&all=true&limit=2',
  ]);
});

test('unknown fields stay, and who leaves asks for no further page', async () => {
  serve((marker) => ({ next: `?marker=${marker}` }));
  for await (const one of compute().list(servers, live)) {
    expect(one).toEqual({ id: '1', more: true });
    break;
  }
  expect(cloud.received).toHaveLength(1);
});

test('a link leads to no other host, takes the token nowhere, and changes nothing that was asked', async () => {
  let visits = 0;
  const thief = createServer((_, response) => {
    visits += 1;
    response.end('{"servers":[]}');
  });
  await new Promise<void>((resolve) => thief.listen(0, '127.0.0.1', resolve));
  const address = thief.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  serve((marker) => ({ next: `http://127.0.0.1:${port}/steal?marker=${marker}&all=false` }));
  expect(await read(compute().list(servers, live))).toHaveLength(6);
  expect(visits).toBe(0);
  expect(cloud.received.map(({ url }) => url.searchParams.get('all'))).toEqual(['true', 'true', 'true']);
  thief.close();
});

test.each([1, 2, 3, 7])('links that go in a circle of %i are noticed', async (length) => {
  cloud.serve = ({ url }, response) => {
    const at = Number(url.searchParams.get('marker') ?? '0');
    const next = `?marker=${at < length ? at + 1 : 1}`;
    response.end(JSON.stringify({ servers: [{ id: String(at) }], next }));
  };
  await expect(read(compute().list(servers, live))).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
  expect(cloud.received.length).toBeLessThan(4 * length + 4);
});

test('a list that was cut off, and an answer without one, are no lists', async () => {
  cloud.serve = (_, response) => response.end('{"servers":[{"id":"1"}],"truncated":true}');
  await expect(read(compute().list(servers, live))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  cloud.serve = (_, response) => response.end('{"volumes":[]}');
  await expect(read(compute().list(servers, live))).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
});
