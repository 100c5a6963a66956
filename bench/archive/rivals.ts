import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Archiver, Contender } from './contender.ts';
import { measure, run } from './programs.ts';

/** restic with its own encryption and compression. */
export async function restic(): Promise<Archiver> {
  const [, version = ''] = (await run('restic', ['version'])).split(' ');
  return {
    name: 'restic',
    label: `restic ${version}`,
    async start({ folder, volume }) {
      const repository = join(folder, 'repository');
      const env = {
        RESTIC_REPOSITORY: repository,
        RESTIC_PASSWORD: randomUUID(),
        RESTIC_CACHE_DIR: join(folder, 'cache'),
      };
      await run('restic', ['init', '--quiet', '--repository-version', '2'], { env });
      const backup = ['backup', '--quiet', '--compression', 'auto', volume];
      return {
        folder: repository,
        // Forced where nothing tells that the file is as it was: otherwise its time of change does.
        copy: (changed) =>
          measure('restic', changed === 'unknown' ? [...backup, '--force'] : backup, { env }),
        verify: () => measure('restic', ['check', '--quiet', '--read-data'], { env }),
        restore: async (target) => {
          const path = join(target, volume);
          const script = 'restic restore latest --quiet --target "$1" && sync "$2"';
          return { path, cost: await measure('bash', ['-c', script, 'bash', target, path], { env }) };
        },
      };
    },
  };
}

/** borg with its own encryption, and zstd as it compresses by default. */
export async function borg(): Promise<Archiver> {
  const [, version = ''] = (await run('borg', ['--version'])).trim().split(' ');
  return {
    name: 'borg',
    label: `borg ${version}, zstd`,
    async start({ folder, volume }) {
      const repository = join(folder, 'repository');
      const base = join(folder, 'base');
      await mkdir(base);
      const env = { BORG_REPO: repository, BORG_PASSPHRASE: randomUUID(), BORG_BASE_DIR: base };
      await run('borg', ['init', '--encryption', 'repokey'], { env });
      let count = 0;
      return {
        folder: repository,
        copy: (changed) => {
          count += 1;
          const mode = changed === 'unknown' ? ['--files-cache', 'disabled'] : [];
          return measure('borg', ['create', '--compression', 'zstd', ...mode, `::${count}`, volume], { env });
        },
        verify: () => measure('borg', ['check', '--verify-data'], { env }),
        restore: async (target) => {
          const path = join(target, volume);
          const script = 'borg extract --sparse "$1" && sync "$2"';
          const parameters = ['-c', script, 'bash', `::${count}`, path];
          return { path, cost: await measure('bash', parameters, { env, cwd: target }) };
        },
      };
    },
  };
}

/** What a shell offers: one stream, compressed and encrypted, without a check of what comes back. */
export async function pipeline(): Promise<Contender> {
  const [zstd = ''] = /\d+\.\d+\.\d+/.exec(await run('zstd', ['--version'])) ?? [];
  const [, openssl = ''] = (await run('openssl', ['version'])).split(' ');
  const cipher = 'openssl enc -aes-256-ctr -pbkdf2 -pass env:PASSWORD';
  return {
    name: 'zstd | openssl',
    label: `zstd ${zstd} -1 | openssl ${openssl}`,
    async start({ folder, volume }) {
      const env = { PASSWORD: randomUUID() };
      const stored = join(folder, 'stored');
      const shell = (script: string, path: string) =>
        measure('bash', ['-o', 'pipefail', '-c', script, 'bash', path], { env: { ...env, stored } });
      return {
        copy: () => shell(`zstd -1 -q -c "$1" | ${cipher} -out "$stored" && sync "$stored"`, volume),
        restore: async (target) => {
          const path = join(target, 'restored.img');
          const script = `${cipher} -d -in "$stored" | zstd -d -q --sparse -o "$1" && sync "$1"`;
          return { path, cost: await shell(script, path) };
        },
      };
    },
  };
}

/** The least that can be done. */
export async function plainCopy(): Promise<Contender> {
  const [version = ''] = /\d+\.\d+/.exec(await run('cp', ['--version'])) ?? [];
  return {
    name: 'cp',
    label: `cp ${version}`,
    async start({ folder, volume }) {
      const stored = join(folder, 'stored');
      const copy = (from: string, to: string) =>
        measure('bash', ['-c', 'cp --sparse=always "$1" "$2" && sync "$2"', 'bash', from, to]);
      return {
        copy: () => copy(volume, stored),
        restore: async (target) => {
          const path = join(target, 'restored.img');
          return { path, cost: await copy(stored, path) };
        },
      };
    },
  };
}
