import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { TenantKeys } from '../../../src/core/archive/tenant-keys.ts';
import { parseTenantId } from '../../../src/core/identity.ts';
import type { Bank } from '../../../src/index.ts';
import { createKeyFile, keyFile, rotateKeyFile } from '../../../src/keys/file.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { bankWith } from './volumes.ts';

const CALL = { signal: new AbortController().signal };
const ACME = parseTenantId('acme');

let directory: string;
let made = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fafnir-keys-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function newKeyFile(): Promise<string> {
  made += 1;
  const path = join(directory, `${made}.json`);
  await createKeyFile({ path });
  return path;
}

const keysOf = (bank: Bank, path: string, tenant = ACME): TenantKeys =>
  new TenantKeys(bank, tenant, keyFile({ path }));

async function namesIn(bank: Bank): Promise<string[]> {
  const names: string[] = [];
  for await (const { key } of bank.list('', CALL)) names.push(key);
  return names;
}

describe('the data keys of a tenant', () => {
  it('are made at the first use, and are the same for whoever comes later', async () => {
    const [bank, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    const first = await keysOf(bank, path).newest(1, CALL);
    const later = keysOf(bank, path);
    expect(await later.newest(2, CALL)).toEqual(first);
    expect(await later.oldest(2, CALL)).toEqual(first);
    expect(await later.key(first.id, CALL)).toEqual(first);
    expect(await namesIn(bank)).toEqual([expect.stringMatching(`^acme/keys/${first.id}=`)]);
  });

  it('are never in the bank as they are', async () => {
    const [bank, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    const { secret } = await keysOf(bank, path).newest(1, CALL);
    for (const name of await namesIn(bank)) {
      const bytes = Buffer.from(await bank.get(name, { limit: 10_000 }, CALL));
      for (const encoding of ['base64', 'hex', 'latin1'] as const) {
        expect(bytes.toString('latin1')).not.toContain(Buffer.from(secret).toString(encoding));
      }
    }
  });

  it('stay when two begin at once: both can be read, and one is used from then on', async () => {
    const [bank, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    const [one, other] = await Promise.all([
      keysOf(bank, path).newest(1, CALL),
      keysOf(bank, path).newest(1, CALL),
    ]);
    const later = keysOf(bank, path);
    expect(await later.key(one.id, CALL)).toEqual(one);
    expect(await later.key(other.id, CALL)).toEqual(other);
    const oldest = await later.oldest(2, CALL);
    expect(await keysOf(bank, path).oldest(3, CALL)).toEqual(oldest);
  });

  it('go on after a rotation: the newest seals, the oldest names chunks, the repository stays', async () => {
    const [bank, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    const keys = keysOf(bank, path);
    const first = await keys.newest(1, CALL);
    const second = await keys.rotate(2, CALL);
    expect(second.id).not.toBe(first.id);
    expect(second.repository).toEqual(first.repository);
    const later = keysOf(bank, path);
    expect(await later.newest(3, CALL)).toEqual(second);
    expect(await later.oldest(3, CALL)).toEqual(first);
  });

  it('are found by a process that had read them before they were made', async () => {
    const [bank, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    const early = keysOf(bank, path);
    const first = await early.newest(1, CALL);
    const second = await keysOf(bank, path).rotate(2, CALL);
    expect(await early.key(second.id, CALL)).toEqual(second);
    expect((await early.key(first.id, CALL)).id).toBe(first.id);
    await expect(early.key('0'.repeat(16), CALL)).rejects.toMatchObject({ code: 'UNKNOWN_KEY' });
  });

  it('are wrapped anew, and nothing else is touched, when the key-encryption key is another', async () => {
    const [bank, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    const keys = keysOf(bank, path);
    const made = [await keys.newest(1, CALL), await keys.rotate(2, CALL)];
    await bank.put('acme/packs/x', new Uint8Array(3), { ifAbsent: true, ...CALL });
    const before = await namesIn(bank);
    await rotateKeyFile({ path });
    const later = keysOf(bank, path);
    expect(await later.rewrap(CALL)).toBe(2);
    expect(await later.rewrap(CALL)).toBe(0);
    const after = await namesIn(bank);
    expect(after).toHaveLength(before.length);
    expect(after.filter((name) => before.includes(name))).toEqual(['acme/packs/x']);
    for (const key of made) expect(await keysOf(bank, path).key(key.id, CALL)).toEqual(key);
  });

  it('are not those of another tenant, though the objects were copied there', async () => {
    const [bank, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    await keysOf(bank, path).newest(1, CALL);
    for (const name of await namesIn(bank)) {
      const bytes = await bank.get(name, { limit: 10_000 }, CALL);
      await bank.put(name.replace('acme', 'other'), bytes, { ifAbsent: true, ...CALL });
    }
    const other = keysOf(bank, path, parseTenantId('other'));
    await expect(other.newest(2, CALL)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it.each([
    ['no JSON', 'x', 'CORRUPT'],
    ['another record', '{"format":1,"kind":"page"}', 'CORRUPT'],
    ['bytes that nobody wrapped', '{"format":1,"kind":"key","by":"BY","bytes":"AAAA"}', 'CORRUPT'],
    [
      'a key-encryption key that is gone',
      '{"format":1,"kind":"key","by":"gone","bytes":"AAAA"}',
      'UNKNOWN_KEY',
    ],
  ])('are refused, and none is made in their place, where one is %s', async (_, text, code) => {
    const [bank, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    const by = await keyFile({ path }).current(CALL);
    const name = `acme/keys/${'1'.repeat(16)}=${by}`;
    const bytes = new TextEncoder().encode(text.replace('BY', by));
    await bank.put(name, bytes, { ifAbsent: true, ...CALL });
    await expect(keysOf(bank, path).newest(1, CALL)).rejects.toMatchObject({ code });
    expect(await namesIn(bank)).toEqual([name]);
  });

  it('that can be unwrapped open what they sealed, though another cannot; but nothing is sealed', async () => {
    const [bank, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    const first = await keysOf(bank, path).newest(1, CALL);
    const lost = '1'.repeat(16);
    const text = '{"format":1,"kind":"key","by":"gone","bytes":"AAAA"}';
    await bank.put(`acme/keys/${lost}=gone`, new TextEncoder().encode(text), { ifAbsent: true, ...CALL });
    const later = keysOf(bank, path);
    expect(await later.find(first.id, CALL)).toEqual(first);
    await expect(later.find(lost, CALL)).rejects.toMatchObject({ code: 'UNKNOWN_KEY' });
    for (const call of [() => later.newest(2, CALL), () => later.oldest(2, CALL), () => later.rewrap(CALL)]) {
      await expect(call()).rejects.toMatchObject({ code: 'UNKNOWN_KEY' });
    }
  });

  it('are made and found where the bank lists late', async () => {
    const [sound, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    const late = bankWith(
      () => ({
        async *list() {
          yield* [];
        },
      }),
      sound,
    );
    const keys = keysOf(late, path);
    const first = await keys.newest(1, CALL);
    expect(await keys.newest(2, CALL)).toEqual(first);
    expect(await keysOf(late, path).key(first.id, CALL)).toEqual(first);
    expect(await namesIn(sound)).toHaveLength(1);
  });

  it('are asked for again where they are listed but cannot be read yet', async () => {
    const [sound, path] = [memoryBank({ name: 'bank' }), await newKeyFile()];
    const first = await keysOf(sound, path).newest(1, CALL);
    let misses = 1;
    const late = bankWith(
      () => ({
        get: (key, read, call) =>
          misses-- > 0 ? Promise.reject(new FafnirError('NOT_FOUND', key)) : sound.get(key, read, call),
      }),
      sound,
    );
    const keys = keysOf(late, path);
    await expect(keys.newest(2, CALL)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(await keys.newest(2, CALL)).toEqual(first);
    expect(await namesIn(sound)).toHaveLength(1);
  });
});
