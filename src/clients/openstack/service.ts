import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { CallOptions, Clock, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { parseAnswer } from './answers.ts';
import { sendWithAttempts } from './attempts.ts';
import { endpointOf, type OpenStackInterface, serviceTypeOf, versionsUrlOf } from './catalog.ts';
import { answerError } from './errors.ts';
import { compare, microversionHeader, negotiate, type OpenStackMicroversions } from './microversions.ts';
import { readPages } from './pages.ts';
import type { Secrets } from './secrets.ts';
import type { Session, Token } from './session.ts';
import { awaitGone, awaitState, type Look, type OpenStackWait, type OpenStackWaitGone } from './states.ts';
import type { OpenStackBytes, OpenStackStream } from './transfer.ts';
import type { Wire, WireAnswer, WireRequest } from './wire.ts';

/** A resource or collection of a service. */
export interface OpenStackPlace {
  /** Segments after the address of the service, such as `['volumes', id]`; they are encoded here. */
  readonly path: readonly string[];
  /** What comes after the question mark. */
  readonly query?: Readonly<Record<string, string | number | boolean>>;
}

/** What is asked of a service. */
export interface OpenStackRequest<Output> extends OpenStackPlace {
  /** All but POST and PATCH are taken for repeatable. */
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Sent as JSON. */
  readonly body?: JsonObject;
  /** What is made of the answer's JSON, which is undefined where there is none. Should keep fields that it does not know. */
  readonly answer: StandardSchemaV1<unknown, Output>;
}

/** What is asked of a service that has many. */
export interface OpenStackList<Item> extends OpenStackPlace {
  /** The member of the answer that is the list, such as `volumes`. */
  readonly collection: string;
  /** What is made of each item. */
  readonly item: StandardSchemaV1<unknown, Item>;
  /** How many come at once, where the service heeds `limit`. Default: what the service thinks fit. */
  readonly pageSize?: number;
}

/** What is asked of a service in bytes, such as objects and images. */
export interface OpenStackTransfer extends OpenStackPlace {
  /** Sent once, whatever it is. */
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Beside those of the client, in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent one after the other; they must not change until the transfer is over. */
  readonly body?: readonly Uint8Array[] | OpenStackStream;
}

/** One service of a cloud. Repeats what is safe to repeat, a few times within seconds; renews tokens. */
export interface OpenStackService {
  /** Its name of today, such as `block-storage`. */
  readonly type: string;
  /** The address in the catalog. */
  endpoint(call: CallOptions): Promise<URL>;
  /** The microversion that is asked for; undefined where none was wanted. `UNSUPPORTED` where the two have none in common. */
  microversion(call: CallOptions): Promise<string | undefined>;
  /** Sends a request. An answer that is no success is an error that has its words and the id of the request. */
  request<Output>(request: OpenStackRequest<Output>, call: CallOptions): Promise<Output>;
  /**
   * Sends bytes, once but for a token that is renewed, and resolves with what `receive` makes of the answer. No time limit
   * but that of a standstill; nothing is kept in memory. An answer that is no success is an error as for a request.
   */
  transfer<Output>(
    transfer: OpenStackTransfer,
    receive: (answer: OpenStackBytes) => Promise<Output>,
    call: CallOptions,
  ): Promise<Output>;
  /** Everything in a list, page by page as it is asked for. */
  list<Item>(list: OpenStackList<Item>, call: CallOptions): AsyncIterable<Item>;
  /** Waits for a state, and resolves with the resource. See {@link OpenStackWait}. */
  waitFor(wait: OpenStackWait, call: CallOptions): Promise<JsonObject>;
  /** Waits until a resource is no more. See {@link OpenStackWaitGone}. */
  waitUntilGone(wait: OpenStackWaitGone, call: CallOptions): Promise<void>;
}

/** What all services of a client share. */
export interface ServiceSettings {
  readonly identityUrl: URL;
  readonly region: string | undefined;
  readonly interface: OpenStackInterface;
  readonly session: Session;
  readonly wire: Wire;
  readonly clock: Clock;
  readonly secrets: Secrets;
}

type Asked = Pick<WireRequest, 'what' | 'method'> & {
  readonly place: OpenStackPlace;
  readonly body?: JsonObject | undefined;
};

// Of Cinder: messages that can be asked for by resource.
const MESSAGES = '3.5';

/** A service of a client. */
export class Service implements OpenStackService {
  readonly type: string;
  readonly #settings: ServiceSettings;
  readonly #wanted: OpenStackMicroversions | undefined;
  #microversion: string | undefined;

  constructor(type: string, wanted: OpenStackMicroversions | undefined, settings: ServiceSettings) {
    this.type = serviceTypeOf(type);
    this.#wanted = wanted;
    this.#settings = settings;
  }

  async endpoint(call: CallOptions): Promise<URL> {
    return this.#endpointOf(await this.#settings.session.token(call));
  }

  async microversion(call: CallOptions): Promise<string | undefined> {
    if (this.#wanted === undefined) return undefined;
    if (this.#microversion !== undefined) return this.#microversion;
    const what = `GET versions of ${this.type}`;
    const answer = await this.#withToken(call, async (token) => {
      const url = versionsUrlOf(this.#endpointOf(token));
      return this.#send(
        { what, method: 'GET', url, headers: { 'x-auth-token': token.id }, repeatable: true },
        call,
      );
    });
    if (answer.status === 404) throw new FafnirError('UNSUPPORTED', `${this.type} tells no microversions`);
    // 300 is how some offer a choice of versions.
    if (answer.status !== 200 && answer.status !== 300) throw this.#error(what, answer);
    this.#microversion = negotiate(this.type, answer.body, this.#wanted);
    return this.#microversion;
  }

  async request<Output>(request: OpenStackRequest<Output>, call: CallOptions): Promise<Output> {
    const { method, body, answer } = request;
    const what = this.#what(method, request);
    return parseAnswer(what, answer, await this.#call({ what, method, place: request, body }, call));
  }

  async transfer<Output>(
    { method, path, query = {}, headers = {}, body = [] }: OpenStackTransfer,
    receive: (answer: OpenStackBytes) => Promise<Output>,
    call: CallOptions,
  ): Promise<Output> {
    const place = { path, query };
    const what = this.#what(method, place);
    const version = await this.#versionHeader(call);
    const answer = await this.#withToken(call, (token) => {
      const url = urlOf(this.#endpointOf(token), place);
      const sent = { ...headers, ...version, 'x-auth-token': token.id };
      return this.#settings.wire.transfer({ what, method, url, headers: sent, body }, receive, call);
    });
    if ('received' in answer) return answer.received;
    throw this.#error(what, answer);
  }

  async *list<Item>(list: OpenStackList<Item>, call: CallOptions): AsyncGenerator<Item, void, undefined> {
    const what = this.#what('GET', list);
    const size = list.pageSize === undefined ? {} : { limit: list.pageSize };
    const read = (query: URLSearchParams): Promise<unknown> =>
      this.#call({ what, method: 'GET', place: { path: list.path, query: Object.fromEntries(query) } }, call);
    for await (const item of readPages(what, list.collection, searchOf({ ...list.query, ...size }), read)) {
      call.signal.throwIfAborted();
      yield parseAnswer(what, list.item, item);
    }
  }

  async waitFor(wait: OpenStackWait, call: CallOptions): Promise<JsonObject> {
    return awaitState(this.#look(wait), wait, this.#settings.clock, call);
  }

  async waitUntilGone(wait: OpenStackWaitGone, call: CallOptions): Promise<void> {
    await awaitGone(this.#look(wait), wait, this.#settings.clock, call);
  }

  #look({ path }: OpenStackWaitGone): Look {
    const what = `${path.join('/')} of ${this.type}`;
    return {
      what,
      read: (call) => this.#call({ what, method: 'GET', place: { path } }, call),
      messages: (call) => this.#messages(path.at(-1) ?? '', call),
    };
  }

  /** What Cinder has to say of a resource, for resources do not say themselves why they failed. */
  async #messages(id: string, call: CallOptions): Promise<unknown> {
    const microversion = await this.microversion(call);
    if (this.type !== 'block-storage' || microversion === undefined) return undefined;
    if (compare(microversion, MESSAGES) < 0) return undefined;
    const query = { resource_uuid: id, sort: 'created_at:desc', limit: 1 };
    const what = `GET messages of ${this.type}`;
    return this.#call({ what, method: 'GET', place: { path: ['messages'], query } }, call);
  }

  async #call({ what, method, place, body }: Asked, call: CallOptions): Promise<unknown> {
    const version = await this.#versionHeader(call);
    const answer = await this.#withToken(call, async (token) => {
      const url = urlOf(this.#endpointOf(token), place);
      const headers = { 'x-auth-token': token.id, ...version };
      const repeatable = method !== 'POST' && method !== 'PATCH';
      return this.#send(
        { what, method, url, headers, repeatable, ...(body !== undefined && { body }) },
        call,
      );
    });
    if (answer.status < 200 || answer.status >= 300) throw this.#error(what, answer);
    return answer.body;
  }

  async #versionHeader(call: CallOptions): Promise<Readonly<Record<string, string>>> {
    const microversion = await this.microversion(call);
    return microversion === undefined ? {} : microversionHeader(this.type, microversion);
  }

  /** A token may end before its time: one that is refused is replaced once, for then the service has done nothing yet. */
  async #withToken<Answer extends { readonly status: number }>(
    call: CallOptions,
    send: (token: Token) => Promise<Answer>,
  ): Promise<Answer> {
    const { session } = this.#settings;
    const token = await session.token(call);
    const answer = await send(token);
    if (answer.status !== 401) return answer;
    session.refused(token);
    return send(await session.token(call));
  }

  #send(request: WireRequest, call: CallOptions): Promise<WireAnswer> {
    return sendWithAttempts(this.#settings.wire, this.#settings.clock, request, call);
  }

  #endpointOf({ catalog }: Token): URL {
    const { identityUrl, region } = this.#settings;
    // It has answered there already, and the catalog may name it without its version.
    if (this.type === 'identity') return identityUrl;
    return endpointOf(catalog, { type: this.type, region, interface: this.#settings.interface });
  }

  #what(method: string, { path }: OpenStackPlace): string {
    return `${method} ${path.join('/')} of ${this.type}`;
  }

  #error(what: string, answer: WireAnswer): FafnirError {
    return answerError(what, answer, this.#settings.secrets);
  }
}

function searchOf(query: OpenStackPlace['query'] = {}): URLSearchParams {
  return new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
  );
}

function urlOf(endpoint: URL, { path, query }: OpenStackPlace): URL {
  for (const segment of path) {
    // These would lead out of the service.
    if (segment === '' || segment === '.' || segment === '..') {
      throw new FafnirError('INVALID_ID', `not a part of a path: ${JSON.stringify(segment)}`);
    }
  }
  const url = new URL(path.map(encodeURIComponent).join('/'), endpoint);
  url.search = searchOf(query).toString();
  return url;
}
