import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { Bank, BankObject, BankPut, BankRead, CallOptions } from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { parseOptions, strictOptions } from '../core/options.ts';

/** Options of {@link weakBank}. */
export interface WeakBankOptions {
  /** For how many calls a new object stays hidden at most; each object for a number of its own, which may be 0. */
  readonly staleness: {
    /** `get`s and `head`s of the object. */
    readonly reads: number;
    /** Lists that come past it. */
    readonly lists: number;
  };
  /** `none`: `ifAbsent` replaces. `best-effort`: it replaces what is still hidden from reads. The last one wins. */
  readonly conditionalCreate: 'none' | 'best-effort';
  /** Decides how long each key is hidden; the same in every run, in whatever order things happen. */
  readonly seed: number;
}

const count = z.int().nonnegative();
const OPTIONS = strictOptions({
  staleness: strictOptions({ reads: count, lists: count }),
  conditionalCreate: z.enum(['none', 'best-effort']),
  seed: z.int(),
}) satisfies z.ZodType<WeakBankOptions>;

/**
 * Makes a store without the strong promises of its kind out of a bank: what is put can be read and listed only in the
 * end. Nothing hangs on time. What came into the bank another way is not hidden.
 */
export function weakBank(bank: Bank, options: WeakBankOptions): Bank {
  return new WeakBank(bank, parseOptions('weakBank', OPTIONS, options));
}

class WeakBank implements Bank {
  readonly contract = 1;
  readonly name: string;
  readonly capabilities: Bank['capabilities'];
  readonly extend?: NonNullable<Bank['extend']>;
  readonly #bank: Bank;
  readonly #options: WeakBankOptions;
  // How many more calls miss a key; none that misses no more.
  readonly #hidden = { reads: new Map<string, number>(), lists: new Map<string, number>() };

  constructor(bank: Bank, options: WeakBankOptions) {
    const { conditionalCreate } = options;
    this.name = bank.name;
    this.capabilities = Object.freeze({ ...bank.capabilities, conditionalCreate });
    this.#bank = bank;
    this.#options = options;
    const extend = bank.extend?.bind(bank);
    if (extend !== undefined) this.extend = extend;
  }

  async put(
    key: string,
    body: Uint8Array | readonly Uint8Array[],
    { ifAbsent, ...call }: BankPut,
  ): Promise<'created' | 'exists'> {
    const isNew = (await this.#bank.head(key, call)) === undefined;
    const looksFirst = ifAbsent && this.#options.conditionalCreate === 'best-effort';
    if (looksFirst && !isNew && !this.#misses('reads', key)) return 'exists';
    const outcome = await this.#bank.put(key, body, { ...call, ifAbsent: false });
    if (isNew) this.#hide(key);
    return outcome;
  }

  async get(key: string, read: BankRead, call: CallOptions): Promise<Uint8Array> {
    const bytes = await this.#bank.get(key, read, call);
    if (this.#misses('reads', key)) {
      throw new FafnirError('NOT_FOUND', `no object ${key} in the bank ${this.name} yet`);
    }
    return bytes;
  }

  async head(key: string, call: CallOptions): Promise<BankObject | undefined> {
    const object = await this.#bank.head(key, call);
    return this.#misses('reads', key) ? undefined : object;
  }

  async *list(
    prefix: string,
    options: CallOptions & { readonly after?: string },
  ): AsyncGenerator<BankObject> {
    for await (const object of this.#bank.list(prefix, options)) {
      if (!this.#misses('lists', object.key)) yield object;
    }
  }

  remove(keys: readonly string[], call: CallOptions): Promise<void> {
    return this.#bank.remove(keys, call);
  }

  #hide(key: string): void {
    const { staleness, seed } = this.#options;
    for (const kind of ['reads', 'lists'] as const) {
      const digest = createHash('sha256').update(`${seed} ${kind} ${key}`).digest();
      this.#hidden[kind].set(key, digest.readUInt32BE() % (staleness[kind] + 1));
    }
  }

  // Counts the call.
  #misses(kind: 'reads' | 'lists', key: string): boolean {
    const left = this.#hidden[kind].get(key) ?? 0;
    if (left <= 1) this.#hidden[kind].delete(key);
    else this.#hidden[kind].set(key, left - 1);
    return left > 0;
  }
}
