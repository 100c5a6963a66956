import { Vault } from '../../../src/core/archive/vault.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { Bank, KeyProvider } from '../../../src/core/contracts/index.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { ACME } from './volumes.ts';

/** The key-encryption key of the tests: the same in every process. */
export const KEYS: KeyProvider = memoryKeys({ name: 'tests', key: new Uint8Array(32).fill(7) });

/** A tenant's part of a bank. */
export const vaultOf = (bank: Bank, tenant: typeof ACME = ACME, keys: KeyProvider = KEYS): Vault =>
  new Vault({ bank, tenant, keys, clock: systemClock });
