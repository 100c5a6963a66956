import type * as undici from 'undici';
import type { CallOptions, Clock, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { withDeadline, withoutStandstill } from './deadline.ts';
import { wireError } from './errors.ts';
import type { Secrets } from './secrets.ts';
import {
  decode,
  exchangeBytes,
  headersOf,
  type Receive,
  type WireReceived,
  type WireTransfer,
} from './transfer.ts';

/** A request as it is sent. */
export interface WireRequest {
  /** For messages: what is tried, and of which service. */
  readonly what: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: JsonObject;
  /** Sent twice, it has the effect of one. */
  readonly repeatable: boolean;
}

/** An answer, whatever its status. */
export interface WireAnswer {
  readonly status: number;
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** What its JSON says; text where it is none, undefined where there is nothing. */
  readonly body: unknown;
}

/** How requests are sent. */
export interface WireSettings {
  readonly clock: Clock;
  /** How long a request may take, until the end of its answer; and how long a transfer may stand still. */
  readonly timeoutMilliseconds: number;
  readonly secrets: Secrets;
}

type Service = {
  readonly request: typeof undici.request;
  readonly agent: undici.Agent;
  /** For answers of any size, which are not kept here. */
  readonly transfers: undici.Agent;
};

const LARGEST_ANSWER = 64 * 1024 ** 2;

/** Connections to the services of a cloud. */
export class Wire {
  readonly #settings: WireSettings;
  #service: Promise<Service> | undefined;
  #isClosed = false;

  constructor(settings: WireSettings) {
    this.#settings = settings;
  }

  /** Sends a request once. Rejects where no complete answer came. */
  async send(request: WireRequest, call: CallOptions): Promise<WireAnswer> {
    const { clock, timeoutMilliseconds: milliseconds } = this.#settings;
    this.#assertOpen(request);
    const late = (): Error =>
      new FafnirError('UNAVAILABLE', `${request.what}: no answer within ${milliseconds} ms`);
    return withDeadline({ clock, milliseconds, late }, call, ({ signal }) =>
      this.#run(request, signal, ({ request: send, agent }) => exchange(send, agent, request, signal)),
    );
  }

  /**
   * Sends bytes once, and hands an answer of success over before its body has come. Takes as long as it moves on.
   * Rejects where no complete answer came, and where `receive` rejects.
   */
  async transfer<Value>(
    request: WireTransfer,
    receive: Receive<Value>,
    call: CallOptions,
  ): Promise<WireReceived<Value> | WireAnswer> {
    const { clock, timeoutMilliseconds: milliseconds } = this.#settings;
    this.#assertOpen(request);
    const late = (): Error =>
      new FafnirError('UNAVAILABLE', `${request.what}: nothing moved for ${milliseconds} ms`);
    return withoutStandstill({ clock, milliseconds, late }, call, ({ signal }, movement) =>
      this.#run(request, signal, ({ request: send, transfers }) =>
        exchangeBytes(send, transfers, request, receive, signal, movement),
      ),
    );
  }

  /** Ends what is under way and all connections. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const service = await this.#service?.catch(() => undefined);
    await Promise.all([service?.agent.destroy(), service?.transfers.destroy()]);
  }

  async #run<Value>(
    request: Pick<WireRequest, 'what'>,
    signal: AbortSignal,
    work: (service: Service) => Promise<Value>,
  ): Promise<Value> {
    this.#service ??= openService();
    const service = await this.#service;
    try {
      return await work(service);
    } catch (error) {
      signal.throwIfAborted();
      this.#assertOpen(request);
      throw wireError(request.what, error, this.#settings.secrets);
    }
  }

  #assertOpen({ what }: Pick<WireRequest, 'what'>): void {
    if (this.#isClosed) throw new FafnirError('CLOSED', `${what}: the client was closed`);
  }
}

async function openService(): Promise<Service> {
  const { Agent, request } = await loadUndici();
  // The time of a whole request is limited instead, and of a transfer the time that it stands still.
  const limits = { headersTimeout: 0, bodyTimeout: 0 };
  return {
    request,
    agent: new Agent({ ...limits, maxResponseSize: LARGEST_ANSWER }),
    transfers: new Agent(limits),
  };
}

async function loadUndici(): Promise<typeof undici> {
  try {
    return await import('undici');
  } catch (error) {
    throw new FafnirError('UNSUPPORTED', 'OpenStack needs the package undici', {
      cause: error,
      hint: 'Add it to the host: npm install undici',
    });
  }
}

async function exchange(
  send: typeof undici.request,
  dispatcher: undici.Agent,
  { method, url, headers, body }: WireRequest,
  signal: AbortSignal,
): Promise<WireAnswer> {
  const answer = await send(url, {
    dispatcher,
    method,
    signal,
    headers: {
      ...headers,
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.body.text();
  return { status: answer.statusCode, headers: headersOf(answer), body: decode(text) };
}
