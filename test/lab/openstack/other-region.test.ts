import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { cinderArray } from '../../../src/arrays/cinder.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { openStackClient } from '../../../src/clients/openstack/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { pattern } from '../../../src/testing/storage-array/helpers.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { newProject } from './project.ts';

const { openstack, skipped } = openStackLab();
const MINUTES = 30 * 60_000;
const VOLUME = 'OS::Cinder::Volume';
const live = { signal: new AbortController().signal };

if (openstack === undefined)
  describe.skip(`another region (${skipped})`, () => test('needs the lab', () => undefined));
else {
  // The lab's second region lists Cinder alone, and it is the same one. So this shows that each provider goes to the region of
  // its client and to no other, and not that two clouds are alike.
  test('takes what was protected in one', () => restoreThere(openstack), MINUTES);
}

async function restoreThere(lab: OpenStack): Promise<void> {
  const { authUrl, region, sparseRegion, files } = lab;
  const project = await newProject(lab);
  const directory = await mkdtemp(join(tmpdir(), 'fafnir-region-'));
  const { user, password, project: name } = project.account;
  const credentials = { type: 'password', user: { name: user }, password, project: { name } } as const;
  const there = openStackClient({
    authUrl,
    region: sparseRegion,
    credentials,
    timeoutMilliseconds: MINUTES,
  });
  try {
    const volume = { name: 'data', size: 1, volume_type: 'file', metadata: { use: 'sales' } };
    const original = await project.make(project.volumes, 'volumes', { volume }, 'available');
    const fileOf = (id: string): string => join(files, `volume-${id}`);
    {
      await using file = await open(fileOf(original), 'r+');
      await file.write(pattern(2 ** 20, 1), 0, 2 ** 20, 700 * 2 ** 20);
    }
    await expect(there.service('compute').endpoint(live)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining(`no public compute in region ${sparseRegion}; it is in ${region}`),
    });

    const banks = [{ bank: filesystemBank(directory), keys: memoryKeys(), role: 'primary' as const }];
    const providers = [
      { name: 'gold', client: project.client },
      { name: 'silver', client: there },
    ].map(({ name, client }) => {
      const paths = [{ kind: 'files', folder: files }] as const;
      const array = cinderArray({ name: 'cinder', client, volumeType: 'file', paths });
      const protectables = openStackResources({ client });
      const parts = [{ contract: 1 as const, name: 'cloud', protectables, arrays: [array] }];
      return defineProvider({ name, site: name, parts, banks, strategies: [volumeSnapshot()] });
    });
    await using engine = await createEngine({ store: memoryStore(), providers });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const resources = [{ type: VOLUME, id: original }];
    const plan = await acme.plans.create({ name: 'data', provider: 'gold', resources });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    const job = await acme.restore(checkpoint, { to: 'silver' });
    expect(await job.result()).toMatchObject({ resources: 1, volumes: 1, by: { copy: 1, clone: 0 } });
    let made = '';
    for await (const { to } of acme.jobs.standIns(job.id)) made = to.id;
    await promisify(execFile)('cmp', [fileOf(original), fileOf(made)]);
    const cinder = there.service('block-storage', { least: '3.27', most: '3.70' });
    const path = ['volumes', made];
    expect(await cinder.request({ method: 'GET', path, answer: z.unknown() }, live)).toMatchObject({
      volume: { name: 'data', size: 1, metadata: { use: 'sales' } },
    });
    await cinder.request({ method: 'DELETE', path, answer: z.unknown() }, live);
    await cinder.waitUntilGone({ path, member: 'volume', milliseconds: MINUTES }, live);
    await (await acme.remove(checkpoint)).result();
  } finally {
    await there.close();
    await rm(directory, { recursive: true, force: true });
    await project.end();
  }
}
