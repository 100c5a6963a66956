import type { Bank } from '../../core/contracts/index.ts';

type Extend = NonNullable<Bank['extend']>;

/** What a wrapper changes. */
type Changes = Omit<Partial<Bank>, 'extend'> & {
  /** What becomes of `extend`, where the bank has it. */
  readonly extend?: (extend: Extend) => Extend;
};

/** A bank that passes every call on, but for what is changed. Only here is the whole contract spelled out. */
export function wrap(bank: Bank, { extend: changed = (same) => same, ...changes }: Changes): Bank {
  const extend = bank.extend?.bind(bank);
  return Object.freeze<Bank>({
    contract: 1,
    name: bank.name,
    capabilities: bank.capabilities,
    put: (key, body, options) => bank.put(key, body, options),
    get: (key, read, call) => bank.get(key, read, call),
    head: (key, call) => bank.head(key, call),
    list: (prefix, options) => bank.list(prefix, options),
    remove: (keys, call) => bank.remove(keys, call),
    ...(extend && { extend: changed(extend) }),
    ...changes,
  });
}
