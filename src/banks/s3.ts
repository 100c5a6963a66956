import { assertBankKey, assertBankPrefix } from '../core/bank-keys.ts';
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
import { parseOptions } from '../core/options.ts';
import { unlessAborted } from '../core/unless-aborted.ts';
import { sizeOf } from './bodies.ts';
import { assertStored, prepare, readBody, requestBody } from './s3/bodies.ts';
import { Connection, type S3Credentials } from './s3/connection.ts';
import { failureOf, statusOf, wasRefused } from './s3/errors.ts';
import { type Area, listObjects } from './s3/list.ts';
import { LockedObjects, type Retention, type S3Lock } from './s3/locks.ts';
import { type S3BankOptions, s3OptionsSchema } from './s3/options.ts';
import { type Place, putInParts } from './s3/multipart.ts';
import { listFirst } from './s3/versions.ts';

export type { S3BankOptions, S3Credentials, S3Lock };

const OBJECT_SIZE = 1024 ** 3;
const LARGEST_SINGLE = 64 * 1024 ** 2;
const REMOVED_AT_ONCE = 1_000;
// `~` is in no key, so the object that tries the service can be neither listed nor addressed.
const PROBE = '~probe';
const PROBE_BODY = new TextEncoder().encode('Written to learn whether the service heeds If-None-Match.\n');

/** A bank in a bucket of any service that speaks S3. It needs the package `@aws-sdk/client-s3`. */
export function s3Bank(options: S3BankOptions): Bank {
  return new S3Bank(parseOptions('s3Bank', s3OptionsSchema, options));
}

/** How a body is sent. */
type How = CallOptions & { readonly retention: Retention | undefined };

class S3Bank implements Bank {
  readonly contract = 1;
  readonly name: string;
  readonly capabilities: BankCapabilities;
  readonly extend?: NonNullable<Bank['extend']>;
  readonly #area: Area;
  readonly #connection: Connection;
  readonly #locks: LockedObjects | undefined;
  #heedsConditions: Promise<void> | undefined;

