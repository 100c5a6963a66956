import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { Bank, CallOptions, KeyProvider, TenantId, WrappedKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { parseOptions } from '../options.ts';
import { unlessAborted } from '../unless-aborted.ts';
import { type DataKey, keyIdOf } from './sealing.ts';

const SECRET_BYTES = 32;
const REPOSITORY_BYTES = 16;
const CREATED_BYTES = 8;
const LARGEST_RECORD = 16 * 1024;
const KEY_NAME = /^(?<id>[0-9a-f]{16})=(?<by>[a-z0-9-]{1,64})$/;

const recordSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal('key'),
  by: z.string().max(64),
  bytes: z.string().max(4_096),
});

interface KnownKey extends DataKey {
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
}

/**
 * The data keys of one tenant in one bank, each an object wrapped by the key provider. Their names follow from the
 * keys, so that two processes which begin at once lose none, whatever the bank promises: both keys stay, and the older
 * is used from then on.
 */
export class TenantKeys {
  readonly #bank: Bank;
  readonly #tenant: TenantId;
  readonly #provider: KeyProvider;
  readonly #known = new Map<string, KnownKey>();
  // Only who could open them all knows which is the newest.
  #areAllKnown = false;
  // One after the other: two who find no key would make two.
  #choosing: Promise<unknown> = Promise.resolve();

  constructor(bank: Bank, tenant: TenantId, provider: KeyProvider) {
    this.#bank = bank;
    this.#tenant = tenant;
    this.#provider = provider;
  }

  /** The key of this id, which something in the bank was sealed under; `UNKNOWN_KEY` where the bank has none. */
  async key(id: string, call: CallOptions): Promise<DataKey> {
    const known = await this.find(id, call);
    if (known === undefined) {
      throw new FafnirError('UNKNOWN_KEY', `bank ${this.#bank.name} has no data key ${id} of this tenant`);
    }
    return known;
  }

