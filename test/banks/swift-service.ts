import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request as it came to Swift. */
export type Received = {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  /** Without the container; empty for the container itself. */
  readonly key: string;
};

/** Answers a request in place of the service, and says so with true. */
export type Fault = (received: Received, request: IncomingMessage, response: ServerResponse) => boolean;

export const KEY = 'the-SECRET-key';

const md5 = (body: Uint8Array): string => createHash('md5').update(body).digest('hex');

/** Answers with an error as Swift gives it. */
export function refuse(
  response: ServerResponse,
  status: number,
  said: string,
  headers: Record<string, string> = {},
): true {
  response.writeHead(status, { ...headers, 'content-type': 'text/html', 'x-trans-id': 'tx-1' });
  response.end(`<html><h1>${said}</h1><p>The ${said} answer.</p></html>`);
  return true;
}

/** Keystone, Swift's own authentication, and as much of Swift as the bank uses, with one container in memory. */
export class SmallSwift {
  readonly container = 'vault';
  readonly objects: Map<string, Buffer> = new Map();
  readonly received: Received[] = [];
  /** How often somebody asked for a token. */
  authentications = 0;
  /** The one that Swift takes. */
  token = '';
  /** Names in one answer, however many are asked for. */
  pageSize = 1_000;
  fault: Fault = () => false;
  url = '';
  readonly #server: Server = createServer((request, response) => {
    this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** The methods of the requests that came for a key, in their order. */
  methods(key: string): string[] {
    return this.received.filter((one) => one.key === key).map(({ method }) => method);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', headers } = request;
    const url = new URL(request.url ?? '', 'http://service');
    if (url.pathname === '/v3/auth/tokens') return this.#keystone(await text(request), response);
    if (url.pathname === '/auth/v1.0') return this.#tempAuth(request, response);
    const [, , , container = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
    const received = { method, url, headers, key: rest.join('/') };
    this.received.push(received);
    if (this.fault(received, request, response)) return;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (headers['x-auth-token'] !== this.token) refuse(response, 401, 'Unauthorized');
    else if (container !== this.container) refuse(response, 404, 'Not Found');
    else if (received.key === '') this.#list(received, response);
    else if (method === 'PUT') this.#put(received, Buffer.concat(chunks), response);
    else this.#get(received, response);
  }

  #keystone(asked: string, response: ServerResponse): void {
    if (!asked.includes(KEY)) {
      refuse(response, 401, 'Unauthorized');
      return;
    }
    const endpoints = [{ interface: 'public', region: 'one', url: `${this.url}/v1/AUTH_shop` }];
    const token = {
      issued_at: new Date().toISOString(),
      expires_at: new Date(Date.now() + 3_600_000).toISOString(),
      user: { id: 'u1', name: 'ann' },
      catalog: [{ type: 'object-store', endpoints }],
    };
    response.writeHead(201, { 'x-subject-token': this.#nextToken() }).end(JSON.stringify({ token }));
  }

  #tempAuth({ headers }: IncomingMessage, response: ServerResponse): void {
    if (headers['x-auth-user'] !== 'shop:ann' || headers['x-auth-key'] !== KEY) {
      refuse(response, 401, 'Unauthorized');
      return;
    }
    const answer = { 'x-storage-url': `${this.url}/v1/AUTH_shop`, 'x-auth-token': this.#nextToken() };
    response.writeHead(200, { ...answer, 'x-auth-token-expires': '86400' }).end();
  }

  #nextToken(): string {
    this.authentications += 1;
    this.token = `token-${this.authentications}`;
    return this.token;
  }

  #put({ key, headers }: Received, body: Buffer, response: ServerResponse): void {
    if (headers['if-none-match'] === '*' && this.objects.has(key)) {
      refuse(response, 412, 'Precondition Failed');
    } else if (headers.etag !== undefined && headers.etag !== md5(body)) {
      refuse(response, 422, 'Unprocessable Entity');
    } else {
      this.objects.set(key, body);
      response.writeHead(201, { etag: md5(body) }).end();
    }
  }

  #get({ method, key, headers }: Received, response: ServerResponse): void {
    const object = this.objects.get(key);
    const [, from = '', to = ''] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
    if (object === undefined) refuse(response, 404, 'Not Found');
    else if (method === 'DELETE') {
      this.objects.delete(key);
      response.writeHead(204).end();
    } else if (from === '') {
      const facts = { 'content-length': object.length, etag: md5(object) };
      response.writeHead(200, facts).end(method === 'HEAD' ? undefined : object);
    } else if (Number(from) >= object.length) refuse(response, 416, 'Requested Range Not Satisfiable');
    else {
      const part = object.subarray(Number(from), Number(to) + 1);
      const range = `bytes ${from}-${Number(from) + part.length - 1}/${object.length}`;
      response.writeHead(206, { 'content-length': part.length, 'content-range': range }).end(part);
    }
  }

  #list({ method, url }: Received, response: ServerResponse): void {
    if (method === 'HEAD') {
      response.writeHead(204).end();
      return;
    }
    const [prefix = '', marker = ''] = ['prefix', 'marker'].map((name) => url.searchParams.get(name) ?? '');
    const order = (left: string, right: string) => Buffer.compare(Buffer.from(left), Buffer.from(right));
    const names = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && order(key, marker) > 0);
    const page = names.sort(order).slice(0, Math.min(this.pageSize, Number(url.searchParams.get('limit'))));
    const list = page.map((name) => ({ name, bytes: this.objects.get(name)?.length, hash: '' }));
    response.end(JSON.stringify(list));
  }
}
