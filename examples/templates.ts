import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine, defineProvider, FafnirError, type TemplateRequest } from 'fafnir';
import { filesystemBank } from 'fafnir/banks/filesystem';
import { createKeyFile, keyFile } from 'fafnir/keys/file';
import { local } from 'fafnir/providers/local';
import { sqliteStore } from 'fafnir/stores/sqlite';

// An application of one volume, a provider for the directory that it lives in, and one for another place.
const directory = process.argv[2] ?? (await mkdtemp(join(tmpdir(), 'fafnir-')));
const root = join(directory, 'a');
await mkdir(join(root, 'volumes'), { recursive: true });
await writeFile(join(root, 'volumes', 'disk.raw'), 'hello '.repeat(100_000));
await createKeyFile({ path: join(directory, 'keys.json') });
const keys = keyFile({ path: join(directory, 'keys.json') });
const banks = [{ bank: filesystemBank(join(directory, 'bank')), keys, role: 'primary' as const }];
const gold = defineProvider({ name: 'gold', site: 'a', parts: [local({ root })], banks });
const other = local({ root: join(directory, 'b') });
const silver = defineProvider({ name: 'silver', site: 'b', parts: [other], banks });

// What the host offers to every tenant: a check of a share of what is there.
const check: TemplateRequest = {
  name: 'check',
  description: 'Reads a share of the newest checkpoint.',
  operation: { name: 'verify', options: { level: 'deep', sample: { $parameter: 'share' } } },
  parameters: { share: { type: 'number', description: 'Above 0 and up to 1.', default: 0.1 } },
};
// And a way back, for which nobody has to know the options of a restore.
const back: TemplateRequest = {
  name: 'back',
  operation: { name: 'restore', options: { to: { $parameter: 'to' }, conflict: 'rename' } },
  parameters: { to: { type: 'text', choices: ['gold', 'silver'], default: 'silver' } },
};
const store = sqliteStore(join(directory, 'fafnir.db'));
await using engine = await createEngine({ store, providers: [gold, silver], templates: [check, back] });
const acme = engine.for({ tenant: 'acme', actor: 'me' });
const resources = [{ type: 'Local::Volume', id: 'disk' }];
const plan = await acme.plans.create({ name: 'disk', provider: 'gold', resources });

// What the tenant writes for itself.
await acme.templates.put({
  name: 'save',
  operation: { name: 'protect', options: { pauseMilliseconds: { $parameter: 'pause' } } },
  parameters: { pause: { type: 'number', choices: [1_000, 5_000] } },
});
for await (const { name, origin, parameters } of acme.templates.list()) {
  console.log(`${origin}: ${name} (${Object.keys(parameters).join(', ')})`);
}

try {
  await acme.templates.run('save', { plan: plan.id });
} catch (error) {
  if (!FafnirError.is(error, 'INVALID_OPTIONS')) throw error;
  console.log(error.message);
}
const saved = await acme.templates.run('save', { plan: plan.id, arguments: { pause: 1_000 } });
await saved.result();
for await (const { id: checkpoint } of acme.checkpoints.list({ plan: plan.id })) {
  await (await acme.templates.run('back', { checkpoint })).result();
}

// A schedule can name a template as well; here it is fired by an event.
const operation = { template: 'check', arguments: { share: 1 } };
const weekly = await acme.schedules.create({ plan: plan.id, operation });
const tick = await acme.schedules.fire(weekly.id, { event: 'after upgrade 7' });
if (tick.state === 'fired') await acme.jobs.handle(tick.job).result();
for await (const { operation, template, state } of acme.jobs.list()) {
  console.log(`${operation} from ${template?.name}: ${state}`);
}
