import { memoryStore } from '../../../src/stores/memory.ts';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { parseTenantId } from '../../../src/core/identity.ts';
import { Archiving } from '../../../src/core/operations/archiving.ts';
import { OperationServices } from '../../../src/core/operations/services.ts';
import { KEYS } from '../archive/vaults.ts';
import { ACME } from '../archive/volumes.ts';

const servicesOf = (...names: readonly string[]): OperationServices =>
  new OperationServices({
    providers: new Map(),
    banks: new Map(names.map((name) => [name, { bank: memoryBank({ name }), keys: KEYS }])),
    findPlan: async () => undefined,
    limits: {},
    sharedLimits: {},
    jobs: memoryStore(),
    clock: systemClock,
    archiving: new Archiving({ workers: 0 }),
    installation: 'c0ffee000000',
  });

describe('the vault of a bank and a tenant', () => {
  it('is one, and another for another bank or tenant', () => {
    const services = servicesOf('bank', 'other');
    const vault = services.vault('bank', ACME);
    expect(services.vault('bank', ACME)).toBe(vault);
    const others = [services.vault('other', ACME), services.vault('bank', parseTenantId('other'))];
    expect(new Set([vault, ...others]).size).toBe(3);
    expect(vault).toMatchObject({ bank: { name: 'bank' }, tenant: ACME });
    expect(services.vaults(ACME)).toEqual([vault, others[0]]);
  });

  it('is forgotten when a thousand others were asked for since, and only then', () => {
    const services = servicesOf('bank');
    const [kept, dropped] = ['kept', 'dropped'].map((tenant) =>
      services.vault('bank', parseTenantId(tenant)),
    );
    for (let at = 0; at < 999; at += 1) {
      services.vault('bank', parseTenantId(`tenant-${at}`));
      services.vault('bank', parseTenantId('kept'));
    }
    expect(services.vault('bank', parseTenantId('kept'))).toBe(kept);
    expect(services.vault('bank', parseTenantId('dropped'))).not.toBe(dropped);
  });

  it('is refused for a bank that no provider has', () => {
    expect(() => servicesOf('bank').vault('other', ACME)).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_PROVIDER' }),
    );
  });
});