  constructor(options: S3BankOptions) {
    const { name, bucket, region, endpoint, prefix, credentials, conditionalCreate = 'atomic' } = options;
    this.name = name;
    const { listingDelayMilliseconds: listingDelay = 0 } = options;
    const locks = options.lock !== undefined;
    this.capabilities = Object.freeze({ conditionalCreate, objectSize: OBJECT_SIZE, listingDelay, locks });
    this.#area = {
      bucket,
      folder: prefix === undefined ? '' : `${prefix}/`,
      where: `the bucket ${bucket}${endpoint === undefined ? '' : ` at ${endpoint}`}`,
    };
    this.#connection = new Connection({
      endpoint,
      region,
      pathStyle: options.pathStyle ?? endpoint !== undefined,
      credentials,
      connectTimeoutMilliseconds: options.connectTimeoutMilliseconds ?? 10_000,
      idleTimeoutMilliseconds: options.idleTimeoutMilliseconds ?? 60_000,
    });
    if (options.lock === undefined) return;
    const objects = new LockedObjects(this.#connection, this.#area, options.lock);
    this.#locks = objects;
    this.extend = async (keys, until, { signal }) => {
      for (const key of keys) assertBankKey(key);
      signal.throwIfAborted();
      await objects.extend(
        keys.map((key) => this.#place(key).Key),
        until,
        signal,
      );
    };
  }

  async put(
    key: string,
    body: Uint8Array | readonly Uint8Array[],
    { ifAbsent, retainUntil, signal }: BankPut,
  ): Promise<'created' | 'exists'> {
    assertBankKey(key);
    signal.throwIfAborted();
    if (this.#locks === undefined) assertNoLock(this.name, retainUntil);
    const parts = body instanceof Uint8Array ? [body] : body;
    const size = sizeOf(parts);
    if (size > OBJECT_SIZE) {
      const hint = `Put at most ${OBJECT_SIZE} bytes.`;
      throw new FafnirError('LIMIT_EXCEEDED', `${key} has ${size} bytes, too many for one object`, { hint });
    }
    await this.#locks?.assertEnabled(signal);
    const how = { signal, retention: this.#locks?.retention(retainUntil) };
    if (ifAbsent && this.#locks !== undefined) return this.#createFirst(this.#locks, key, parts, how);
    const atomic = ifAbsent && this.capabilities.conditionalCreate === 'atomic';
    if (atomic) {
      await this.#assertConditions(signal);
      // In one piece whatever its size: many services heed no condition at the end of an upload in parts.
      return this.#create(key, parts, how);
    }
    if (ifAbsent && (await this.head(key, { signal })) !== undefined) return 'exists';
    return this.#replace(key, parts, how);
  }

  async get(key: string, read: BankRead, { signal }: CallOptions): Promise<Uint8Array> {
    assertBankKey(key);
    signal.throwIfAborted();
    if ('limit' in read) {
      return this.#atVersion(key, signal, (place) => this.#getWhole(key, place, read.limit, signal));
    }
    const { offset, length } = read;
    // Ranges that no header can ask for.
    if (!(offset >= 0 && length > 0)) {
      const object = await this.head(key, { signal });
      if (object === undefined) throw new FafnirError('NOT_FOUND', `no object ${key} in ${this.#area.where}`);
      if (offset >= 0 && length === 0 && offset <= object.size) return new Uint8Array();
      throw outOfRange(key, read);
    }
    return this.#atVersion(key, signal, (place) => this.#getRange(key, place, read, signal));
  }

  async head(key: string, { signal }: CallOptions): Promise<BankObject | undefined> {
    assertBankKey(key);
    const doing = `look up ${key} in ${this.#area.where}`;
    if (this.#locks !== undefined) {
      const first = await this.#locks.first(this.#place(key).Key, signal);
      return first && { key, size: first.size };
    }
    try {
      const { ContentLength } = await this.#connection.call(doing, signal, ({ sdk, client, request }) =>
        client.send(new sdk.HeadObjectCommand(this.#place(key)), request),
      );
      return { key, size: ContentLength ?? 0 };
    } catch (error) {
      if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      // The answer has no body that says what is missing, and a missing bucket is no missing object.
      await this.#assertBucket(signal);
      return undefined;
    }
  }

  async *list(
    prefix: string,
    { after = '', signal }: CallOptions & { readonly after?: string },
  ): AsyncGenerator<BankObject> {
    assertBankPrefix(prefix);
    const list = this.#locks === undefined ? listObjects : listFirst;
    yield* list(this.#connection, this.#area, prefix, after, signal);
  }

  async remove(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    for (const key of keys) assertBankKey(key);
    signal.throwIfAborted();
    const names = [...new Set(keys)].map((key) => this.#place(key).Key);
    if (this.#locks !== undefined) return this.#locks.remove(names, signal);
    for (let start = 0; start < names.length; start += REMOVED_AT_ONCE) {
      const Objects = names.slice(start, start + REMOVED_AT_ONCE).map((Key) => ({ Key }));
      await this.#connection.call(`remove objects in ${this.#area.where}`, signal, async (service) => {
        const { sdk, client, request } = service;
        const Delete = { Objects, Quiet: true };
        const command = new sdk.DeleteObjectsCommand({ Bucket: this.#area.bucket, Delete });
        const { Errors = [] } = await client.send(command, request);
        const refused = Errors.find(({ Code }) => Code !== 'NoSuchKey');
        if (refused !== undefined) throw failureOf(refused.Code, `${refused.Key}: ${refused.Message ?? ''}`);
      });
    }
  }

  #place(key: string): Place {
    return { Bucket: this.#area.bucket, Key: this.#area.folder + key };
  }

  async #create(key: string, parts: readonly Uint8Array[], how: How): Promise<'created' | 'exists'> {
    try {
      const stored = await this.#put(key, parts, { ...how, ifAbsent: true });
      return stored === undefined ? 'exists' : 'created';
    } catch (error) {
      // Others create it at this moment. Once it is there, one of them has; until then nobody may have.
      if (!wasRefused(error, 409)) throw error;
      if ((await this.head(key, how)) !== undefined) return 'exists';
      throw error;
    }
  }

  // Whatever the service makes of the condition: of several who create it, the first version decides.
  async #createFirst(
    locks: LockedObjects,
    key: string,
    parts: readonly Uint8Array[],
    how: How,
  ): Promise<'created' | 'exists'> {
    const { Key } = this.#place(key);
    if ((await locks.first(Key, how.signal)) !== undefined) return 'exists';
    const mine = await this.#put(key, parts, {
      ...how,
      ifAbsent: this.capabilities.conditionalCreate === 'atomic',
    });
    if (mine === undefined) return 'exists';
    const first = await locks.first(Key, how.signal);
    return first === undefined || first.VersionId === mine ? 'created' : 'exists';
  }

  async #replace(key: string, parts: readonly Uint8Array[], how: How): Promise<'created'> {
    const { signal } = how;
    const former = (await this.#locks?.versions(this.#place(key).Key, signal)) ?? [];
    await this.#locks?.assertNotLocked(former, signal);
    // Some services forget the lock of an upload in parts.
    const isOne = how.retention !== undefined || sizeOf(parts) <= LARGEST_SINGLE;
    if (isOne) await this.#put(key, parts, { ...how, ifAbsent: false });
    else {
      const doing = `store ${key} in ${this.#area.where}`;
      await putInParts(this.#connection, doing, this.#place(key), parts, signal);
    }
    // Until they are gone, the former object is the one that counts.
    if (former.length > 0) await this.#locks?.removeVersions(former, signal);
    return 'created';
  }

  /** Resolves with the version that was stored, `null` in a bucket without; undefined where the condition was not met. */
  async #put(
    key: string,
    parts: readonly Uint8Array[],
    { ifAbsent, retention, signal }: How & { readonly ifAbsent: boolean },
  ): Promise<string | undefined> {
    const upload = await prepare(parts, signal);
    const doing = `store ${key} in ${this.#area.where}`;
    const place = this.#place(key);
    return this.#connection.call(doing, signal, async ({ sdk, client, request }) => {
      const condition = ifAbsent ? { IfNoneMatch: '*' } : {};
      const body = requestBody(upload);
      const command = new sdk.PutObjectCommand({ ...place, ...body, ...condition, ...retention });
      try {
        const answer = await client.send(command, request);
        assertStored(upload, answer, key);
        return answer.VersionId ?? 'null';
      } catch (error) {
        if (ifAbsent && statusOf(error) === 412) return undefined;
        throw error;
      }
    });
  }

  // Once, and for all callers, so none of them may end it; the time limits of the connection do.
  #assertConditions(signal: AbortSignal): Promise<void> {
    this.#heedsConditions ??= this.#tryConditions(new AbortController().signal).catch((error: unknown) => {
      this.#heedsConditions = undefined;
      throw error;
    });
    return unlessAborted(this.#heedsConditions, signal);
  }

  async #tryConditions(signal: AbortSignal): Promise<void> {
    const create = () => this.#put(PROBE, [PROBE_BODY], { ifAbsent: true, retention: undefined, signal });
    try {
      if ((await create()) === undefined || (await create()) === undefined) return;
    } catch (error) {
      if (!wasRefused(error, 501)) throw error;
      throw ignoresConditions(this.#area.where, error);
    }
    throw ignoresConditions(this.#area.where);
  }

  async #assertBucket(signal: AbortSignal): Promise<void> {
    const Bucket = this.#area.bucket;
    await this.#connection.call(`find ${this.#area.where}`, signal, async ({ sdk, client, request }) => {
      try {
        await client.send(new sdk.HeadBucketCommand({ Bucket }), request);
      } catch (error) {
        throw statusOf(error) === 404 ? failureOf('NoSuchBucket', undefined) : error;
      }
    });
  }

  /** Reads what counts of an object. */
  #atVersion<Result>(
    key: string,
    signal: AbortSignal,
    read: (place: Place) => Promise<Result>,
  ): Promise<Result> {
    const place = this.#place(key);
    if (this.#locks === undefined) return read(place);
    return this.#locks.read(place.Key, signal, ({ VersionId }) => read({ ...place, VersionId }));
  }

  #getWhole(key: string, place: Place, limit: number, signal: AbortSignal): Promise<Uint8Array> {
    const doing = `read ${key} in ${this.#area.where}`;
    return this.#connection.call(doing, signal, async ({ sdk, client, request }) => {
      const answer = await client.send(new sdk.GetObjectCommand(place), request);
      const size = announced(answer.ContentLength, key);
      if (size <= limit) return readBody(answer.Body, size, key);
      throw new FafnirError('LIMIT_EXCEEDED', `${key} has ${size} bytes, more than ${limit}`);
    });
  }

  #getRange(
    key: string,
    place: Place,
    { offset, length }: BankRange,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const doing = `read ${length} bytes at ${offset} of ${key} in ${this.#area.where}`;
    return this.#connection.call(doing, signal, async ({ sdk, client, request }) => {
      const Range = `bytes=${offset}-${offset + length - 1}`;
      const answer = await client.send(new sdk.GetObjectCommand({ ...place, Range }), request);
      const size = announced(answer.ContentLength, key);
      if (answer.ContentRange?.startsWith(`bytes ${offset}-`) !== true && (offset > 0 || size > length)) {
        throw new FafnirError(
          'WRONG_ANSWER',
          `${this.#area.where} gives other bytes than the range asked for`,
        );
      }
      // A range that reaches beyond the object is answered with what there is of it.
      if (size < length) throw outOfRange(key, { offset, length });
      return readBody(answer.Body, length, key);
    });
  }
}

function announced(length: number | undefined, key: string): number {
  if (length !== undefined) return length;
  throw new FafnirError('WRONG_ANSWER', `${key} came without its length`);
}

function outOfRange(key: string, { offset, length }: BankRange): FafnirError {
  return new FafnirError('OUT_OF_RANGE', `${key} does not have ${length} bytes at ${offset}`);
}

function ignoresConditions(where: string, cause?: unknown): FafnirError {
  return new FafnirError('UNSUPPORTED', `${where} does not heed If-None-Match`, {
    ...(cause !== undefined && { cause }),
    hint: `Give the S3 bank the option conditionalCreate: 'best-effort'.`,
  });
}
