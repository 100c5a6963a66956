import type { Bank, CallOptions, Clock, KeyProvider, TenantId } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { keyIdOfObject, openObject, sealObject } from './sealed-object.ts';
import type { DataKey } from './sealing.ts';
import { TenantKeys } from './tenant-keys.ts';

// Milliseconds: altogether three seconds.
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 1_600;
// What is named in one call to the bank.
const LOCKED_AT_ONCE = 1_000;

/** What a vault is made of. */
export interface VaultParts {
  /** Where the objects are. */
  readonly bank: Bank;
  /** Whose objects. */
  readonly tenant: TenantId;
  /** Wraps the tenant's data keys. */
  readonly keys: KeyProvider;
  /** Tells new data keys from old ones, and waits for what is shown late. */
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
}

/**
 * One tenant's part of a bank. What goes in is sealed; what comes out was sealed under just this name by one who holds
 * the tenant's keys, and anything else is `CORRUPT`.
 */
export class Vault {
  readonly bank: Bank;
  readonly tenant: TenantId;
  /** Tells new data keys from old ones, and waits for what is shown late. */
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
  readonly #parts: VaultParts;
  readonly #keys: TenantKeys;
  readonly #retainUntil: number | undefined;

  constructor(parts: VaultParts, { keys, retainUntil }: { keys?: TenantKeys; retainUntil?: number } = {}) {
    this.bank = parts.bank;
    this.tenant = parts.tenant;
    this.clock = parts.clock;
    this.#parts = parts;
    this.#keys = keys ?? new TenantKeys(parts.bank, parts.tenant, parts.keys);
    this.#retainUntil = retainUntil;
  }

  /**
   * The same, but what it puts is locked until an instant, in milliseconds since 1970 UTC, with whatever is there under that
   * name already; null, or an instant that has passed, locks nothing.
   */
  lockedUntil(retainUntil: number | null): Vault {
    return new Vault(this.#parts, { keys: this.#keys, ...(retainUntil !== null && { retainUntil }) });
  }

  /** The key that new objects are sealed under. */
  sealingKey(call: CallOptions): Promise<DataKey> {
    return this.#keys.newest(this.clock.now(), call);
  }

  /** The key that new chunk ids are made with, unless an older archive says another. */
  idKey(call: CallOptions): Promise<DataKey> {
    return this.#keys.oldest(this.clock.now(), call);
  }

  /** A key that something in the bank names; `UNKNOWN_KEY` where it is not there. */
  key(id: string, call: CallOptions): Promise<DataKey> {
    return this.#keys.key(id, call);
  }

  /** Seals an object and stores it, unless one of the name is there already. */
  async put(name: string, content: Uint8Array, call: CallOptions): Promise<'created' | 'exists'> {
    return this.store(name, sealObject(await this.sealingKey(call), name, content), call);
  }

  /** Stores what is sealed already, unless there is an object of the name. */
  async store(
    name: string,
    body: Uint8Array | readonly Uint8Array[],
    { signal }: CallOptions,
  ): Promise<'created' | 'exists'> {
    const retainUntil = this.#lock();
    const lock = retainUntil === undefined ? {} : { retainUntil };
    const outcome = await this.bank.put(name, body, { ifAbsent: true, signal, ...lock });
    if (outcome === 'exists') await this.shown(() => this.lock([name], { signal }), { signal });
    return outcome;
  }

  /**
   * Locks what is there for as long as what it puts; nothing where that is not locked. `NOT_FOUND` where one is not there; may
   * be repeated.
   */
  async lock(names: Iterable<string>, call: CallOptions): Promise<void> {
    const until = this.#lock();
    if (until === undefined) return;
    for (const some of slices(names, LOCKED_AT_ONCE)) {
      if (this.bank.extend === undefined) {
        throw new FafnirError('UNSUPPORTED', `the bank ${this.bank.name} has no locks`);
      }
      await this.bank.extend(some, until, call);
    }
  }

  /** Locks the tenant's keys so: without them nothing that is sealed can be read. */
  async lockKeys(call: CallOptions): Promise<void> {
    if (this.#lock() === undefined) return;
    await this.clock.sleep(this.bank.capabilities.listingDelay, call);
    for await (const name of this.#keys.names(call)) await this.lock([name], call);
  }

  /** The content of an object, of at most so many bytes; `NOT_FOUND` where there is none, `CORRUPT` where it is larger. */
  async get(name: string, limit: number, call: CallOptions): Promise<Uint8Array> {
    const object = await this.bank.get(name, { limit }, call).catch((error: unknown) => {
      throw FafnirError.is(error, 'LIMIT_EXCEEDED') ? this.corrupt(name, 'is too large', error) : error;
    });
    try {
      const id = keyIdOfObject(name, object);
      const key = await this.#keys.find(id, call);
      if (key === undefined) throw new FafnirError('CORRUPT', `data key ${id} is not in the bank`);
      return openObject(key, name, object);
    } catch (error) {
      throw FafnirError.is(error, 'CORRUPT') ? this.corrupt(name, 'does not open', error) : error;
    }
  }

  /**
   * Reads what was just stored here: a bank may show it late, and is asked again for some seconds. What is not there then
   * is `NOT_FOUND`.
   */
  async shown<Result>(read: () => Promise<Result>, call: CallOptions): Promise<Result> {
    for (let pause = FIRST_PAUSE; ; pause *= 2) {
      try {
        return await read();
      } catch (error) {
        if (!FafnirError.is(error, 'NOT_FOUND') || pause > LONGEST_PAUSE) throw error;
        await this.clock.sleep(pause, call);
      }
    }
  }

  /** What to throw where an object is not as it was stored. */
  corrupt(name: string, what: string, cause?: unknown): FafnirError {
    return new FafnirError('CORRUPT', `${name} in bank ${this.bank.name} ${what}`, { cause });
  }

  #lock(): number | undefined {
    const until = this.#retainUntil;
    return until !== undefined && until > this.clock.now() ? until : undefined;
  }
}

function* slices(names: Iterable<string>, length: number): Generator<readonly string[]> {
  let slice: string[] = [];
  for (const name of names) {
    slice.push(name);
    if (slice.length < length) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}
