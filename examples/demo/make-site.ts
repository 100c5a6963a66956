import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ResourceKey, RestoreMap } from 'fafnir';
import { fillVolume } from './fill-volume.ts';
import { paths, volumeSize } from './settings.ts';

const GIBIBYTE = 1024 ** 3;

/** What the plan begins with. */
export const ROOTS: readonly ResourceKey[] = [{ type: 'Local::Application', id: 'shop' }];

/** The volumes of site A. */
export const VOLUMES: readonly string[] = ['web', 'app', 'db'].flatMap((server) => [
  `${server}-root`,
  `${server}-data`,
]);

/** Site B has a front network of its own, with other addresses; the back network is made again there. */
export const MAP: RestoreMap = {
  resources: [
    { from: { type: 'Local::Network', id: 'front-a' }, to: { type: 'Local::Network', id: 'front-b' } },
  ],
  addresses: { '10.1.0.10': '192.168.7.10', '10.1.0.20': '192.168.7.20' },
};

const volumesOf = (server: string): readonly object[] => [
  { volume: `${server}-root`, bootOrder: 0 },
  { volume: `${server}-data` },
];

const RECORDS_A: Readonly<Record<string, object>> = {
  'applications/shop': { name: 'Shop', servers: ['web', 'app', 'db'] },
  'servers/web': {
    name: 'Web server',
    size: { cpus: 2, memory: 2 * GIBIBYTE },
    networks: [
      { network: 'front-a', address: '10.1.0.10' },
      { network: 'back', address: '10.2.0.10' },
    ],
    volumes: volumesOf('web'),
    metadata: { tier: 'web' },
  },
  'servers/app': {
    name: 'Application server',
    size: { cpus: 4, memory: 4 * GIBIBYTE },
    networks: [
      { network: 'front-a', address: '10.1.0.20' },
      { network: 'back', address: '10.2.0.20' },
    ],
    volumes: volumesOf('app'),
    metadata: { tier: 'application' },
  },
  'servers/db': {
    name: 'Database',
    size: { cpus: 8, memory: 16 * GIBIBYTE },
    networks: [{ network: 'back', address: '10.2.0.30' }],
    volumes: volumesOf('db'),
    metadata: { tier: 'data', engine: 'PostgreSQL' },
  },
  'networks/front-a': { name: 'Front', cidr: '10.1.0.0/24', metadata: { zone: 'public' } },
  'networks/back': { name: 'Back', cidr: '10.2.0.0/24' },
  ...Object.fromEntries(VOLUMES.map((id) => [`volumes/${id}`, { name: id, metadata: { kind: 'ext4' } }])),
};

const RECORDS_B: Readonly<Record<string, object>> = {
  'networks/front-b': { name: 'Front of site B', cidr: '192.168.7.0/24' },
};

/** Makes the application on site A, and on site B the one network that is there before. */
export async function makeSites(): Promise<void> {
  await writeRecords(paths.siteA, RECORDS_A);
  await writeRecords(paths.siteB, RECORDS_B);
  for (const id of VOLUMES) await fillVolume(volumePath(paths.siteA, id), volumeSize, paths.stage);
}

/** Where the bytes of a volume are. */
export const volumePath = (site: string, id: string): string => join(site, 'volumes', `${id}.raw`);

async function writeRecords(site: string, records: Readonly<Record<string, object>>): Promise<void> {
  for (const [name, record] of Object.entries(records)) {
    const file = join(site, `${name}.json`);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, JSON.stringify(record, undefined, 2));
  }
}
