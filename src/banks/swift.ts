import * as z from 'zod';
import { type OpenStackOptions, openStackClient } from '../clients/openstack/index.ts';
import { assertBankKey, assertBankPrefix, isBankKey } from '../core/bank-keys.ts';
import { assertNoLock } from '../core/bank-locks.ts';
import type {
  Bank,
  BankCapabilities,
  BankObject,
  BankPut,
  BankRange,
  BankRead,
  CallOptions,
} from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { mapSettled } from '../core/map-settled.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { md5Of, readExactly, sizeOf } from './bodies.ts';
import { Container } from './swift/container.ts';
import { statusOf } from './swift/errors.ts';
import { listObjects } from './swift/list.ts';

/** Options of {@link swiftBank}: where the bank is, and those of the client. */
export interface SwiftBankOptions extends OpenStackOptions {
  /** Unique within an engine; recorded in checkpoints. */
  readonly name: string;
  /** The container, which must exist. */
  readonly container: string;
  /** The bank's folder in the container: a bank key. Default: the whole container. */
  readonly prefix?: string;
  /**
   * Milliseconds after which an object that was put is surely listed. Default: 600,000, twice the time in which Swift
   * tries again to list what it could not list at once.
   */
  readonly listingDelayMilliseconds?: number;
}

// Swift takes names of 1,024 bytes, of which the bank's own have up to 512.
const LONGEST_PREFIX = 511;
const LONGEST_LISTING_DELAY = 7 * 24 * 3_600_000;

// What the client is given, the client checks.
const OPTIONS = strictOptions({
  name: z.string().min(1),
  container: z.string().regex(/^(?!\.{1,2}$)[^/]{1,256}$/, 'not the name of a container'),
  prefix: z.string().max(LONGEST_PREFIX).refine(isBankKey, 'not a bank key').exactOptional(),
  listingDelayMilliseconds: z.int().min(0).max(LONGEST_LISTING_DELAY).exactOptional(),
  authUrl: z.string(),
  credentials: z.custom<SwiftBankOptions['credentials']>(),
  region: z.string().exactOptional(),
  interface: z.enum(['public', 'internal', 'admin']).exactOptional(),
  timeoutMilliseconds: z.number().exactOptional(),
  clock: z.custom<NonNullable<SwiftBankOptions['clock']>>().exactOptional(),
}) satisfies z.ZodType<SwiftBankOptions>;

// Below the 5 GiB of Swift, so that no object needs segments.
const OBJECT_SIZE = 1024 ** 3;
const LISTING_DELAY = 600_000;
const REMOVED_AT_ONCE = 8;
const MOST_TIMES_SENT = 4;

/** A bank in a container of OpenStack Swift, or what speaks its protocol. It needs the package `undici`. */
export function swiftBank(options: SwiftBankOptions): Bank {
  return new SwiftBank(parseOptions('swiftBank', OPTIONS, options));
}

class SwiftBank implements Bank {
  readonly contract = 1;
  readonly name: string;
  readonly capabilities: BankCapabilities;
  readonly #container: Container;

