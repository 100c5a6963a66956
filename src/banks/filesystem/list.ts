import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isBankKey } from '../../core/bank-keys.ts';
import type { BankObject } from '../../core/contracts/index.ts';
import { MISSING, tolerate } from './errors.ts';
import { isFolder, lookUp, type Root } from './folders.ts';

/**
 * Objects in the order of their keys. Holds the names of one folder for each level, and enters none that cannot
 * hold a wanted key.
 */
export async function* listObjects(
  root: Root,
  prefix: string,
  after: string,
  signal: AbortSignal,
): AsyncGenerator<BankObject> {
  // Keys of objects and, with a slash at the end, of folders; the least is the last.
  const pending = [prefix.slice(0, prefix.lastIndexOf('/') + 1)];
  for (let key = pending.pop(); key !== undefined; key = pending.pop()) {
    signal.throwIfAborted();
    if (key === '' || key.endsWith('/')) {
      for (const found of await keysIn(root, key)) {
        if (found.startsWith(prefix) && mayFollow(found, after)) pending.push(found);
      }
    } else {
      const facts = await lookUp(root, key);
      if (facts?.isFile()) yield { key, size: facts.size };
    }
  }
}

function mayFollow(key: string, after: string): boolean {
  return key > after || (key.endsWith('/') && after.startsWith(key));
}

// From the greatest to the least. A folder sorts by its slash, as the keys below it do.
async function keysIn(root: Root, folder: string): Promise<string[]> {
  const path = join(root.path, folder.slice(0, -1));
  if (!(await isFolder(root, path))) return [];
  const entries = (await tolerate(MISSING, readdir(path, { withFileTypes: true }))) ?? [];
  // What has no key, such as `lost+found`, is not in the bank.
  return entries
    .filter((entry) => isBankKey(folder + entry.name))
    .map((entry) => folder + entry.name + (entry.isDirectory() ? '/' : ''))
    .sort()
    .reverse();
}
