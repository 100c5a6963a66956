import type { Bank, BankObject, CallOptions } from '../contracts/index.ts';
import { type ErrorCode, FafnirError } from '../errors.ts';
import { mapSettled } from '../map-settled.ts';
import { currentMeter, type Meter } from '../meter.ts';
import { pluginOf } from './plugin.ts';

const HEADS_AT_ONCE = 8;
// After these nothing is stored or removed.
const REFUSALS: readonly ErrorCode[] = [
  'ACCESS_DENIED',
  'INVALID_KEY',
  'LIMIT_EXCEEDED',
  'LOCKED',
  'NO_SPACE',
  'UNSUPPORTED',
];

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
  const extend = bank.extend?.bind(bank);
  const sizesOf = async (keys: readonly string[], { signal: whole }: CallOptions): Promise<number> => {
    const size = async (key: string, _at: number, signal: AbortSignal) =>
      (await head(key, { signal }))?.size ?? 0;
    const sizes = await mapSettled(keys, size, { concurrency: HEADS_AT_ONCE, signal: whole });
    return sizes.reduce((sum, one) => sum + one, 0);
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
      const before = await sizesOf(keys, call);
      count();
      try {
        await unsureUnlessRefused(meter, bank.remove(keys, call));
      } catch (error) {
        // What is not locked is gone.
        if (FafnirError.is(error, 'LOCKED')) {
          meter.store(bank.name, (await unsureUnlessRefused(meter, sizesOf(keys, call))) - before);
        }
        throw error;
      }
      meter.store(bank.name, -before);
    },
    extend:
      extend &&
      ((keys, until, call) => {
        count();
        return extend(keys, until, call);
      }),
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
