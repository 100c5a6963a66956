import type { Bank, BankObject, CallOptions } from '../contracts/index.ts';
import { type ErrorCode, FafnirError } from '../errors.ts';
import { mapSettled } from '../map-settled.ts';
import { currentMeter, type Meter } from '../meter.ts';
import { pluginOf } from './plugin.ts';

const HEADS_AT_ONCE = 8;
// After these nothing is stored or removed.
const REFUSALS: readonly ErrorCode[] = ['ACCESS_DENIED', 'INVALID_KEY', 'LIMIT_EXCEEDED', 'NO_SPACE'];

/**
 * A bank whose calls, and what they add and take away, are counted for the job that makes them. What a removal takes away is
 * asked before: only what is there can be taken away, however often it is removed.
 */
export function meteredBank(bank: Bank): Bank {
  const count = (): void => {
    const meter = currentMeter();
    if (meter !== undefined) meter.bankCalls += 1;
  };
  const head = (key: string, call: CallOptions): Promise<BankObject | undefined> => {
    count();
    return bank.head(key, call);
  };
  return pluginOf<Bank>({
    contract: bank.contract,
    name: bank.name,
    capabilities: bank.capabilities,
    async put(key, body, options) {
      const meter = currentMeter();
      if (meter === undefined) return bank.put(key, body, options);
      // Such a bank says `created` also of what it replaced.
      const isBlind = bank.capabilities.conditionalCreate === 'none' || !options.ifAbsent;
      const replaced = isBlind ? ((await head(key, options))?.size ?? 0) : 0;
      count();
      const outcome = await unsureUnlessRefused(meter, bank.put(key, body, options));
      if (outcome === 'created') meter.store(bank.name, sizeOf(body) - replaced);
      return outcome;
    },
    get(key, read, call) {
      count();
      return bank.get(key, read, call);
    },
    head,
    list(prefix, options) {
      count();
      return bank.list(prefix, options);
    },
    async remove(keys, call) {
      const meter = currentMeter();
      if (meter === undefined) return bank.remove(keys, call);
      const sizes = await mapSettled(
        keys,
        async (key, _at, signal) => (await head(key, { signal }))?.size ?? 0,
        {
          concurrency: HEADS_AT_ONCE,
          signal: call.signal,
        },
      );
      count();
      await unsureUnlessRefused(meter, bank.remove(keys, call));
      meter.store(bank.name, -sizes.reduce((sum, size) => sum + size, 0));
    },
  });
}

async function unsureUnlessRefused<Answer>(meter: Meter, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if (!REFUSALS.some((code) => FafnirError.is(error, code))) meter.isSure = false;
    throw error;
  }
}

const sizeOf = (body: Uint8Array | readonly Uint8Array[]): number =>
  body instanceof Uint8Array ? body.length : body.reduce((sum, { length }) => sum + length, 0);
