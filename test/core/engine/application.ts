import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEBIBYTE = 1024 * 1024;

/** The roots of a site that `writeShop` fills. */
export const SHOP = [{ type: 'Local::Application', id: 'shop' }] as const;

/** A directory for one test; removed when the test disposes of it. */
export async function temporaryDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'fafnir-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** An application of two servers with three volumes, on two networks, one of which both servers use. */
export async function writeShop(root: string): Promise<void> {
  const records: Record<string, object> = {
    'applications/shop': { name: 'shop', servers: ['web', 'db'] },
    'servers/web': {
      name: 'web',
      size: { cpus: 1, memory: 512 * MEBIBYTE },
      networks: [
        { network: 'front', address: '10.0.1.10' },
        { network: 'back', address: '10.0.2.10' },
      ],
      volumes: [{ volume: 'web-root', bootOrder: 0 }],
      metadata: { tier: 'web' },
    },
    'servers/db': {
      name: 'db',
      size: { cpus: 2, memory: 1024 * MEBIBYTE },
      networks: [{ network: 'back', address: '10.0.2.20' }],
      volumes: [{ volume: 'db-root', bootOrder: 0 }, { volume: 'db-data' }],
      metadata: {},
    },
    'networks/front': { name: 'front', cidr: '10.0.1.0/24' },
    'networks/back': { name: 'back', cidr: '10.0.2.0/24' },
  };
  for (const [name, record] of Object.entries(records)) {
    const file = join(root, `${name}.json`);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, JSON.stringify(record));
  }
  await mkdir(join(root, 'volumes'), { recursive: true });
  for (const volume of ['web-root', 'db-root', 'db-data']) await writeVolume(root, volume, 3.5 * MEBIBYTE);
}

/** Changes fields of a record below a root. */
export async function changeRecord(root: string, record: string, fields: object): Promise<void> {
  const file = join(root, `${record}.json`);
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...fields }));
}

/** A server with a volume and no network. */
export async function writeServer(root: string, id: string, fields: object = {}): Promise<void> {
  await writeVolume(root, `${id}-root`, 3 * MEBIBYTE);
  const volumes = [{ volume: `${id}-root` }];
  const record = { name: id, size: { cpus: 1, memory: 1 }, networks: [], volumes, ...fields };
  await writeFile(join(root, 'servers', `${id}.json`), JSON.stringify(record));
}

/** Some random bytes, a hole, some text: nothing that begins or ends at a round number. */
export async function writeVolume(root: string, id: string, size: number): Promise<void> {
  const file = await open(join(root, 'volumes', `${id}.raw`), 'w');
  try {
    await file.truncate(size);
    await file.write(randomBytes(700_001), 0, 700_001, 333);
    await file.write(`${id} `.repeat(50_000), Math.floor(size / 2) + 17);
    await file.write(randomBytes(4_096), 0, 4_096, size - 4_096);
  } finally {
    await file.close();
  }
}

/** Overwrites a few bytes in place. */
export async function changeVolume(root: string, id: string, offset: number, bytes: string): Promise<void> {
  const file = await open(join(root, 'volumes', `${id}.raw`), 'r+');
  try {
    await file.write(bytes, offset);
  } finally {
    await file.close();
  }
}

/** All bytes of a volume. */
export const readVolume = (root: string, id: string): Promise<Buffer> =>
  readFile(join(root, 'volumes', `${id}.raw`));
