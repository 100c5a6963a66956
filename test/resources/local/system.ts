import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { CallOptions } from '../../../src/core/contracts/index.ts';

/** A call that nobody aborts. */
export const call: CallOptions = { signal: new AbortController().signal };
/** A call that was aborted before it began. */
export const aborted: CallOptions = { signal: AbortSignal.abort(new Error('no longer wanted')) };

/** Tokens of two creations. */
export const token: string = '0123456789abcdef0123456789abcdef';
export const otherToken: string = 'fedcba9876543210fedcba9876543210';

/** A local system in a temporary directory, as its files. */
export interface System {
  readonly root: string;
  write(path: string, content: string | object): Promise<void>;
  volume(id: string, size: number): Promise<void>;
  read(path: string): Promise<unknown>;
  files(folder: string): Promise<string[]>;
}

/** An empty system, removed when the test ends. */
export async function emptySystem(): Promise<System> {
  const root = await mkdtemp(join(tmpdir(), 'fafnir-local-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const write = async (path: string, content: string | object): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), typeof content === 'string' ? content : JSON.stringify(content));
  };
  return {
    root,
    write,
    async volume(id, size) {
      await write(`volumes/${id}.raw`, '');
      await truncate(join(root, `volumes/${id}.raw`), size);
    },
    read: async (path) => JSON.parse(await readFile(join(root, path), 'utf8')),
    files: async (folder) => (await readdir(join(root, folder))).sort(),
  };
}

/** A web shop: one application of two servers, three volumes and one network. */
export async function shopSystem(): Promise<System> {
  const system = await emptySystem();
  await system.write('applications/shop.json', {
    name: 'Shop',
    servers: ['web', 'database'],
    networks: ['front'],
    owner: { team: 'sales' },
  });
  await system.write('servers/web.json', {
    name: 'web server',
    size: { cpus: 2, memory: 2 ** 31 },
    networks: [{ network: 'front', address: '10.0.0.10', port: 'p1' }],
    volumes: [{ volume: 'web-root', bootOrder: 0 }],
    metadata: { role: 'web' },
    keyboard: 'de',
  });
  await system.write('servers/database.json', {
    name: 'database server',
    size: { cpus: 4, memory: 2 ** 33 },
    networks: [{ network: 'front' }],
    volumes: [{ volume: 'db-root', bootOrder: 0 }, { volume: 'db-data' }],
    metadata: {},
  });
  await system.write('networks/front.json', { name: 'front', cidr: '10.0.0.0/24', metadata: { vlan: 7 } });
  await system.volume('web-root', 8192);
  await system.volume('db-root', 4096);
  await system.volume('db-data', 65536);
  await system.write('volumes/db-data.json', { name: 'database files', metadata: { tier: 'fast' } });
  return system;
}

/** The items of a list. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}
