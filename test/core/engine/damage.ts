import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { keyIdOfObject, openObject, sealObject } from '../../../src/core/archive/sealed-object.ts';
import type { DataKey } from '../../../src/core/archive/sealing.ts';
import { parseTenantId } from '../../../src/core/identity.ts';
import type { JsonObject } from '../../../src/index.ts';
import { vaultOf } from '../archive/vaults.ts';

/** A kind of damage to the bytes of an object. */
export type Damage = (bytes: Buffer, file: string) => Buffer | Promise<Buffer>;

/** Damages that every reader must notice. */
export const DAMAGES: Readonly<Record<string, Damage>> = {
  'one bit is flipped': (bytes) => {
    const damaged = Buffer.from(bytes);
    const middle = Math.floor(bytes.length / 2);
    damaged.writeUInt8(damaged.readUInt8(middle) ^ 1, middle);
    return damaged;
  },
  'half of it is gone': (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2)),
  'it is empty': () => Buffer.of(),
};

/** The record in an object of a bank, for one who holds the tests' keys. */
export async function recordOf(bank: string, file: string, bytes: Uint8Array): Promise<JsonObject> {
  const { name, key } = await sealOf(bank, file, bytes);
  return JSON.parse(zstdDecompressSync(openObject(key, name, bytes)).toString());
}

/** Seals a record anew after a change: what somebody who holds the keys can do. */
export const rewritten =
  (bank: string, change: (record: JsonObject) => JsonObject): Damage =>
  async (bytes, file) => {
    const { name, key } = await sealOf(bank, file, bytes);
    const json = JSON.stringify(change(await recordOf(bank, file, bytes)));
    return Buffer.concat(sealObject(key, name, zstdCompressSync(json)));
  };

async function sealOf(
  bank: string,
  file: string,
  bytes: Uint8Array,
): Promise<{ readonly name: string; readonly key: DataKey }> {
  const name = relative(bank, file);
  const vault = vaultOf(filesystemBank(bank), parseTenantId(name.split('/')[0] ?? ''));
  const call = { signal: new AbortController().signal };
  return { name, key: await vault.key(keyIdOfObject(name, bytes), call) };
}

/** The file of each object in a bank whose key begins with the prefix, in order. */
export async function objectFiles(bank: string, prefix: string): Promise<string[]> {
  const entries = await readdir(bank, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => path.startsWith(join(bank, prefix)))
    .sort();
}

/** Damages a file while some work is done, then repairs it. */
export async function whileDamaged(file: string, damage: Damage, work: () => Promise<void>): Promise<void> {
  const intact = await readFile(file);
  await writeFile(file, await damage(intact, file));
  try {
    await work();
  } finally {
    await writeFile(file, intact);
  }
}
