import * as z from 'zod';
import type { CallOptions, Clock } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { parseOptions } from '../../core/options.ts';
import { unlessAborted } from '../../core/unless-aborted.ts';
import { parseAnswer } from './answers.ts';
import { sendWithAttempts } from './attempts.ts';
import type { CatalogEntry } from './catalog.ts';
import {
  authenticationOf,
  CREDENTIALS,
  type KeystoneCredentials,
  type OpenStackCredentials,
  type OpenStackTempAuth,
  secretOf,
} from './credentials.ts';
import { answerError } from './errors.ts';
import type { Secrets } from './secrets.ts';
import { tempAuthRequest, tempAuthToken } from './tempauth.ts';
import { usefulTime } from './token-time.ts';
import type { Wire, WireAnswer } from './wire.ts';

/** A user or project as Keystone knows it. */
export interface OpenStackNamed {
  /** Stays what it is. */
  readonly id: string;
  /** Unique in its domain, and may change. */
  readonly name: string;
}

/** Who a client is, and where. */
export interface OpenStackScope {
  /** The user that the credentials are of. */
  readonly user: OpenStackNamed;
  /** Undefined where a token has no project. */
  readonly project: OpenStackNamed | undefined;
  /** Names of the user's roles there. */
  readonly roles: readonly string[];
}

/** A token and what came with it. */
export interface Token {
  /** What is sent. */
  readonly id: string;
  readonly scope: OpenStackScope;
  readonly catalog: readonly CatalogEntry[];
  /** When the clock's `monotonic` says so, it is time for another one. */
  readonly renewAt: number;
}

/** What a session needs. */
export interface SessionSettings {
  /** The address as it was given. */
  readonly authUrl: URL;
  /** The address of Keystone, ending in `/v3/`. */
  readonly identityUrl: URL;
  readonly credentials: OpenStackCredentials | (() => Promise<OpenStackCredentials>);
  readonly wire: Wire;
  readonly clock: Clock;
  readonly secrets: Secrets;
}

const WHAT = 'authenticate with Keystone';
const named = z.looseObject({ id: z.string(), name: z.string() });
const endpoint = z.looseObject({
  interface: z.string(),
  region: z.string().nullish(),
  url: z.string(),
});
const ANSWER = z.looseObject({
  token: z.looseObject({
    issued_at: z.iso.datetime({ offset: true }),
    expires_at: z.iso.datetime({ offset: true }),
    user: named,
    project: named.optional(),
    roles: z.array(z.looseObject({ name: z.string() })).default([]),
    catalog: z
      .array(z.looseObject({ type: z.string(), endpoints: z.array(endpoint).default([]) }))
      .default([]),
  }),
});

/** Keeps a token that is valid: gets it at the first call, and another one before it ends or after it was refused. */
export class Session {
  readonly #settings: SessionSettings;
  #token: Token | undefined;
  #coming: Promise<Token> | undefined;

  constructor(settings: SessionSettings) {
    this.#settings = settings;
  }

  /** The token of the moment. */
  async token({ signal }: CallOptions): Promise<Token> {
    signal.throwIfAborted();
    const token = this.#token;
    if (token !== undefined && this.#settings.clock.monotonic() < token.renewAt) return token;
    // Once, and for all callers, so none of them may end it; the time limit of requests does.
    this.#coming ??= this.#authenticate({ signal: new AbortController().signal }).finally(() => {
      this.#coming = undefined;
    });
    return unlessAborted(this.#coming, signal);
  }

  /** Says that a service refused a token; one that came meanwhile stays. */
  refused(token: Token): void {
    if (this.#token === token) this.#token = undefined;
  }

  async #authenticate(call: CallOptions): Promise<Token> {
    const credentials = await this.#credentials();
    this.#settings.secrets.add(secretOf(credentials));
    this.#token =
      credentials.type === 'tempauth'
        ? await this.#askSwift(credentials, call)
        : await this.#askKeystone(credentials, call);
    return this.#token;
  }

  async #askSwift(credentials: OpenStackTempAuth, call: CallOptions): Promise<Token> {
    const { wire, clock, secrets, authUrl } = this.#settings;
    const asked = clock.monotonic();
    const request = tempAuthRequest(authUrl, credentials);
    const answer = await sendWithAttempts(wire, clock, request, call);
    if (answer.status < 200 || answer.status >= 300) throw this.#refusal(request.what, answer);
    const token = tempAuthToken(request.what, answer, credentials, asked);
    secrets.add(token.id);
    return token;
  }

  async #askKeystone(credentials: KeystoneCredentials, call: CallOptions): Promise<Token> {
    const { wire, clock, secrets, identityUrl } = this.#settings;
    const asked = clock.monotonic();
    const common = { what: WHAT, url: new URL('auth/tokens', identityUrl), repeatable: true };
    // A token that keeps its project is no reason for another one: Keystone just tells what it is worth.
    const asItIs =
      credentials.type === 'token' && credentials.project === undefined ? credentials.token : undefined;
    const request =
      asItIs === undefined
        ? { ...common, method: 'POST' as const, headers: {}, body: authenticationOf(credentials) }
        : {
            ...common,
            method: 'GET' as const,
            headers: { 'x-auth-token': asItIs, 'x-subject-token': asItIs },
          };
    const answer = await sendWithAttempts(wire, clock, request, call);
    if (answer.status !== 200 && answer.status !== 201) throw this.#refusal(WHAT, answer);
    const id = asItIs ?? answer.headers['x-subject-token'];
    if (id === undefined) throw new FafnirError('WRONG_ANSWER', `${WHAT}: the answer has no token`);
    secrets.add(id);
    const { token } = parseAnswer(WHAT, ANSWER, answer.body);
    // By Keystone's own clock, which may be another than ours, where it has just made the token.
    const now = asItIs === undefined ? Date.parse(token.issued_at) : clock.now();
    const lifetime = Date.parse(token.expires_at) - now;
    const { id: user, name } = token.user;
    const scope = {
      user: { id: user, name },
      project: token.project === undefined ? undefined : { id: token.project.id, name: token.project.name },
      roles: token.roles.map((role) => role.name),
    };
    return { id, scope, catalog: token.catalog, renewAt: asked + usefulTime(lifetime) };
  }

  async #credentials(): Promise<OpenStackCredentials> {
    const { credentials } = this.#settings;
    if (typeof credentials !== 'function') return credentials;
    try {
      return parseOptions('credentials', CREDENTIALS, await credentials());
    } catch (error) {
      if (FafnirError.is(error)) throw error;
      // Not as the cause: nobody knows what the host's own error says.
      throw new FafnirError('ACCESS_DENIED', 'the function that gives the credentials of OpenStack failed');
    }
  }

  #refusal(what: string, answer: WireAnswer): FafnirError {
    const error = answerError(what, answer, this.#settings.secrets);
    // Keystone says 404 of a token that it does not know, or knows no more.
    if (answer.status !== 404) return error;
    return new FafnirError('ACCESS_DENIED', error.message, {
      cause: error.cause,
      hint: 'Check the option authUrl, and that the token is still valid.',
    });
  }
}
