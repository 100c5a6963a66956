import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { type Bank, FafnirError } from '../../src/index.ts';
import { all } from '../core/engine/world.ts';

const live = { signal: new AbortController().signal };

/**
 * A bank in a folder whose objects can be locked: until when lies in another folder, and goes by the machine's clock. It
 * keeps nobody away from the files, but whoever asks the bank.
 */
export function lockingBank(paths: { readonly bank: string; readonly locks: string }): Bank {
  const bank = filesystemBank(paths.bank);
  const fileOf = (key: string): string => join(paths.locks, encodeURIComponent(key));
  const lockedUntil = async (key: string): Promise<number> => {
    try {
      return Number(await readFile(fileOf(key), 'utf8'));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
      throw error;
    }
  };
  const lock = async (key: string, until: number): Promise<void> => {
    if ((await lockedUntil(key)) >= until) return;
    await mkdir(paths.locks, { recursive: true });
    const temporary = `${fileOf(key)}~${process.pid}`;
    await writeFile(temporary, String(until));
    await rename(temporary, fileOf(key));
  };
  return {
    contract: 1,
    name: bank.name,
    capabilities: Object.freeze({ ...bank.capabilities, locks: true }),
    get: (key, read, call) => bank.get(key, read, call),
    head: (key, call) => bank.head(key, call),
    list: (prefix, call) => bank.list(prefix, call),
    async put(key, body, { retainUntil, ...options }) {
      // All that is put here is created, so what is locked already is just this.
      if (retainUntil !== undefined && (await bank.head(key, options)) === undefined)
        await lock(key, retainUntil);
      return bank.put(key, body, options);
    },
    async remove(keys, call) {
      const untils = await Promise.all(keys.map(lockedUntil));
      const free = keys.filter((_, at) => (untils[at] ?? 0) <= Date.now());
      await bank.remove(free, call);
      if (free.length < keys.length) throw new FafnirError('LOCKED', 'some of the objects are locked');
    },
    async extend(keys, until, call) {
      for (const key of keys) {
        if ((await bank.head(key, call)) === undefined)
          throw new FafnirError('NOT_FOUND', `no object ${key}`);
        await lock(key, until);
      }
    },
  };
}

/** Takes away whatever nobody has locked, as one would who has the credentials of the bank. */
export async function plunder(bank: Bank): Promise<void> {
  for (const { key } of await all(bank.list('', live))) {
    await bank.remove([key], live).catch((error: unknown) => {
      if (!FafnirError.is(error, 'LOCKED')) throw error;
    });
  }
}
