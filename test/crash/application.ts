import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const KIBIBYTE = 1024;

/** Where a plan of the application begins. */
export const ROOTS = [{ type: 'Local::Application', id: 'shop' }] as const;

/** Its volumes, with their sizes; small, for they are copied and compared for every death. */
export const VOLUMES: Readonly<Record<string, number>> = {
  'web-root': 1024 * KIBIBYTE,
  'db-root': 1100 * KIBIBYTE,
  'db-data': 2048 * KIBIBYTE,
};

/** Resources of the application. */
export const RESOURCES: number = 4 + Object.keys(VOLUMES).length;

const server = (name: string, address: string, volumes: readonly string[]): object => ({
  name,
  size: { cpus: 1, memory: 512 * KIBIBYTE * KIBIBYTE },
  networks: [{ network: 'net', address }],
  volumes: volumes.map((volume, bootOrder) => ({ volume, bootOrder })),
  metadata: {},
});

/** Writes two servers on a network, with three volumes. */
export async function writeApplication(root: string): Promise<void> {
  const records: Record<string, object> = {
    'applications/shop': { name: 'shop', servers: ['web', 'db'] },
    'servers/web': server('web', '10.0.0.10', ['web-root']),
    'servers/db': server('db', '10.0.0.20', ['db-root', 'db-data']),
    'networks/net': { name: 'net', cidr: '10.0.0.0/24' },
  };
  for (const [name, record] of Object.entries(records)) {
    await mkdir(join(root, name, '..'), { recursive: true });
    await writeFile(join(root, `${name}.json`), JSON.stringify(record));
  }
  await mkdir(join(root, 'volumes'), { recursive: true });
  for (const [id, size] of Object.entries(VOLUMES)) {
    await using file = await open(join(root, 'volumes', `${id}.raw`), 'w');
    await file.truncate(size);
    await file.write(noise(id, 60_001), 0, 60_001, 777);
    await file.write(noise(`${id} end`, 4_096), 0, 4_096, size - 4_096);
  }
}

/** Changes some bytes of two of the volumes in place. */
export async function changeApplication(root: string, time: number): Promise<void> {
  for (const id of ['web-root', 'db-data']) {
    await using file = await open(join(root, 'volumes', `${id}.raw`), 'r+');
    await file.write(noise(`${id} changed ${time}`, 5_000), 0, 5_000, 40_000);
  }
}

// The same in every run, so that the numbers of boundaries are.
const noise = (seed: string, length: number): Buffer =>
  createHash('shake256', { outputLength: length }).update(seed).digest();

/** The digest of every file below a folder, by its path from there; empty where there is no folder. */
export async function filesBelow(folder: string): Promise<Readonly<Record<string, string>>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[path.slice(folder.length + 1)] = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  }
  return files;
}

/** The digest of each volume of a site, by id. */
export async function volumesOf(site: string): Promise<Readonly<Record<string, string>>> {
  const files = Object.entries(await filesBelow(join(site, 'volumes')));
  return Object.fromEntries(
    files.flatMap(([path, digest]) =>
      path.endsWith('.raw') ? [[path.slice(0, -'.raw'.length), digest]] : [],
    ),
  );
}
