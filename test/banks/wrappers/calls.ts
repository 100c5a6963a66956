import type { Bank, BankRead, CallOptions } from '../../../src/index.ts';

type PutOptions = CallOptions & { readonly ifAbsent: boolean };

/** A call whose caller stays. */
export const live: CallOptions = { signal: new AbortController().signal };
/** How to put an object only where there is none. */
export const creating: PutOptions = { ...live, ifAbsent: true };
/** How to put an object whatever is there. */
export const replacing: PutOptions = { ...live, ifAbsent: false };
/** How to read any object. */
export const whole: BankRead = { limit: 1_000_000 };

/** A body. */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** An object as text. */
export const read = async (bank: Bank, key: string): Promise<string> =>
  new TextDecoder().decode(await bank.get(key, whole, live));

/** Keys as they are listed. */
export async function keys(bank: Bank, prefix = '', after?: string): Promise<string[]> {
  const found: string[] = [];
  const call = after === undefined ? live : { ...live, after };
  for await (const { key } of bank.list(prefix, call)) found.push(key);
  return found;
}

/** Puts objects whose bodies are their keys. */
export async function fill(bank: Bank, ...names: string[]): Promise<void> {
  for (const name of names) await bank.put(name, bytes(name), replacing);
}
