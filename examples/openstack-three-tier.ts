// An application in a project of OpenStack is protected, and made again in another project: networks, routers, security
// groups, key pair, volumes and servers. `node examples/openstack-three-tier.ts settings.json`
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createEngine, defineProvider, type Provider, type RestoreMap } from 'fafnir';
import { type CinderArrayOptions, cinderArray } from 'fafnir/arrays/cinder';
import { type SwiftBankOptions, swiftBank } from 'fafnir/banks/swift';
import { retried } from 'fafnir/banks/wrappers';
import { type OpenStackOptions, openStackClient } from 'fafnir/clients/openstack';
import { createKeyFile, keyFile } from 'fafnir/keys/file';
import { openStackResources } from 'fafnir/resources/openstack';
import { sqliteStore } from 'fafnir/stores/sqlite';
import { volumeSnapshot } from 'fafnir/strategies/volume-snapshot';

/** Two projects, which may be in two clouds; how the bytes of volumes are reached; where archives go. */
interface Settings {
  readonly directory: string;
  readonly from: OpenStackOptions;
  readonly to: OpenStackOptions;
  readonly volumes: Pick<CinderArrayOptions, 'volumeType' | 'paths'>;
  readonly swift: Omit<SwiftBankOptions, 'name'>;
  readonly map?: RestoreMap;
}

const settings: Settings = JSON.parse(await readFile(process.argv[2] ?? 'settings.json', 'utf8'));
const { directory, volumes, map = {} } = settings;
await mkdir(directory, { recursive: true });
const path = join(directory, 'keys.json');
if (!existsSync(path)) await createKeyFile({ path });

const bank = retried(swiftBank({ name: 'swift', ...settings.swift }));
const banks = [{ bank, keys: keyFile({ path }), role: 'primary' as const }];
await using from = openStackClient(settings.from);
await using to = openStackClient(settings.to);
const provider = (name: string, client: typeof from): Provider => {
  const arrays = [cinderArray({ name: 'cinder', client, ...volumes })];
  const part = {
    contract: 1,
    name: 'openstack',
    protectables: openStackResources({ client }),
    arrays,
  } as const;
  return defineProvider({ name, site: name, parts: [part], strategies: [volumeSnapshot()], banks });
};
const providers = [provider('site-a', from), provider('site-b', to)];
await using engine = await createEngine({ store: sqliteStore(join(directory, 'jobs.db')), providers });
const acme = engine.for({ tenant: 'acme', actor: 'example' });

// The project depends on all that it has.
const resources = [{ type: 'OS::Keystone::Project' }];
const plan = await acme.plans.create({ name: 'three-tier', provider: 'site-a', resources });
const application = await acme.plans.graph(plan.id);
console.log(
  `site-a has ${application.resources.length} resources, ${application.edges.from.length} dependencies:`,
);
const types = application.resources.map(({ type }) => type);
for (const type of new Set(types)) console.log(`  ${types.filter((one) => one === type).length} ${type}`);

const { checkpoint } = await (await acme.protect(plan.id)).result();
const { confidence } = await (await acme.verify(checkpoint, { level: 'deep' })).result();
console.log(`protected and verified: ${confidence}`);

const { gaps } = await acme.preview.restore(checkpoint, { to: 'site-b', map });
console.log(`gaps at site-b: ${gaps.length === 0 ? 'none' : gaps.join('; ')}`);
const job = await acme.restore(checkpoint, { to: 'site-b', map });
const restored = await job.result();
console.log(`restored ${restored.resources} resources, ${restored.volumes} volumes`);
for await (const { from: original, to: now } of acme.jobs.standIns(job.id))
  console.log(`  ${original.type} ${original.id} is now ${now.id}`);

// The same application is there now: as many resources of each type, as many dependencies.
const copy = await acme.plans.create({ name: 'copy', provider: 'site-b', resources });
const there = await acme.plans.graph(copy.id);
console.log(`site-b has ${there.resources.length} resources, ${there.edges.from.length} dependencies`);
