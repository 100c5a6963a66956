import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '../../../src/index.ts';

const DIGEST_LENGTH = 64;

/** A kind of damage to the bytes of an object. */
export type Damage = (bytes: Buffer) => Buffer;

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

/** Writes a record anew after a change, with the digest that fits: what somebody who knows the format can do. */
export const rewritten =
  (change: (record: JsonObject) => JsonObject): Damage =>
  (bytes) => {
    const json = JSON.stringify(change(JSON.parse(bytes.toString('utf8', DIGEST_LENGTH + 1))));
    return Buffer.from(`${createHash('sha256').update(json).digest('hex')}\n${json}`);
  };

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
  await writeFile(file, damage(intact));
  try {
    await work();
  } finally {
    await writeFile(file, intact);
  }
}
