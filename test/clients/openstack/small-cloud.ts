import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import {
  type OpenStackClient,
  type OpenStackOptions,
  openStackClient,
} from '../../../src/clients/openstack/index.ts';
import type { Clock, JsonObject } from '../../../src/core/contracts/index.ts';

/** A request as it came to a service. */
export type Received = { readonly method: string; readonly url: URL; readonly token: string };

export const PASSWORD = 'correct horse';
export const live: { readonly signal: AbortSignal } = { signal: new AbortController().signal };

/** Time that goes by only when told to; pauses are over at once, and remembered. */
export class TestClock implements Clock {
  readonly pauses: number[] = [];
  elapsed = 0;
  now = (): number => this.elapsed;
  monotonic = (): number => this.elapsed;
  async sleep(milliseconds: number, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted();
    // A limit of time, and no pause: it is not reached.
    if (milliseconds >= 60_000) await once(signal, 'abort');
    else this.pauses.push(milliseconds);
  }
}

/** A Keystone that lets everybody in, and one service, `compute`, that the test is. */
export class SmallCloud {
  readonly clock: TestClock = new TestClock();
  readonly received: Received[] = [];
  /** Bodies of authentications. */
  readonly authentications: JsonObject[] = [];
  lifetimeMilliseconds = 3_600_000;
  url = '';
  /** Answers a request to the service. */
  serve: (received: Received, response: ServerResponse, request: IncomingMessage) => void = (_, response) =>
    response.end('{}');
  readonly #clients: OpenStackClient[] = [];
  readonly #server: Server = createServer((request, response) => {
    this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) await client.close();
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  client(more: Partial<OpenStackOptions> = {}): OpenStackClient {
    const user = { name: 'ann' };
    const credentials = { type: 'password' as const, user, password: PASSWORD, project: { name: 'shop' } };
    const client = openStackClient({ authUrl: this.url, credentials, clock: this.clock, ...more });
    this.#clients.push(client);
    return client;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://cloud');
    const token = String(request.headers['x-auth-token'] ?? '');
    if (url.pathname === '/v3/auth/tokens') {
      this.authentications.push((await json(request)) as JsonObject);
      const id = `token-${this.authentications.length}`;
      const issued = Date.UTC(2026, 0);
      const body = {
        issued_at: new Date(issued).toISOString(),
        expires_at: new Date(issued + this.lifetimeMilliseconds).toISOString(),
        user: { id: 'u1', name: 'ann' },
        project: { id: 'p1', name: 'shop' },
        catalog: [
          {
            type: 'compute',
            endpoints: [{ interface: 'public', region: 'one', url: `${this.url}/compute/v2.1` }],
          },
        ],
      };
      response.writeHead(201, { 'x-subject-token': id }).end(JSON.stringify({ token: body }));
      return;
    }
    const received = { method: request.method ?? '', url, token };
    this.received.push(received);
    this.serve(received, response, request);
  }
}
