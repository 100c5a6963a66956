// The volume that a protected server starts from becomes an image of Glance, from which new servers start.
// `node examples/openstack-template.ts settings.json SERVER`
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createEngine, defineProvider } from 'fafnir';
import { type CinderArrayOptions, cinderArray } from 'fafnir/arrays/cinder';
import { type SwiftBankOptions, swiftBank } from 'fafnir/banks/swift';
import { retried } from 'fafnir/banks/wrappers';
import { type OpenStackOptions, openStackClient } from 'fafnir/clients/openstack';
import { createKeyFile, keyFile } from 'fafnir/keys/file';
import { openStackResources, uploadTemplate } from 'fafnir/resources/openstack';
import { sqliteStore } from 'fafnir/stores/sqlite';
import { volumeSnapshot } from 'fafnir/strategies/volume-snapshot';

/** The project, how the bytes of its volumes are reached, and where archives go. */
interface Settings {
  readonly directory: string;
  readonly from: OpenStackOptions;
  readonly volumes: Pick<CinderArrayOptions, 'volumeType' | 'paths'>;
  readonly swift: Omit<SwiftBankOptions, 'name'>;
}

const [settingsPath = 'settings.json', server = ''] = process.argv.slice(2);
const { directory, from, volumes, swift }: Settings = JSON.parse(await readFile(settingsPath, 'utf8'));
await mkdir(directory, { recursive: true });
const path = join(directory, 'keys.json');
if (!existsSync(path)) await createKeyFile({ path });

await using client = openStackClient(from);
const protectables = openStackResources({ client });
const arrays = [cinderArray({ name: 'cinder', client, ...volumes })];
const bank = retried(swiftBank({ name: 'swift', ...swift }));
const cloud = defineProvider({
  name: 'cloud',
  site: 'cloud',
  parts: [{ contract: 1, name: 'openstack', protectables, arrays }],
  strategies: [volumeSnapshot()],
  banks: [{ bank, keys: keyFile({ path }), role: 'primary' }],
});
await using engine = await createEngine({
  store: sqliteStore(join(directory, 'jobs.db')),
  providers: [cloud],
});
const acme = engine.for({ tenant: 'acme', actor: 'example' });
const resources = [{ type: 'OS::Nova::Server', id: server }];
const plan = await acme.plans.create({ name: `template of ${server}`, provider: 'cloud', resources });
const { checkpoint } = await (await acme.protect(plan.id)).result();

// The first volume that servers can start from.
const { artifacts } = await acme.checkpoints.get(checkpoint);
const root = artifacts.find(({ volume, description }) => volume && description.bootable === 'true');
if (root?.volume === undefined || root.volume === null)
  throw new Error(`server ${server} starts from no volume`);
await using source = await acme.checkpoints.open(checkpoint, root.volume.volume);
const { image } = await uploadTemplate(source, {
  client,
  name: `template of ${server}`,
  token: checkpoint,
  volume: root.description,
});
console.log(
  `image ${image} has the bytes of volume ${root.resource.id} as they were at checkpoint ${checkpoint}`,
);
