import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cinderArray } from '../../../src/arrays/cinder.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type { ResourceKey } from '../../../src/core/contracts/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { pattern } from '../../../src/testing/storage-array/helpers.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { newProject, type Project } from './project.ts';
import { differences, edgesOf, graphOf, removeRestored, resourcesOf } from './restored.ts';
import { makeShop, type Shop } from './shop.ts';

const { openstack, skipped } = openStackLab();
const MINUTES = 40 * 60_000;
const MIB = 2 ** 20;
const PROJECT = 'OS::Keystone::Project';
const VOLUME = 'OS::Cinder::Volume';
const newCall = () => ({ signal: new AbortController().signal });

if (openstack === undefined)
  describe.skip(`an application of OpenStack (${skipped})`, () => test('needs the lab', () => undefined));
else describe('an application of OpenStack', () => suite(openstack));

function suite(lab: OpenStack): void {
  // Another cloud has another Keystone, and other ids for all that both have.
  const clouds = [lab, lab.other ?? []].flat();
  let source: Project;
  let destinations: readonly Project[];
  let shop: Shop;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fafnir-restore-'));
    source = await newProject(lab);
    destinations = await Promise.all(clouds.map(newProject));
    shop = await makeShop(source, lab);
  }, MINUTES);
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
    for (const destination of destinations) await destination.end();
    await source.end();
  }, MINUTES);

  const fileOf = (volume: string, { files }: OpenStack = lab): string => join(files, `volume-${volume}`);
  const write = async (volume: string, seed: number): Promise<void> => {
    await using file = await open(fileOf(volume), 'r+');
    const bytes = pattern(MIB, seed);
    for (const offset of [0, 700 * MIB + seed]) await file.write(bytes, 0, bytes.length, offset);
    await file.sync();
  };

  const providerOf = (name: string, { client }: Project, { files }: OpenStack) => {
    const paths = [{ kind: 'files', folder: files }] as const;
    const array = cinderArray({ name: 'cinder', client, volumeType: 'file', paths });
    const protectables = openStackResources({ client });
    return {
      name,
      site: name,
      parts: [{ contract: 1 as const, name: 'cloud', protectables, arrays: [array] }],
    };
  };

  test(
    `is protected, restored into another project${lab.other ? ', and into another cloud' : ''}, and equal there, with the same bytes`,
    async () => {
      const tiers = [shop.web, shop.app, shop.db];
      const volumes = tiers.flatMap(({ root, data }) => [root, data]);
      for (const [at, volume] of volumes.entries()) await write(volume, at + 1);

      const bank = filesystemBank(directory);
      const banks = [{ bank, keys: memoryKeys(), role: 'primary' as const }];
      const more = { banks, strategies: [volumeSnapshot()] };
      const places = clouds.map((cloud, at) => {
        const [name, destination = expect.fail()] = [`to-${at}`, destinations[at]];
        return { name, cloud, destination };
      });
      const providers = [
        defineProvider({ ...providerOf('from', source, lab), ...more }),
        ...places.map(({ name, destination, cloud }) =>
          defineProvider({ ...providerOf(name, destination, cloud), ...more }),
        ),
      ];
      await using engine = await createEngine({ store: memoryStore(), providers });
      const acme = engine.for({ tenant: 'acme', actor: 'test' });
      const resources = [{ type: PROJECT, id: source.id }];
      const plan = await acme.plans.create({ name: 'shop', provider: 'from', resources });
      const { checkpoint } = await (await acme.protect(plan.id)).result();

      for (const { name: to, cloud, destination } of places) {
        const empty = await graphOf(destination);
        const names = { flavor: { small: 'tiny' } };
        const refused = await acme.restore(checkpoint, { to, map: { names } });
        await expect(refused.result()).rejects.toMatchObject({
          code: 'MAPPING_GAP',
          message: expect.stringContaining('flavor small'),
        });
        expect(edgesOf(await graphOf(destination), ({ id }) => id)).toEqual(edgesOf(empty, ({ id }) => id));

        const job = await acme.restore(checkpoint, { to });
        expect(await job.result()).toMatchObject({ volumes: 6 });
        const made: { from: ResourceKey; to: ResourceKey }[] = [];
        for await (const standIn of acme.jobs.standIns(job.id)) made.push(standIn);
        expect(await differences(source, destination, made)).toEqual([]);
        const words = new Map(made.map(({ from, to }) => [from.id, to.id]));
        for (const id of volumes)
          await promisify(execFile)('cmp', [fileOf(id), fileOf(words.get(id) ?? '', cloud)]);

        await removeRestored(destination);
        const left = await graphOf(destination);
        expect(edgesOf(left, ({ id }) => id)).toEqual(edgesOf(empty, ({ id }) => id));
        expect(await idsOf(destination, VOLUME)).toEqual([]);
      }
      await (await acme.remove(checkpoint)).result();
    },
    MINUTES,
  );

  const idsOf = async (project: Project, type: string): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of resourcesOf(project).get(type)?.list(newCall()) ?? []) ids.push(id);
    return ids;
  };
}
