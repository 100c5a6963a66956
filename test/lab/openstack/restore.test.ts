import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cinderArray } from '../../../src/arrays/cinder.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type { JsonObject, Protectable, ResourceKey } from '../../../src/core/contracts/index.ts';
import { discover } from '../../../src/core/graph/discover.ts';
import type { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { pattern } from '../../../src/testing/storage-array/helpers.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { newProject, type Project } from './project.ts';
import { makeShop, type Shop } from './shop.ts';

const { openstack, skipped } = openStackLab();
const MINUTES = 40 * 60_000;
const MIB = 2 ** 20;
const PROJECT = 'OS::Keystone::Project';
const SERVER = 'OS::Nova::Server';
const VOLUME = 'OS::Cinder::Volume';
const newCall = () => ({ signal: new AbortController().signal });

if (openstack === undefined)
  describe.skip(`an application of OpenStack (${skipped})`, () => test('needs the lab', () => undefined));
else describe('an application of OpenStack', () => suite(openstack));

function suite(lab: OpenStack): void {
  let source: Project;
  let destination: Project;
  let shop: Shop;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fafnir-restore-'));
    source = await newProject(lab);
    destination = await newProject(lab);
    shop = await makeShop(source, lab);
  }, MINUTES);
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
    await destination.end();
    await source.end();
  }, MINUTES);

  const fileOf = (volume: string): string => join(lab.files, `volume-${volume}`);
  const write = async (volume: string, seed: number): Promise<void> => {
    await using file = await open(fileOf(volume), 'r+');
    const bytes = pattern(MIB, seed);
    for (const offset of [0, 700 * MIB + seed]) await file.write(bytes, 0, bytes.length, offset);
    await file.sync();
  };

  const resourcesOf = ({ client }: Project): ReadonlyMap<string, Protectable> =>
    new Map(openStackResources({ client }).map((one) => [one.type, one]));
  const graphOf = (project: Project): Promise<ResourceGraph> =>
    discover({ roots: [{ type: PROJECT, id: project.id }], protectables: resourcesOf(project) }, newCall());
  const capture = async (project: Project, { type, id }: ResourceKey): Promise<JsonObject> =>
    (await resourcesOf(project).get(type)?.capture({ type, id }, newCall())) ?? {};
  const providerOf = (name: string, { client }: Project) => {
    const paths = [{ kind: 'files', folder: lab.files }] as const;
    const array = cinderArray({ name: 'cinder', client, volumeType: 'file', paths });
    const protectables = openStackResources({ client });
    return {
      name,
      site: name,
      parts: [{ contract: 1 as const, name: 'cloud', protectables, arrays: [array] }],
    };
  };

  /** Who depends on what, by the names that are given to both. */
  const edgesOf = (graph: ResourceGraph, nameOf: (key: ResourceKey) => string): string[] =>
    graph.resources
      .flatMap((from, at) =>
        [...graph.dependencies(at)].map((to) => {
          const target = graph.resources[to];
          return `${nameOf(from)} > ${target === undefined ? '' : nameOf(target)}`;
        }),
      )
      .toSorted();

  test(
    'is protected, restored into another project, and equal there, with the same bytes',
    async () => {
      const tiers = [shop.web, shop.app, shop.db];
      const volumes = tiers.flatMap(({ root, data }) => [root, data]);
      for (const [at, volume] of volumes.entries()) await write(volume, at + 1);
      const empty = await graphOf(destination);

      const bank = filesystemBank(directory);
      const banks = [{ bank, keys: memoryKeys(), role: 'primary' as const }];
      const more = { banks, strategies: [volumeSnapshot()] };
      const providers = [
        defineProvider({ ...providerOf('a', source), ...more }),
        defineProvider({ ...providerOf('b', destination), ...more }),
      ];
      await using engine = await createEngine({ store: memoryStore(), providers });
      const acme = engine.for({ tenant: 'acme', actor: 'test' });
      const resources = [{ type: PROJECT, id: source.id }];
      const plan = await acme.plans.create({ name: 'shop', provider: 'a', resources });
      const { checkpoint } = await (await acme.protect(plan.id)).result();
      const before = await graphOf(source);

      const names = { flavor: { small: 'tiny' } };
      const refused = await acme.restore(checkpoint, { to: 'b', map: { names } });
      await expect(refused.result()).rejects.toMatchObject({
        code: 'MAPPING_GAP',
        message: expect.stringContaining('flavor small'),
      });
      expect(edgesOf(await graphOf(destination), ({ id }) => id)).toEqual(edgesOf(empty, ({ id }) => id));

      const job = await acme.restore(checkpoint, { to: 'b' });
      expect(await job.result()).toMatchObject({ volumes: 6 });
      const made: { from: ResourceKey; to: ResourceKey }[] = [];
      for await (const standIn of acme.jobs.standIns(job.id)) made.push(standIn);
      // All that was made says by which token it goes.
      const removals: { readonly type: string; readonly token: string }[] = [];
      for (const { to } of made.toReversed()) {
        const text = JSON.stringify(await capture(destination, to));
        // A server also names its key pair, which ends with another token.
        const [, token] = IN_METADATA.exec(text) ?? IN_WORDS.exec(text) ?? [];
        if (token !== undefined) removals.push({ type: to.type, token });
      }
      const undo = async (): Promise<void> => {
        for (const { type, token } of removals)
          await resourcesOf(destination).get(type)?.remove({ token }, newCall());
      };
      destination.atEnd(undo);
      const ids = new Map(made.map(({ from, to }) => [`${from.type}/${from.id}`, to.id]));
      const standIn = ({ type, id }: ResourceKey): string => `${type}/${ids.get(`${type}/${id}`) ?? '?'}`;
      const after = await graphOf(destination);
      expect(edgesOf(after, ({ type, id }) => `${type}/${id}`)).toEqual(edgesOf(before, standIn));

      const words = new Map(made.map(({ from, to }) => [from.id, to.id]));
      const translated = (value: JsonObject): JsonObject =>
        JSON.parse(JSON.stringify(value), (_, one) => words.get(one) ?? one);
      for (const { id } of tiers) {
        const there = { type: SERVER, id: words.get(id) ?? '' };
        const expected = translated(await capture(source, { type: SERVER, id }));
        expect(await capture(destination, there)).toEqual({
          ...expected,
          metadata: { ...(expected.metadata as JsonObject), 'fafnir-token': expect.any(String) },
        });
      }
      for (const id of volumes) await sameBytes(id, words.get(id) ?? '');

      await undo();
      const left = await graphOf(destination);
      expect(edgesOf(left, ({ id }) => id)).toEqual(edgesOf(empty, ({ id }) => id));
      expect(await idsOf(destination, VOLUME)).toEqual([]);
      await (await acme.remove(checkpoint)).result();
    },
    MINUTES,
  );

  const idsOf = async (project: Project, type: string): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of resourcesOf(project).get(type)?.list(newCall()) ?? []) ids.push(id);
    return ids;
  };
  const sameBytes = async (one: string, other: string): Promise<void> => {
    await promisify(execFile)('cmp', [fileOf(one), fileOf(other)]);
  };
}

const IN_METADATA = /fafnir-token":"([a-f0-9]{32})"/;
const IN_WORDS = /-([a-f0-9]{32})\b/;
