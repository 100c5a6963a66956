import { lockedObject } from '../../core/bank-locks.ts';
import { systemClock } from '../../core/clock.ts';
import { FafnirError } from '../../core/errors.ts';
import { mapSettled } from '../../core/map-settled.ts';
import { unlessAborted } from '../../core/unless-aborted.ts';
import type { Connection } from './connection.ts';
import { failureOf, nameIn } from './errors.ts';
import type { Area } from './list.ts';
import { firstOf, type Version, versionsOf } from './versions.ts';

/**
 * Who may end a lock before its time. `governance`: users with the right `s3:BypassGovernanceRetention`. `compliance`:
 * nobody, not even the owner of the account.
 */
export type S3Lock = 'governance' | 'compliance';

/** What a request says to lock what it stores. */
export type Retention = {
  /** How. */
  readonly ObjectLockMode: 'GOVERNANCE' | 'COMPLIANCE';
  /** Until when. */
  readonly ObjectLockRetainUntilDate: Date;
};

/** The version of an object that counts. */
export type FirstVersion = {
  /** Its name in the bucket. */
  readonly Key: string;
  /** The version. */
  readonly VersionId: string;
  /** Bytes. */
  readonly size: number;
};

const AT_ONCE = 8;
const REMOVED_AT_ONCE = 1_000;
const MOST_KNOWN = 4_096;
const SECOND = 1_000;

/**
 * Objects of a bucket with Object Lock, and so with versions: an object is the first version of its name. Whoever has
 * credentials can hide that or write another after it, but cannot take it away.
 */
export class LockedObjects {
  readonly #connection: Connection;
  readonly #area: Area;
  readonly #mode: Retention['ObjectLockMode'];
  // By name. One that is gone is noticed when it is asked for.
  readonly #known = new Map<string, FirstVersion>();
  #enabled: Promise<void> | undefined;

  constructor(connection: Connection, area: Area, lock: S3Lock) {
    this.#connection = connection;
    this.#area = area;
    this.#mode = lock === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
  }

  /** What a request says for a lock until an instant; nothing for one that has passed. */
  retention(retainUntil: number | undefined): Retention | undefined {
    if (retainUntil === undefined || retainUntil <= systemClock.now()) return undefined;
    // Services count in seconds, and may cut off what is beyond.
    const ObjectLockRetainUntilDate = new Date(Math.ceil(retainUntil / SECOND) * SECOND);
    return { ObjectLockMode: this.#mode, ObjectLockRetainUntilDate };
  }

  /** Once, and for all callers: `UNSUPPORTED` where the bucket has no Object Lock. */
  assertEnabled(signal: AbortSignal): Promise<void> {
    this.#enabled ??= this.#askEnabled(new AbortController().signal).catch((error: unknown) => {
      this.#enabled = undefined;
      throw error;
    });
    return unlessAborted(this.#enabled, signal);
  }

  /** The version that counts, as the service tells it now. */
  async first(name: string, signal: AbortSignal): Promise<FirstVersion | undefined> {
    return this.#learn(name, await this.versions(name, signal));
  }

  /** Reads the version that counts; `NOT_FOUND` where there is none. */
  async read<Result>(
    name: string,
    signal: AbortSignal,
    work: (version: FirstVersion) => Promise<Result>,
  ): Promise<Result> {
    const known = this.#known.get(name);
    if (known !== undefined) {
      try {
        return await work(known);
      } catch (error) {
        // Another process has removed it since, and may have put it anew.
        if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      }
    }
    const first = await this.first(name, signal);
    if (first === undefined) throw new FafnirError('NOT_FOUND', `no object ${name} in ${this.#area.where}`);
    return work(first);
  }

