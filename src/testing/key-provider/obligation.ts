import assert from 'node:assert/strict';
import type { CallOptions, KeyProvider, WrappedKey } from '../../core/contracts/index.ts';
import { type ErrorCode, FafnirError } from '../../core/errors.ts';

/** A case of the suite before it has a key provider. */
export type Obligation = {
  /** As a sentence. */
  readonly name: string;
  /** Tries it on a fresh provider. */
  run(provider: KeyProvider): Promise<void>;
};

/** A case that needs a second key-encryption key. */
export type RotationObligation = {
  /** As a sentence. */
  readonly name: string;
  /** Tries it on a fresh provider; `rotate` gives the one from after the rotation. */
  run(provider: KeyProvider, rotate: () => Promise<KeyProvider>): Promise<void>;
};

/** A call whose caller stays. */
export const live: CallOptions = { signal: new AbortController().signal };
/** A context like those of banks. */
export const CONTEXT = 'fafnir/bank/tenant-1/epoch-7';

/** A key without a period, and another for each seed. */
export function keyOf(size: number, seed = 0): Uint8Array {
  return Uint8Array.from(
    { length: size },
    (_, index) => (index * 167 + seed * 59 + (index >> 3) + 131) & 0xff,
  );
}

/** Asserts what a wrapped key holds. */
export async function holds(
  provider: KeyProvider,
  wrapped: WrappedKey,
  context: string,
  expected: Uint8Array,
): Promise<void> {
  const found = await provider.unwrap(wrapped, context, live);
  assert.ok(found instanceof Uint8Array);
  // Not the assertion's own comparison, which would print the key.
  assert.ok(Buffer.from(expected).equals(found), 'another key came back than was wrapped');
}

/** Asserts that a call is refused with one of these codes; gives the error. */
export async function refuses(
  what: string,
  work: () => Promise<unknown>,
  ...codes: readonly ErrorCode[]
): Promise<unknown> {
  const [outcome] = await Promise.allSettled([work()]);
  assert.ok(outcome.status === 'rejected', `${what}: was not refused`);
  const known = codes.some((code) => FafnirError.is(outcome.reason, code));
  assert.ok(known, `${what}: wanted ${codes.join(' or ')}, got ${String(outcome.reason)}`);
  return outcome.reason;
}

const AT_ONCE = 8;

/** Does work for each, a few at a time, since a provider may be a remote service. */
export async function forEach<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  for (let start = 0; start < items.length; start += AT_ONCE) {
    await Promise.all(items.slice(start, start + AT_ONCE).map(work));
  }
}

/** The same wrapped key with other bytes. */
export function withBytes({ by }: WrappedKey, bytes: Uint8Array): WrappedKey {
  return { by, bytes: Buffer.from(bytes).toString('base64') };
}

/** The bytes of a wrapped key. */
export function bytesOf({ bytes }: WrappedKey): Uint8Array {
  return Uint8Array.from(Buffer.from(bytes, 'base64'));
}
