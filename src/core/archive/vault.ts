import type { Bank, CallOptions, Clock, KeyProvider, TenantId } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { unlessAborted } from '../unless-aborted.ts';
import { keyIdOfObject, openObject, sealObject } from './sealed-object.ts';
import type { DataKey } from './sealing.ts';
import { TenantKeys } from './tenant-keys.ts';

// Milliseconds: altogether three seconds.
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 1_600;

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
  readonly #keys: TenantKeys;
  /** Tells new data keys from old ones, and waits for what is shown late. */
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
  // One after the other: two who find no key would make two.
  #choosing: Promise<unknown> = Promise.resolve();

  constructor({ bank, tenant, keys, clock }: VaultParts) {
    this.bank = bank;
    this.tenant = tenant;
    this.#keys = new TenantKeys(bank, tenant, keys);
    this.clock = clock;
  }

  /** The key that new objects are sealed under. */
  sealingKey(call: CallOptions): Promise<DataKey> {
    return this.#choose(() => this.#keys.newest(this.clock.now(), call), call);
  }

  /** The key that new chunk ids are made with, unless an older archive says another. */
  idKey(call: CallOptions): Promise<DataKey> {
    return this.#choose(() => this.#keys.oldest(this.clock.now(), call), call);
  }

  /** A key that something in the bank names; `UNKNOWN_KEY` where it is not there. */
  key(id: string, call: CallOptions): Promise<DataKey> {
    return this.#keys.key(id, call);
  }

  /** Seals an object and stores it, unless one of the name is there already. */
  async put(name: string, content: Uint8Array, call: CallOptions): Promise<'created' | 'exists'> {
    const object = sealObject(await this.sealingKey(call), name, content);
    return this.bank.put(name, object, { ifAbsent: true, signal: call.signal });
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

  #choose(choice: () => Promise<DataKey>, { signal }: CallOptions): Promise<DataKey> {
    const chosen = this.#choosing.then(choice, choice);
    this.#choosing = chosen;
    // Whoever asked hears of it.
    chosen.catch(() => undefined);
    return unlessAborted(chosen, signal);
  }
}
