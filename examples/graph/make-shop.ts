import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const size = { cpus: 2, memory: 2 * 1024 ** 3 };

const RECORDS: Readonly<Record<string, object>> = {
  'applications/shop': { name: 'Shop', servers: ['web', 'db'] },
  'servers/web': {
    name: 'Web server',
    size,
    networks: [{ network: 'back', address: '10.2.0.10' }],
    volumes: [{ volume: 'web-root' }],
  },
  'servers/db': {
    name: 'Database',
    size,
    networks: [{ network: 'back', address: '10.2.0.20' }],
    volumes: [{ volume: 'db-data' }, { volume: 'db-scratch' }],
  },
  'networks/back': { name: 'Back', cidr: '10.2.0.0/24' },
};

/** Makes an application of two servers. The system that it lives in is a directory. */
export async function makeShop(site: string): Promise<void> {
  for (const [name, record] of Object.entries(RECORDS)) await writeRecord(site, name, record);
  for (const volume of ['web-root', 'db-data', 'db-scratch']) await makeVolume(site, volume);
}

/** Gives the database one more volume. */
export async function addLogVolume(site: string): Promise<void> {
  await makeVolume(site, 'db-logs');
  const server = JSON.parse(await readFile(join(site, 'servers', 'db.json'), 'utf8'));
  await writeRecord(site, 'servers/db', { ...server, volumes: [...server.volumes, { volume: 'db-logs' }] });
}

async function writeRecord(site: string, name: string, record: object): Promise<void> {
  const file = join(site, `${name}.json`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify(record));
}

async function makeVolume(site: string, id: string): Promise<void> {
  const file = join(site, 'volumes', `${id}.raw`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `this is ${id}\n`);
  await truncate(file, 1024 ** 2);
}