  /** All versions of a name, and what hides them. */
  versions(name: string, signal: AbortSignal): Promise<readonly Version[]> {
    return versionsOf(this.#connection, this.#area, name, signal);
  }

  /** `LOCKED` where one of these versions is. */
  async assertNotLocked(versions: readonly Version[], signal: AbortSignal): Promise<void> {
    const lock = await this.#lockIn(versions, signal);
    if (lock !== undefined) throw lock;
  }

  /** Locks objects until an instant, unless they are for longer. */
  async extend(names: readonly string[], retainUntil: number, signal: AbortSignal): Promise<void> {
    await this.assertEnabled(signal);
    const retention = this.retention(retainUntil);
    await mapSettled(
      [...new Set(names)],
      (name, _at, signal) =>
        this.read(name, signal, async (first) => {
          if (retention !== undefined) await this.#extendOne(first, retention, signal);
        }),
      { concurrency: AT_ONCE, signal },
    );
  }

  /** Removes every version of some names, and what hides them; `LOCKED` at the end where some stayed for that. */
  async remove(names: readonly string[], signal: AbortSignal): Promise<void> {
    const found = await mapSettled([...new Set(names)], (name, _at, signal) => this.versions(name, signal), {
      concurrency: AT_ONCE,
      signal,
    });
    await this.removeVersions(found.flat(), signal);
  }

  /** Removes just these versions; `LOCKED` at the end where some stayed for that. */
  async removeVersions(versions: readonly Version[], signal: AbortSignal): Promise<void> {
    let locked: FafnirError | undefined;
    for (let start = 0; start < versions.length; start += REMOVED_AT_ONCE) {
      const some = versions.slice(start, start + REMOVED_AT_ONCE);
      for (const { name } of some) this.#known.delete(name);
      for (const { key, id, error } of await this.#removeSome(some, signal)) {
        // Some services do not say which version they mean.
        const meant = some.filter((one) => one.name === key && (id === undefined || one.id === id));
        const lock = await this.#lockIn(meant, signal);
        if (lock === undefined) throw error;
        locked ??= lock;
      }
    }
    if (locked !== undefined) throw locked;
  }

  // What the service did not allow.
  #removeSome(versions: readonly Version[], signal: AbortSignal) {
    const doing = `remove objects in ${this.#area.where}`;
    return this.#connection.call(doing, signal, async ({ sdk, client, request }) => {
      const Objects = versions.map(({ name, id }) => ({ Key: name, VersionId: id }));
      const Delete = { Objects, Quiet: true };
      const command = new sdk.DeleteObjectsCommand({ Bucket: this.#area.bucket, Delete });
      const { Errors = [] } = await client.send(command, request);
      const refused = Errors.filter(({ Code }) => Code !== 'NoSuchKey' && Code !== 'NoSuchVersion');
      const failed = refused.find(({ Code }) => Code !== 'AccessDenied');
      if (failed !== undefined) throw failureOf(failed.Code, `${failed.Key}: ${failed.Message ?? ''}`);
      return refused.map(({ Key: key = '', VersionId: id, Message = '' }) => ({
        key,
        id,
        error: new FafnirError('ACCESS_DENIED', `cannot ${doing}: ${key}: ${Message}`),
      }));
    });
  }

  async #extendOne(
    { Key, VersionId }: FirstVersion,
    { ObjectLockMode, ObjectLockRetainUntilDate: wanted }: Retention,
    signal: AbortSignal,
  ): Promise<void> {
    const { mode, until } = await this.#lockOf(Key, VersionId, signal);
    // What is stronger than asked for stays so.
    const Mode = mode === 'COMPLIANCE' ? mode : ObjectLockMode;
    if (mode === Mode && until !== undefined && until >= wanted.getTime()) return;
    const RetainUntilDate = new Date(Math.max(until ?? 0, wanted.getTime()));
    const doing = `lock ${Key} in ${this.#area.where}`;
    await this.#connection.call(doing, signal, ({ sdk, client, request }) =>
      client.send(
        new sdk.PutObjectRetentionCommand({
          Bucket: this.#area.bucket,
          Key,
          VersionId,
          Retention: { Mode, RetainUntilDate },
        }),
        request,
      ),
    );
  }

  /** What to throw where one of these versions is there and locked. */
  async #lockIn(versions: readonly Version[], signal: AbortSignal): Promise<FafnirError | undefined> {
    for (const { name, id, size } of versions) {
      if (size === undefined) continue;
      const found = await this.#lockOf(name, id, signal).catch((error: unknown) => {
        if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      });
      if (found?.isLocked) return lockedObject(name, this.#area.where, found.until);
    }
    return undefined;
  }

  async #lockOf(Key: string, VersionId: string, signal: AbortSignal) {
    const doing = `look up the lock of ${Key} in ${this.#area.where}`;
    const facts = await this.#connection.call(doing, signal, ({ sdk, client, request }) =>
      client.send(new sdk.HeadObjectCommand({ Bucket: this.#area.bucket, Key, VersionId }), request),
    );
    const until = facts.ObjectLockRetainUntilDate?.getTime();
    const isRetained = until !== undefined && until > systemClock.now();
    const isLocked = isRetained || facts.ObjectLockLegalHoldStatus === 'ON';
    return { mode: facts.ObjectLockMode, until: isRetained ? until : undefined, isLocked };
  }

  async #askEnabled(signal: AbortSignal): Promise<void> {
    const { bucket, where } = this.#area;
    await this.#connection.call(`look for locks of ${where}`, signal, async ({ sdk, client, request }) => {
      const command = new sdk.GetObjectLockConfigurationCommand({ Bucket: bucket });
      const answer = await client.send(command, request).catch((error: unknown) => {
        if (nameIn(error) === 'ObjectLockConfigurationNotFoundError') return undefined;
        throw error;
      });
      if (answer?.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled') return;
      throw new FafnirError('UNSUPPORTED', `${where} has no Object Lock`, {
        hint: 'Make the bucket with Object Lock, or leave out the option lock of the S3 bank.',
      });
    });
  }

  #learn(name: string, versions: readonly Version[]): FirstVersion | undefined {
    const first = firstOf(versions);
    this.#known.delete(name);
    if (first === undefined) return undefined;
    const found = { Key: name, VersionId: first.id, size: first.size };
    this.#known.set(name, found);
    const [oldest = name] = this.#known.keys();
    if (this.#known.size > MOST_KNOWN) this.#known.delete(oldest);
    return found;
  }
}
