import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createEngine, defineProvider, type Engine, type Provider } from 'fafnir';
import { filesystemBank } from 'fafnir/banks/filesystem';
import { createKeyFile, keyFile } from 'fafnir/keys/file';
import { local } from 'fafnir/providers/local';
import { sqliteStore } from 'fafnir/stores/sqlite';
import { directory, keyPath, paths } from './settings.ts';

const bank = filesystemBank(paths.bank);
const banks = [{ bank, keys: keyFile({ path: keyPath }), role: 'primary' as const }];

/** The site that is protected, and lost. */
export const siteA: Provider = defineProvider({
  name: 'site-a',
  site: 'a',
  parts: [local({ root: paths.siteA })],
  banks,
});

/** The site that is restored to. */
export const siteB: Provider = defineProvider({
  name: 'site-b',
  site: 'b',
  parts: [local({ root: paths.siteB })],
  banks,
});

/** Who acts. */
export const identity = { tenant: 'acme', actor: 'demo' } as const;

/** Makes the key file where there is none yet. */
export async function makeKeys(): Promise<void> {
  await mkdir(directory, { recursive: true });
  if (!existsSync(keyPath)) await createKeyFile({ path: keyPath });
}

/** Starts an engine for both sites; jobs and plans are kept in SQLite. */
export function startEngine(): Promise<Engine> {
  return createEngine({ store: sqliteStore(join(paths.store, 'fafnir.db')), providers: [siteA, siteB] });
}

/** Bytes of all objects in the bank. */
export async function bytesInBank(): Promise<number> {
  let bytes = 0;
  const { signal } = new AbortController();
  for await (const { size } of bank.list('', { signal })) bytes += size;
  return bytes;
}