  constructor({ name, container, prefix, listingDelayMilliseconds, ...cloud }: SwiftBankOptions) {
    this.name = name;
    this.capabilities = Object.freeze({
      // Swift heeds `If-None-Match`, but looks before a body comes: of two at a time both create, and the later one stays.
      conditionalCreate: 'best-effort',
      objectSize: OBJECT_SIZE,
      listingDelay: listingDelayMilliseconds ?? LISTING_DELAY,
      locks: false,
    });
    this.#container = new Container(openStackClient(cloud).service('object-store'), {
      name: container,
      folder: prefix === undefined ? '' : `${prefix}/`,
      where: `the container ${container} at ${cloud.authUrl}`,
    });
  }

  async put(
    key: string,
    body: Uint8Array | readonly Uint8Array[],
    { ifAbsent, retainUntil, signal }: BankPut,
  ): Promise<'created' | 'exists'> {
    assertBankKey(key);
    signal.throwIfAborted();
    assertNoLock(this.name, retainUntil);
    const parts = body instanceof Uint8Array ? [body] : body;
    const size = sizeOf(parts);
    if (size > OBJECT_SIZE) {
      const hint = `Put at most ${OBJECT_SIZE} bytes.`;
      throw new FafnirError('LIMIT_EXCEEDED', `${key} has ${size} bytes, too many for one object`, { hint });
    }
    const isThere = async (): Promise<boolean> => (await this.head(key, { signal })) !== undefined;
    // A refusal in the middle of a body may look like a broken connection, so it is not left to the condition alone.
    if (ifAbsent && (await isThere())) return 'exists';
    const md5 = (await md5Of(parts, signal)).toString('hex');
    for (let times = 1; times <= MOST_TIMES_SENT; times += 1) {
      const outcome = await this.#send(key, parts, md5, ifAbsent, { signal });
      if (outcome !== 'overtaken') return outcome;
      if (ifAbsent && (await isThere())) return 'exists';
    }
    const message = `${key} was not stored: ${this.#container.where} has what it takes for newer`;
    throw new FafnirError('UNAVAILABLE', message, {
      hint: 'Others write the same object, or clocks of the proxy servers of Swift differ.',
    });
  }

  async get(key: string, read: BankRead, { signal }: CallOptions): Promise<Uint8Array> {
    assertBankKey(key);
    signal.throwIfAborted();
    const bytes = await ('limit' in read
      ? this.#getWhole(key, read.limit, { signal })
      : this.#getRange(key, read, { signal }));
    if (bytes !== undefined) return bytes;
    throw new FafnirError('NOT_FOUND', `no object ${key} in ${this.#container.where}`);
  }

  async head(key: string, call: CallOptions): Promise<BankObject | undefined> {
    assertBankKey(key);
    return this.#container.ifThere(
      { method: 'HEAD', key },
      async ({ headers }) => ({ key, size: sizeIn(headers, key) }),
      call,
    );
  }

  async *list(
    prefix: string,
    { after = '', signal }: CallOptions & { readonly after?: string },
  ): AsyncGenerator<BankObject> {
    assertBankPrefix(prefix);
    yield* listObjects(this.#container, prefix, after, { signal });
  }

  async remove(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    for (const key of keys) assertBankKey(key);
    signal.throwIfAborted();
    await mapSettled(
      [...new Set(keys)],
      (key, _, stop) =>
        this.#container.ifThere({ method: 'DELETE', key }, async () => undefined, { signal: stop }),
      { concurrency: REMOVED_AT_ONCE, signal },
    );
  }

  async #send(
    key: string,
    body: readonly Uint8Array[],
    md5: string,
    ifAbsent: boolean,
    call: CallOptions,
  ): Promise<'created' | 'exists' | 'overtaken'> {
    const headers = {
      // Swift compares it with what came, before the object is seen.
      etag: md5,
      'content-type': 'application/octet-stream',
      ...(ifAbsent && { 'if-none-match': '*' }),
    };
    try {
      return await this.#container.transfer(
        { method: 'PUT', key, headers, body },
        async (answer) => {
          // Accepted and dropped: by the clock of the proxy server, what is there is newer than this.
          if (answer.status === 202) return 'overtaken';
          assertStored(md5, answer.headers, key);
          return 'created';
        },
        call,
      );
    } catch (error) {
      const status = statusOf(error);
      if (ifAbsent && status === 412) return 'exists';
      if (status !== 422) throw error;
      throw new FafnirError('UNAVAILABLE', `${key} was changed on its way to ${this.#container.where}`, {
        cause: error,
      });
    }
  }

  #getWhole(key: string, limit: number, call: CallOptions): Promise<Uint8Array | undefined> {
    return this.#container.ifThere(
      { method: 'GET', key },
      async ({ headers, body }) => {
        const size = sizeIn(headers, key);
        if (size <= limit) return readExactly(body, size, key);
        throw new FafnirError('LIMIT_EXCEEDED', `${key} has ${size} bytes, more than ${limit}`);
      },
      call,
    );
  }

  async #getRange(key: string, range: BankRange, call: CallOptions): Promise<Uint8Array | undefined> {
    const { offset, length } = range;
    // Ranges that no header can ask for.
    if (!(offset >= 0 && length > 0)) {
      const object = await this.head(key, call);
      if (object === undefined) return undefined;
      if (offset >= 0 && length === 0 && offset <= object.size) return new Uint8Array();
      throw outOfRange(key, range);
    }
    const headers = { range: `bytes=${offset}-${offset + length - 1}` };
    return this.#container.ifThere(
      { method: 'GET', key, headers },
      async (answer) => {
        const size = sizeIn(answer.headers, key);
        const isThatRange = answer.headers['content-range']?.startsWith(`bytes ${offset}-`) === true;
        if (!isThatRange && (offset > 0 || size > length)) {
          const message = `${this.#container.where} gives other bytes than the range asked for`;
          throw new FafnirError('WRONG_ANSWER', message);
        }
        // A range that reaches beyond the object is answered with what there is of it.
        if (size < length) throw outOfRange(key, range);
        return readExactly(answer.body, length, key);
      },
      call,
    );
  }
}

function sizeIn(headers: Readonly<Record<string, string>>, key: string): number {
  const length = headers['content-length'] ?? '';
  if (/^\d+$/.test(length)) return Number(length);
  throw new FafnirError('WRONG_ANSWER', `${key} came without its length`);
}

// Where it does not look like a digest, an ETag says nothing.
function assertStored(md5: string, { etag = '' }: Readonly<Record<string, string>>, key: string): void {
  const digest = /^"?([0-9a-f]{32})"?$/.exec(etag)?.[1];
  if (digest === undefined || digest === md5) return;
  // A second try with `ifAbsent` would find the object and take it for a good one.
  throw new FafnirError('NOT_PROVEN', `${key} was stored with another digest than was sent`, {
    retryable: false,
  });
}

function outOfRange(key: string, { offset, length }: BankRange): FafnirError {
  return new FafnirError('OUT_OF_RANGE', `${key} does not have ${length} bytes at ${offset}`);
}
