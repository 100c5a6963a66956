import { randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';

/** A secret of a webhook. */
export const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;

/** A request as it came. */
export interface Received {
  readonly id: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers a request; the first has number 1. */
export type Answer = (response: ServerResponse, request: Received, number: number) => unknown;

/** The answer of a receiver that has got it. */
export const accept: Answer = (response) => response.writeHead(204).end();

/** A receiver of webhooks on the loopback interface. */
export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly received: readonly Received[];
  answer: Answer;
  /** Resolves when this many requests have come. */
  came(count: number): Promise<void>;
}

/** Starts one. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    void (async () => {
      const body = await text(request);
      const one = { id: String(request.headers['webhook-id']), headers: request.headers, body };
      received.push(one);
      receiver.answer(response, one, received.length);
      for (const wake of waiting) wake();
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/of-nobody-else`,
    received,
    answer: accept,
    async came(count) {
      while (received.length < count) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.add(resolve);
        await promise;
        waiting.delete(resolve);
      }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return receiver;
}
