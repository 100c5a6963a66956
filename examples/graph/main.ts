// Draws an application, changes it between a preview and its run, and shows what that means.
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createEngine,
  defineProvider,
  describeDifference,
  difference,
  ResourceGraph,
  type ResourceKey,
} from 'fafnir';
import { filesystemBank } from 'fafnir/banks/filesystem';
import { createKeyFile, keyFile } from 'fafnir/keys/file';
import { toMermaid, toSvg } from 'fafnir/pictures';
import { local } from 'fafnir/providers/local';
import { sqliteStore } from 'fafnir/stores/sqlite';
import { addLogVolume, makeShop } from './make-shop.ts';

const directory = process.argv[2] ?? (await mkdtemp(join(tmpdir(), 'fafnir-')));
const site = join(directory, 'site');
await makeShop(site);

const bank = filesystemBank(join(directory, 'bank'));
const path = join(directory, 'keys.json');
await createKeyFile({ path });
const banks = [{ bank, keys: keyFile({ path }), role: 'primary' as const }];
const gold = defineProvider({ name: 'gold', site: 'a', parts: [local({ root: site })], banks });
const store = sqliteStore(join(directory, 'fafnir.db'));
await using engine = await createEngine({ store, providers: [gold] });
const acme = engine.for({ tenant: 'acme', actor: 'me' });

// The application without what nobody needs again, as it is now.
const plan = await acme.plans.create({
  name: 'shop',
  provider: 'gold',
  resources: [{ type: 'Local::Application', id: 'shop' }],
  exclude: [{ type: 'Local::Volume', name: '*-scratch' }],
});
console.log(toMermaid(await acme.plans.graph(plan.id)));

// It changes after it was previewed. More is fine; less has to be looked at.
const preview = await acme.preview.protect(plan.id);
await addLogVolume(site);
const job = await acme.run(preview, {
  accept: (drift) => {
    console.log(`since the preview: ${describeDifference(drift)}`);
    return drift.gone.length === 0;
  },
});
const { checkpoint } = await job.result();

// What the checkpoint holds, with what was not there when it was previewed.
const previewed = ResourceGraph.from(preview.graph);
const made = await acme.checkpoints.graph(checkpoint);
const states = (key: ResourceKey): string => (previewed.position(key) === undefined ? 'new' : 'done');
const picture = join(directory, 'shop.svg');
await writeFile(picture, toSvg(made, { states }));
console.log(`checkpoint ${checkpoint} is drawn in ${picture}`);

const drift = difference(made, await acme.plans.graph(plan.id));
console.log(`since the checkpoint: ${describeDifference(drift)}`);
