import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../archive/programs.ts';

const LAB = fileURLToPath(new URL('../../.lab/ceph/s3.json', import.meta.url));
const PREFIX = 'bench-';

/** How the pool is reached, as the lab writes it and `rbdArray` takes it. */
export interface PoolAccess {
  /** The pool. */
  readonly pool: string;
  /** The user without `client.`. */
  readonly user: string;
  /** The path of the file with the user's key. */
  readonly keyring: string;
  /** Addresses of monitors. */
  readonly monitors: readonly string[];
}

/** Empty images that go with all that is in them. */
export interface Images extends AsyncDisposable {
  /** Their names. */
  readonly names: readonly string[];
}

/** The pool that `FAFNIR_LAB_CEPH` names, or that of the lab of this checkout. */
export async function findPool(): Promise<PoolAccess> {
  const named = process.env.FAFNIR_LAB_CEPH ?? '';
  const settings = named === '' ? LAB : named;
  if (!existsSync(settings)) {
    const hint = '`npm run lab:ceph` starts one (as root) and prints how FAFNIR_LAB_CEPH names it';
    throw new Error(`no Ceph: there is no ${settings}; ${hint}`);
  }
  return JSON.parse(await readFile(settings, 'utf8')).rbd;
}

/** Runs `rbd` as a shell would; resolves with what it prints. */
export function rbd(access: PoolAccess, ...parameters: readonly string[]): Promise<string> {
  const { user, keyring, monitors } = access;
  const reach = ['--conf', '/dev/null', '--mon-host', monitors.join(','), '--id', user, '--keyring', keyring];
  return run('rbd', [...reach, ...parameters]);
}

/** The version of `rbd`, such as `rbd 16.2.15`. */
export async function versionOf(access: PoolAccess): Promise<string> {
  return `rbd ${/\d+\.\d+\.\d+/.exec(await rbd(access, '--version'))?.[0] ?? ''}`.trim();
}

/** Makes images of so many bytes. */
export async function makeImages(access: PoolAccess, count: number, size: number): Promise<Images> {
  const token = randomUUID().slice(0, 8);
  const names = Array.from({ length: count }, (_, at) => `${PREFIX}${token}-${at}`);
  for (const name of names) await rbd(access, 'create', '--size', `${size}B`, `${access.pool}/${name}`);
  return {
    names,
    async [Symbol.asyncDispose]() {
      for (const name of names) {
        await rbd(access, 'snap', 'purge', '--no-progress', `${access.pool}/${name}`);
        await rbd(access, 'rm', '--no-progress', `${access.pool}/${name}`);
      }
    },
  };
}
