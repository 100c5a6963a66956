import type * as undici from 'undici';
import type { CallOptions, Clock, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { withDeadline } from './deadline.ts';
import { wireError } from './errors.ts';
import type { Secrets } from './secrets.ts';

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
  /** How long a request may take, until the end of its answer. */
  readonly timeoutMilliseconds: number;
  readonly secrets: Secrets;
}

type Service = { readonly request: typeof undici.request; readonly agent: undici.Agent };

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
    const { clock, timeoutMilliseconds: milliseconds, secrets } = this.#settings;
    this.#assertOpen(request);
    const late = (): Error =>
      new FafnirError('UNAVAILABLE', `${request.what}: no answer within ${milliseconds} ms`);
    return withDeadline({ clock, milliseconds, late }, call, async ({ signal }) => {
      this.#service ??= openService();
      const { request: send, agent } = await this.#service;
      try {
        return await exchange(send, agent, request, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#assertOpen(request);
        throw wireError(request.what, error, secrets);
      }
    });
  }

  /** Ends what is under way and all connections. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const service = await this.#service?.catch(() => undefined);
    await service?.agent.destroy();
  }

  #assertOpen({ what }: WireRequest): void {
    if (this.#isClosed) throw new FafnirError('CLOSED', `${what}: the client was closed`);
  }
}

async function openService(): Promise<Service> {
  const { Agent, request } = await loadUndici();
  // The time of a whole request is limited instead.
  return {
    request,
    agent: new Agent({ headersTimeout: 0, bodyTimeout: 0, maxResponseSize: LARGEST_ANSWER }),
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
  const fields = Object.entries(answer.headers).map(([name, value]) => [name, String(value ?? '')]);
  return { status: answer.statusCode, headers: Object.fromEntries(fields), body: decode(text) };
}

function decode(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
