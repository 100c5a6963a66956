import assert from 'node:assert/strict';
import type { Bank, BankObject, BankPut, BankRead, CallOptions, Clock } from '../../core/contracts/index.ts';
import { type ErrorCode, FafnirError } from '../../core/errors.ts';

/** A case of the suite before it has a bank. */
export type Obligation = {
  /** As a sentence. */
  readonly name: string;
  /** The least `conditionalCreate` for which the case applies. */
  readonly needs?: 'atomic' | 'best-effort';
  /** Whether the case is about banks with locks, or about those without; both unless given. */
  readonly locks?: boolean;
  /** Tries it on an empty bank, whose locks go by the clock. */
  run(bank: Bank, clock: LockClock): Promise<void>;
};

/** What the locks of a bank go by. */
export type LockClock = Pick<Clock, 'now' | 'sleep'>;

/** Bytes. */
export const MEBIBYTE: number = 1024 ** 2;
/** A call whose caller stays. */
export const live: CallOptions = { signal: new AbortController().signal };
/** How to put an object whatever is there. */
export const replacing: BankPut = { ...live, ifAbsent: false };
/** How to put an object only where there is none. */
export const creating: BankPut = { ...live, ifAbsent: true };
/** How to read any object of the suite. */
export const whole: BankRead = { limit: 64 * MEBIBYTE };

/** A body. */
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Puts objects whose bodies are their keys. */
export async function put(bank: Bank, ...keys: string[]): Promise<void> {
  for (const key of keys) await bank.put(key, text(key), replacing);
}

/** Asserts the body of an object. */
export async function holds(bank: Bank, key: string, expected: Uint8Array | string): Promise<void> {
  const found = await bank.get(key, whole, live);
  assert.ok(found instanceof Uint8Array);
  assert.ok(Buffer.from(typeof expected === 'string' ? text(expected) : expected).equals(found), key);
}

/** All that a list gives. */
export async function objects(bank: Bank, prefix = '', after?: string): Promise<BankObject[]> {
  const found: BankObject[] = [];
  for await (const object of bank.list(prefix, after === undefined ? live : { ...live, after })) {
    found.push(object);
  }
  return found;
}

/** The keys of a list as they come. */
export async function inOrder(bank: Bank, prefix?: string, after?: string): Promise<string[]> {
  return (await objects(bank, prefix, after)).map((object) => object.key);
}

/** The keys of a list, sorted here so that a bank without order fails only the cases about order. */
export async function listed(bank: Bank, prefix?: string, after?: string): Promise<string[]> {
  return (await inOrder(bank, prefix, after)).sort();
}

/** Asserts that a call is refused with a code. */
export async function refuses(work: () => Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(FafnirError.is(error, code), `wanted ${code}, got ${String(error)}`);
    return true;
  });
}

/** 5 MiB without a period that a block size could hide. */
export function largeBody(): Uint8Array {
  const body = new Uint8Array(5 * MEBIBYTE);
  for (let index = 0; index < body.length; index += 1)
    body[index] = (index ^ (index >> 8) ^ (index >> 16)) % 251;
  return body;
}

/** Keys by their bytes: `-` `.` `/` digits `=` capitals `_` small letters. */
export const ORDERED: readonly string[] = [
  'A',
  'a-b',
  'a.b',
  'a/b',
  'a/b-c/d',
  'a/b.c',
  'a/b0',
  'a0',
  'a=',
  'aB/c',
  'a_',
  'ab',
  'b/a/z',
  'b0',
];

/** Asserts that a call ends with the reason of its abort, or an error caused by that. */
export async function rejectsWith(work: () => Promise<unknown>, reason: Error): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error === reason || (error instanceof Error && error.cause === reason), String(error));
    return true;
  });
}
