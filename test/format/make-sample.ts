// Makes the bank in `sample/`, with the engine and the providers of everybody: `node test/format/make-sample.ts`. It was
// made once. Later versions must read it as it is, so this refuses to make it again.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { parseCheckpointId } from '../../src/core/identity.ts';
import { createEngine, defineProvider } from '../../src/index.ts';
import { createKeyFile, keyFile } from '../../src/keys/file.ts';
import { local } from '../../src/providers/local.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { noise } from '../core/archive/volume/sparse.ts';
import { temporaryDirectory } from '../core/engine/application.ts';
import {
  type Expected,
  type ExpectedCheckpoint,
  type ExpectedVolume,
  expectedGraphOf,
} from './frozen-bank.ts';

const CHUNK = 256 * 1024;
const TENANT = 'acme';
const BANK = 'sample';
const VOLUMES = ['disk', 'log'];

const target = join(import.meta.dirname, 'sample');
if (existsSync(target)) throw new Error(`${target} is there already, and frozen`);

await using directory = await temporaryDirectory();
const site = join(directory.path, 'site');
const volumePath = (id: string): string => join(site, 'volumes', `${id}.raw`);

async function makeSite(): Promise<void> {
  const servers = ['web', 'db'];
  const size = { cpus: 1, memory: 512 * 1024 * 1024 };
  const networks = [{ network: 'front', address: '10.0.1.10' }];
  const records = {
    'applications/shop': { name: 'shop', servers },
    'servers/web': { name: 'web', size, networks, volumes: [{ volume: 'disk' }] },
    'servers/db': { name: 'db', size, networks: [], volumes: [{ volume: 'log' }] },
    'networks/front': { name: 'front', cidr: '10.0.1.0/24' },
  };
  for (const folder of ['applications', 'servers', 'networks', 'volumes'])
    await mkdir(join(site, folder), { recursive: true });
  for (const [name, record] of Object.entries(records))
    await writeFile(join(site, `${name}.json`), JSON.stringify(record));
  // Text that compresses to nearly nothing, a hole, and a short last chunk that does not compress.
  await writeChunks('disk', [0, 1, 2, 3, 8, 9]);
  await writeAt('disk', 12 * CHUNK, noise(1_000, 1));
  await writeChunks('log', [0]);
  await writeAt('log', 5 * CHUNK, new Uint8Array(1));
}

const writeChunks = async (id: string, numbers: readonly number[], word = 'sample'): Promise<void> => {
  for (const number of numbers)
    await writeAt(id, number * CHUNK, Buffer.alloc(CHUNK, `${word} ${number % 8};`));
};

async function writeAt(id: string, offset: number, bytes: Uint8Array): Promise<void> {
  await using file = await open(volumePath(id), existsSync(volumePath(id)) ? 'r+' : 'w');
  await file.write(bytes, 0, bytes.length, offset);
}

await makeSite();
const keyPath = join(directory.path, 'keys.json');
await createKeyFile({ path: keyPath });
const bank = filesystemBank({ root: join(directory.path, 'bank'), name: BANK });
const banks = [{ bank, keys: keyFile({ path: keyPath }), role: 'primary' as const }];
const provider = defineProvider({ name: 'gold', site: 'a', parts: [local({ root: site })], banks });
await using engine = await createEngine({
  store: memoryStore(),
  providers: [provider],
  archive: { workers: 0, chunkSize: CHUNK },
});
const acme = engine.for({ tenant: TENANT, actor: 'sample' });
const resources = [{ type: 'Local::Application', id: 'shop' }];
const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources });

/** What must be read of a checkpoint for ever. The digests are of the volumes themselves. */
async function protect(): Promise<ExpectedCheckpoint> {
  const { checkpoint: id } = await (await acme.protect(plan.id)).result();
  const { commit, state } = await acme.checkpoints.get(id);
  const volumes: ExpectedVolume[] = [];
  for (const volume of VOLUMES) {
    const bytes = await readFile(volumePath(volume));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    volumes.push({ type: 'Local::Volume', id: volume, proof: 'read-back', size: bytes.length, sha256 });
  }
  const graph = expectedGraphOf(await acme.checkpoints.graph(id));
  return { id, plan: plan.id, createdAt: commit.createdAt, state, graph, volumes };
}

const first = await protect();
await writeChunks('disk', [2, 5], 'change');
const second = await protect();
await writeChunks('log', [3], 'removed');
const third = await protect();
await (await acme.verify(parseCheckpointId(second.id))).result();
await (await acme.remove(parseCheckpointId(third.id))).result();

const expected: Expected = {
  tenant: TENANT,
  bank: BANK,
  checkpoints: [first, second, { ...third, state: 'removed', volumes: [] }],
};
await mkdir(target);
await writeFile(join(target, 'expected.json'), `${JSON.stringify(expected, null, 2)}\n`);
await cp(keyPath, join(target, 'keys.json'));
await cp(join(directory.path, 'bank', TENANT), join(target, 'bank', TENANT), { recursive: true });
