import { createHash } from 'node:crypto';
import type * as sdk from '@aws-sdk/client-s3';
import { FafnirError } from '../../core/errors.ts';
import { unlessAborted } from '../../core/unless-aborted.ts';
import { asBankError } from './errors.ts';

/** Who calls. */
export type S3Credentials = {
  /** Names the secret; not a secret itself. */
  readonly accessKeyId: string;
  /** Signs requests, and never leaves the process. */
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
  /** When they end; a function is asked again before that. */
  readonly expiration?: Date;
};

/** Where the service is and who calls it. */
export type ConnectionSettings = {
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly pathStyle: boolean;
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
  readonly connectTimeoutMilliseconds: number;
  readonly idleTimeoutMilliseconds: number;
};

/** What a call works with. */
export type Service = {
  readonly sdk: typeof sdk;
  readonly client: sdk.S3Client;
  /** For each request of the call. */
  readonly request: { readonly abortSignal: AbortSignal };
};

const SILENT = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** The way to the service: a client that is made by the first call, and what its failures mean. */
export class Connection {
  readonly #settings: ConnectionSettings;
  #client: Promise<Pick<Service, 'sdk' | 'client'>> | undefined;
  #secrets: readonly string[] = [];

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  /** Runs requests for a caller who may go at any time; `doing` is what is tried, for the message of an error. */
  async call<Value>(
    doing: string,
    signal: AbortSignal,
    work: (service: Service) => Promise<Value>,
  ): Promise<Value> {
    signal.throwIfAborted();
    const ended = new AbortController();
    try {
      const { sdk, client } = await this.#open();
      const request = { abortSignal: AbortSignal.any([signal, ended.signal]) };
      return await unlessAborted(work({ sdk, client, request }), signal);
    } catch (error) {
      // A body may still be under way, in either direction.
      ended.abort();
      signal.throwIfAborted();
      throw asBankError(error, doing, this.#secrets);
    }
  }

  #open(): Promise<Pick<Service, 'sdk' | 'client'>> {
    this.#client ??= loadSdk().then((sdk) => ({ sdk, client: this.#createClient(sdk) }));
    return this.#client;
  }

  #createClient({ S3Client }: typeof sdk): sdk.S3Client {
    const { endpoint, region, pathStyle, connectTimeoutMilliseconds, idleTimeoutMilliseconds } =
      this.#settings;
    // Who waits for a socket would be taken for one that gets no connection; callers bound their calls.
    const agent = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY };
    const client = new S3Client({
      ...(endpoint !== undefined && { endpoint }),
      // What stands in files and variables of the host must not lead the bank elsewhere.
      ignoreConfiguredEndpointUrls: true,
      region,
      forcePathStyle: pathStyle,
      credentials: () => this.#credentials(),
      maxAttempts: 1,
      // The SDK's own one writes to the host's console.
      logger: SILENT,
      // Services that know no such checksums refuse or ignore them; Content-MD5 is known to all.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // It would cost a round trip and a connection of its own for each large body.
      expectContinueHeader: false,
      requestHandler: {
        connectionTimeout: connectTimeoutMilliseconds,
        socketTimeout: idleTimeoutMilliseconds,
        httpAgent: agent,
        httpsAgent: agent,
        logger: SILENT,
      },
    });
    useContentMd5(client);
    return client;
  }

  async #credentials(): Promise<S3Credentials> {
    const { credentials } = this.#settings;
    const given = typeof credentials === 'function' ? await askFor(credentials) : credentials;
    const secrets = [given.secretAccessKey, given.sessionToken ?? ''].filter((secret) => secret !== '');
    // Answers to requests that were signed with the ones before may still come.
    this.#secrets = [...secrets, ...this.#secrets].slice(0, 4);
    return given;
  }
}

async function loadSdk(): Promise<typeof sdk> {
  try {
    return await import('@aws-sdk/client-s3');
  } catch (error) {
    throw new FafnirError('UNSUPPORTED', 'an S3 bank needs the package @aws-sdk/client-s3', {
      cause: error,
      hint: 'Add it to the host: npm install @aws-sdk/client-s3',
    });
  }
}

async function askFor(credentials: () => Promise<S3Credentials>): Promise<S3Credentials> {
  try {
    return await credentials();
  } catch (error) {
    if (FafnirError.is(error)) throw error;
    // Not as the cause: nobody knows what the host's own error says.
    throw new FafnirError('ACCESS_DENIED', 'the function that gives the credentials of the S3 bank failed');
  }
}

type HttpRequest = { readonly headers: Record<string, string>; readonly body?: unknown };

// The SDK puts a checksum of its own where one is required, as for removals; older services want this one.
function useContentMd5(client: sdk.S3Client): void {
  client.middlewareStack.add(
    (next) => async (call) => {
      const { headers, body } = call.request as HttpRequest;
      const added = Object.keys(headers).filter((name) => /^x-amz-(sdk-)?checksum-/.test(name));
      if (added.length > 0 && (typeof body === 'string' || body instanceof Uint8Array)) {
        for (const name of added) delete headers[name];
        headers['content-md5'] = createHash('md5').update(body).digest('base64');
      }
      return next(call);
    },
    { step: 'build', priority: 'low', name: 'contentMd5' },
  );
}
