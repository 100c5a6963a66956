import type { Bank, CallOptions, TenantId } from '../contracts/index.ts';
import { isId, parseTenantId } from '../identity.ts';

// Follows the slash, so that nothing of a tenant sorts behind its name and this.
const BEYOND = '0';

/** The tenants that have objects in a bank. One object of each is listed, and the others are leapt over. */
export async function* tenantsIn(bank: Bank, call: CallOptions): AsyncGenerator<TenantId> {
  for (let key = await firstKey(bank, {}, call); key !== undefined; ) {
    const [first = '', ...rest] = key.split('/');
    if (rest.length > 0 && isId(first)) yield parseTenantId(first);
    key = await firstKey(bank, { after: rest.length > 0 ? first + BEYOND : key }, call);
  }
}

async function firstKey(
  bank: Bank,
  beyond: { readonly after?: string },
  call: CallOptions,
): Promise<string | undefined> {
  call.signal.throwIfAborted();
  for await (const { key } of bank.list('', { ...beyond, ...call })) return key;
  return undefined;
}
