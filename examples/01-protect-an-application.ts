import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine, defineProvider } from 'fafnir';
import { filesystemBank } from 'fafnir/banks/filesystem';
import { createKeyFile, keyFile } from 'fafnir/keys/file';
import { local } from 'fafnir/providers/local';
import { sqliteStore } from 'fafnir/stores/sqlite';

// A tiny application: a server with a volume. The system that it lives in is a directory here.
const directory = process.argv[2] ?? (await mkdtemp(join(tmpdir(), 'fafnir-')));
const [a, b] = [join(directory, 'a'), join(directory, 'b')];
for (const folder of ['applications', 'servers', 'volumes'])
  await mkdir(join(a, folder), { recursive: true });
await writeFile(join(a, 'applications', 'shop.json'), JSON.stringify({ name: 'shop', servers: ['web'] }));
const size = { cpus: 1, memory: 1024 ** 3 };
const server = { name: 'web', size, networks: [], volumes: [{ volume: 'disk' }] };
await writeFile(join(a, 'servers', 'web.json'), JSON.stringify(server));
await writeFile(join(a, 'volumes', 'disk.raw'), 'hello '.repeat(1_000_000));

// Two providers, one for each system. What is protected goes to the bank, and needs the key file to be read again.
await createKeyFile({ path: join(directory, 'keys.json') });
const keys = keyFile({ path: join(directory, 'keys.json') });
const banks = [{ bank: filesystemBank(join(directory, 'bank')), keys, role: 'primary' as const }];
const gold = defineProvider({ name: 'gold', site: 'a', parts: [local({ root: a })], banks });
const silver = defineProvider({ name: 'silver', site: 'b', parts: [local({ root: b })], banks });
const store = sqliteStore(join(directory, 'fafnir.db'));
await using engine = await createEngine({ store, providers: [gold, silver] });
const acme = engine.for({ tenant: 'acme', actor: 'me' });

// Protect the application with all it depends on.
const resources = [{ type: 'Local::Application', id: 'shop' }];
const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources });
const job = await acme.protect(plan.id);
for await (const event of job.events()) {
  if (event.type === 'job.progress') console.log(`${event.progress.bytes.done} bytes done`);
}
const { checkpoint, bytes } = await job.result();
console.log(`checkpoint ${checkpoint} holds ${bytes} bytes`);

// Lose the volume, and restore the application to the other system.
await rm(join(a, 'volumes', 'disk.raw'));
const restored = await (await acme.restore(checkpoint, { to: 'silver' })).result();
console.log(`restored ${restored.resources} resources, ${restored.bytes} bytes in ${b}`);
