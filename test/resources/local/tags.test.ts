import { describe, expect, it } from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import type { Protectable } from '../../../src/core/contracts/index.ts';
import { localApplication } from '../../../src/resources/local/application.ts';
import { localNetwork } from '../../../src/resources/local/network.ts';
import { localServer } from '../../../src/resources/local/server.ts';
import { localVolume } from '../../../src/resources/local/volume.ts';
import { call, collect, emptySystem, type System, token } from './system.ts';

const TAGS = JSON.parse('{"tier": "gold", "owner": "", "constructor": "x", "__proto__": "y"}');

interface Case {
  readonly folder: string;
  readonly record: object;
  plugin(root: string): Protectable;
}

const NETWORKS: Case = {
  folder: 'networks',
  record: { name: 'x', cidr: '10.0.0.0/24' },
  plugin: (root) => localNetwork({ root }),
};

const CASES: readonly Case[] = [
  NETWORKS,
  {
    folder: 'applications',
    record: { name: 'x', servers: [] },
    plugin: (root) => localApplication({ root }),
  },
  {
    folder: 'servers',
    record: { name: 'x', size: { cpus: 1, memory: 1 }, networks: [], volumes: [] },
    plugin: (root) => localServer({ root }),
  },
  {
    folder: 'volumes',
    record: { name: 'x' },
    plugin: (root) => localVolume({ root, array: createFilesArray({ name: 'files', root }, {}) }),
  },
];

async function systemWith({ folder, record }: Case, more: object): Promise<System> {
  const system = await emptySystem();
  await system.write(`${folder}/a.json`, { ...record, ...more });
  if (folder === 'volumes') await system.volume('a', 4_096);
  return system;
}

describe.each(CASES)('tags of $folder', (one) => {
  it('are those of the record, with whatever names', async () => {
    const { root } = await systemWith(one, { tags: TAGS });
    const plugin = one.plugin(root);
    const [found] = await plugin.find(['a'], call);
    expect(JSON.stringify(found?.tags)).toBe(JSON.stringify(TAGS));
    expect(await collect(plugin.list(call))).toEqual([found]);
  });

  it('are none where the record has none', async () => {
    const { root } = await systemWith(one, {});
    const [found] = await one.plugin(root).find(['a'], call);
    expect(found).toBeDefined();
    expect(found).not.toHaveProperty('tags');
  });

  it('are captured, and a resource made of that has them', async () => {
    const original = await systemWith(one, { tags: TAGS });
    const [found] = await one.plugin(original.root).find(['a'], call);
    const description = await one.plugin(original.root).capture({ type: found?.type ?? '', id: 'a' }, call);
    const { root } = await emptySystem();
    const plugin = one.plugin(root);
    const made = await plugin.create(JSON.parse(JSON.stringify(description)), { token }, call);
    expect(made).toEqual(found);
    const request = {
      token,
      description,
      resolve: <Key>(key: Key) => key,
      address: (address: string) => address,
    };
    await plugin.connect(made, request, call);
    expect(await plugin.find(['a'], call)).toEqual([found]);
    expect(JSON.stringify(made.tags)).toBe(JSON.stringify(TAGS));
  });
});

describe('tags that no resource may have', () => {
  it.each([
    ['null', null],
    ['a list', ['gold']],
    ['a text', 'gold'],
    ['a number as a value', { tier: 1 }],
    ['null as a value', { tier: null }],
    ['a list under a name that means something', JSON.parse('{"__proto__": []}')],
    ['an empty name', { '': 'x' }],
    ['a long name', { ['x'.repeat(257)]: 'x' }],
    ['a long value', { tier: 'x'.repeat(1_025) }],
    ['too many', Object.fromEntries(Array.from({ length: 257 }, (_, at) => [`tag-${at}`, '']))],
  ])('are CORRUPT, naming the file, and are not restored: %s', async (_, tags) => {
    const { root } = await systemWith(NETWORKS, { tags });
    const plugin = NETWORKS.plugin(root);
    const refusal = { code: 'CORRUPT', message: expect.stringMatching(/networks\/a\.json.*tags/) };
    await expect(plugin.find(['a'], call)).rejects.toMatchObject(refusal);
    const description = { ...NETWORKS.record, id: 'b', tags };
    await expect(plugin.create(description, { token }, call)).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(await plugin.find(['b'], call)).toEqual([]);
  });

  it('are taken up to their bounds', async () => {
    const name = (at: number): string => String(at).padEnd(256, 'x');
    const tags = Object.fromEntries(Array.from({ length: 256 }, (_, at) => [name(at), 'x'.repeat(1_024)]));
    const { root } = await systemWith(NETWORKS, { tags });
    expect((await NETWORKS.plugin(root).find(['a'], call))[0]?.tags).toEqual(tags);
  });
});