  /** The same, or undefined where the bank has none. Others that cannot be unwrapped do not matter. */
  async find(id: string, call: CallOptions): Promise<DataKey | undefined> {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const refused = await this.#read(call);
    const found = this.#known.get(id);
    if (found !== undefined) return found;
    if (refused.has(id)) throw refused.get(id);
    // A bank may list it late.
    const name = this.#nameOf(id, await this.#provider.current(call));
    if ((await this.#bank.head(name, call)) === undefined) return undefined;
    const late = await this.#unwrap(id, name, call);
    this.#known.set(id, late);
    return late;
  }

  /** The key to seal with: the newest. The first is made at the first call ever. */
  newest(now: number, call: CallOptions): Promise<DataKey> {
    return this.#choose(
      async () => (await this.#inOrder(now, call)).at(-1) ?? this.#create(now, undefined, call),
      call,
    );
  }

  /** The key that chunk ids are made with: the oldest, so that equal chunks stay equal. */
  oldest(now: number, call: CallOptions): Promise<DataKey> {
    return this.#choose(
      async () => (await this.#inOrder(now, call))[0] ?? this.#create(now, undefined, call),
      call,
    );
  }

  /** The names of all keys in the bank, also of those that cannot be unwrapped. */
  async *names(call: CallOptions): AsyncGenerator<string> {
    for await (const { key } of this.#bank.list(this.#prefix(''), call)) yield key;
  }

  /** Adds a key; what was sealed before stays as it is. */
  async rotate(now: number, call: CallOptions): Promise<DataKey> {
    const oldest = await this.oldest(now, call);
    return this.#create(now, oldest.repository, call);
  }

  /**
   * Wraps every key under the provider's current key-encryption key, and removes what other ones wrapped: no other
   * object is touched. Resolves with the number of keys wrapped anew; `LOCKED` where all are, and a lock of the bank keeps
   * what others wrapped.
   */
  async rewrap(call: CallOptions): Promise<number> {
    const by = await this.#provider.current(call);
    let count = 0;
    let locked: FafnirError | undefined;
    await this.#readAll(call);
    for (const key of this.#known.values()) {
      const others: string[] = [];
      let isWrapped = false;
      for await (const { key: name } of this.#bank.list(this.#prefix(key.id), call)) {
        if (name === this.#nameOf(key.id, by)) isWrapped = true;
        else others.push(name);
      }
      if (!isWrapped) {
        await this.#store(key, call);
        count += 1;
      }
      if (others.length === 0) continue;
      await this.#bank.remove(others, call).catch((error: unknown) => {
        if (!FafnirError.is(error, 'LOCKED')) throw error;
        locked = error;
      });
    }
    if (locked !== undefined) throw locked;
    return count;
  }

  #choose(choice: () => Promise<DataKey>, { signal }: CallOptions): Promise<DataKey> {
    const chosen = this.#choosing.then(choice, choice);
    this.#choosing = chosen;
    // Whoever asked hears of it.
    chosen.catch(() => undefined);
    return unlessAborted(chosen, signal);
  }

  async #inOrder(now: number, call: CallOptions): Promise<readonly DataKey[]> {
    if (!this.#areAllKnown) await this.#readAll(call);
    if (this.#known.size === 0) await this.#create(now, undefined, call);
    return [...this.#known.values()].sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  }

  async #create(now: number, repository: Uint8Array | undefined, call: CallOptions): Promise<DataKey> {
    const secret = randomBytes(SECRET_BYTES);
    const key = {
      id: keyIdOf(secret),
      secret,
      repository: repository ?? randomBytes(REPOSITORY_BYTES),
      createdAt: now,
    };
    const name = await this.#store(key, call);
    // What is read back is what counts: nothing is sealed under a key that is not safe in the bank. Another process
    // may have made one in the same moment, and a bank may list this one late.
    await this.#readAll(call);
    const read = this.#known.get(key.id) ?? (await this.#unwrap(key.id, name, call));
    this.#known.set(key.id, read);
    return read;
  }

  async #store(key: KnownKey, call: CallOptions): Promise<string> {
    const created = Buffer.alloc(CREATED_BYTES);
    created.writeBigUInt64BE(BigInt(key.createdAt));
    const plain = Buffer.concat([key.secret, key.repository, created]);
    const { by, bytes } = await this.#provider.wrap(plain, this.#contextOf(key.id), call);
    const record = JSON.stringify({ format: 1, kind: 'key', by, bytes });
    const name = this.#nameOf(key.id, by);
    await this.#bank.put(name, new TextEncoder().encode(record), { ifAbsent: true, ...call });
    return name;
  }

  async #readAll(call: CallOptions): Promise<void> {
    const [reason] = (await this.#read(call)).values();
    if (reason !== undefined) throw reason;
    this.#areAllKnown = true;
  }

  /** Unwraps what the bank lists; resolves with why some could not be, by id. */
  async #read(call: CallOptions): Promise<ReadonlyMap<string, unknown>> {
    const refused = new Map<string, unknown>();
    for await (const { key: name } of this.#bank.list(this.#prefix(''), call)) {
      const { id } = KEY_NAME.exec(name.slice(this.#prefix('').length))?.groups ?? {};
      if (id === undefined || this.#known.has(id)) continue;
      try {
        this.#known.set(id, await this.#unwrap(id, name, call));
        refused.delete(id);
      } catch (error) {
        call.signal.throwIfAborted();
        // The same key may be there under another key-encryption key.
        refused.set(id, error);
      }
    }
    return refused;
  }

  async #unwrap(id: string, name: string, call: CallOptions): Promise<KnownKey> {
    const corrupt = (cause?: unknown): FafnirError =>
      new FafnirError('CORRUPT', `${name} in bank ${this.#bank.name} is not a wrapped key`, { cause });
    const object = await this.#bank.get(name, { limit: LARGEST_RECORD }, call).catch((error: unknown) => {
      if (FafnirError.is(error, 'LIMIT_EXCEEDED')) throw corrupt(error);
      if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      // Of a bank that shows it late, or a key that was just wrapped anew: what it sealed is not gone.
      throw new FafnirError('UNAVAILABLE', `${name} in bank ${this.#bank.name} cannot be read yet`, {
        cause: error,
      });
    });
    let wrapped: WrappedKey;
    try {
      const { by, bytes } = parseOptions(name, recordSchema, JSON.parse(new TextDecoder().decode(object)));
      wrapped = { by, bytes };
    } catch (error) {
      throw corrupt(error);
    }
    const plain = await this.#provider.unwrap(wrapped, this.#contextOf(id), call);
    if (plain.length !== SECRET_BYTES + REPOSITORY_BYTES + CREATED_BYTES) throw corrupt();
    const secret = plain.slice(0, SECRET_BYTES);
    const repository = plain.slice(SECRET_BYTES, SECRET_BYTES + REPOSITORY_BYTES);
    const createdAt = Number(Buffer.from(plain).readBigUInt64BE(SECRET_BYTES + REPOSITORY_BYTES));
    plain.fill(0);
    if (keyIdOf(secret) !== id) throw corrupt();
    return { id, secret, repository, createdAt };
  }

  #prefix(id: string): string {
    return `${this.#tenant}/keys/${id === '' ? '' : `${id}=`}`;
  }

  #nameOf(id: string, by: string): string {
    return `${this.#prefix(id)}${by}`;
  }

  #contextOf(id: string): string {
    return `fafnir/1/${this.#tenant}/${id}`;
  }
}
