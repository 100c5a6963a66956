import { promisify } from 'node:util';
import { zstdCompress } from 'node:zlib';
import * as z from 'zod';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { getRecord, keyedDigest, putRecord } from '../../../src/core/archive/records.ts';
import type { Vault } from '../../../src/core/archive/vault.ts';
import { parseTenantId } from '../../../src/core/identity.ts';
import { flipped } from './data-keys.ts';
import { vaultOf } from './vaults.ts';
import { countingCall } from './volumes.ts';

const schema = z.strictObject({ name: z.string() });
const record = { name: 'Ünïcode "quoted"' };
const KEY = 'acme/records/a';
const call = countingCall();

const newVault = (): Vault => vaultOf(memoryBank({ name: 'bank' }));
const read = (vault: Vault): Promise<unknown> => getRecord(vault, KEY, schema, call);
const bytesAt = (vault: Vault, key: string): Promise<Uint8Array> => vault.bank.get(key, { limit: 1e6 }, call);
const replace = (vault: Vault, body: Uint8Array): Promise<unknown> =>
  vault.bank.put(KEY, body, { ifAbsent: false, ...call });

describe('a record', () => {
  it('reads back as it was stored, also for one who comes later', async () => {
    const vault = newVault();
    await putRecord(vault, KEY, record, call);
    expect(await read(vault)).toEqual(record);
    expect(await read(vaultOf(vault.bank))).toEqual(record);
  });

  it('is CORRUPT with any bit changed', async () => {
    const vault = newVault();
    await putRecord(vault, KEY, record, call);
    const whole = await bytesAt(vault, KEY);
    const accepted: number[] = [];
    for (let bit = 0; bit < 8 * whole.length; bit += 1) {
      await replace(vault, flipped(whole, bit));
      const outcome = await read(vault).catch((error: { code: string }) => error.code);
      if (outcome !== 'CORRUPT') accepted.push(bit);
    }
    expect(accepted).toEqual([]);
  });

  it('is CORRUPT however much of it is missing', async () => {
    const vault = newVault();
    await putRecord(vault, KEY, record, call);
    const whole = await bytesAt(vault, KEY);
    for (const length of whole.keys()) {
      await replace(vault, whole.subarray(0, length));
      await expect(read(vault), `${length}`).rejects.toMatchObject({ code: 'CORRUPT' });
    }
  });

  it('is CORRUPT under any name but its own', async () => {
    const vault = newVault();
    await putRecord(vault, `${KEY}2`, record, call);
    await replace(vault, await bytesAt(vault, `${KEY}2`));
    await expect(read(vault)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it.each([
    ['more than it should have', '{"name":"x","more":1}'],
    ['less than it should have', '{}'],
    ['no JSON', 'name'],
    ['nothing', ''],
    ['null', 'null'],
    ['bytes that are no text', Buffer.from([0x22, 0xff, 0x22])],
  ])('is CORRUPT where it should be one and is %s', async (_, json) => {
    const vault = newVault();
    await vault.put(KEY, await promisify(zstdCompress)(json), call);
    await expect(read(vault)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('is CORRUPT where it is not compressed', async () => {
    const vault = newVault();
    await vault.put(KEY, Buffer.from(JSON.stringify(record)), call);
    await expect(read(vault)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('is CORRUPT where it is far larger than it looks', async () => {
    const vault = newVault();
    const bomb = JSON.stringify({ name: 'x'.repeat(64 * 1024 * 1024) });
    await vault.put(KEY, await promisify(zstdCompress)(bomb), call);
    await expect(read(vault)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('that no reader would take is not stored', async () => {
    const vault = newVault();
    const large = { name: 'x'.repeat(64 * 1024 * 1024) };
    await expect(putRecord(vault, KEY, large, call)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(await vault.bank.head(KEY, call)).toBeUndefined();
  });

  it('has a digest that is the same each time, and another for another tenant', async () => {
    const vault = newVault();
    const digest = await putRecord(vault, (of) => `acme/records/${of}`, record, call);
    expect(await bytesAt(vault, `acme/records/${digest}`)).toBeDefined();
    const json = JSON.stringify(record);
    expect(await keyedDigest(vaultOf(vault.bank), json, call)).toBe(digest);
    expect(await keyedDigest(vaultOf(vault.bank, parseTenantId('other')), json, call)).not.toBe(digest);
  });
});
