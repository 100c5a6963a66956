import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { CinderPath } from '../../../src/arrays/cinder.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type { VolumeRef } from '../../../src/core/contracts/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { pattern } from '../../../src/testing/storage-array/helpers.ts';
import { CinderProject } from './cinder.ts';
import { openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const MIB = 2 ** 20;
const VOLUME = 'OS::Cinder::Volume';

if (openstack === undefined)
  describe.skip(`a tenant with nothing but the cloud (${skipped})`, () =>
    test('needs the lab', () => undefined));
else {
  const project = await CinderProject.create(openstack);
  afterAll(() => project.remove());
  describe('a tenant with nothing but the cloud', () => suite(project));
}

function suite(project: CinderProject): void {
  afterEach(() => project.clear());

  test.each<[string, (folder: string) => CinderPath]>([
    ['images', (spool) => ({ kind: 'image', spool })],
    ['attached volumes', () => ({ kind: 'attached', connector: { host: 'mover' } })],
  ])('protects a volume in a bank and restores it, by %s alone, which do not stay', async (_, pathIn) => {
    const directory = await mkdtemp(join(tmpdir(), 'fafnir-tenant-'));
    const volume = { id: await project.volume({ name: 'db', volume_type: 'file' }) };
    const metadata = { hw_disk_bus: 'scsi', os_distro: 'debian' };
    await project.act(volume, { 'os-set_image_metadata': { metadata } });
    await project.act(volume, { 'os-set_bootable': { bootable: true } });
    const offsets = [0, 700 * MIB + 13];
    for (const [at, offset] of offsets.entries()) await project.write(volume, offset, pattern(MIB, at));

    const array = project.array({ paths: [pathIn(directory)] });
    const protectables = openStackResources({ client: project.client });
    const provider = defineProvider({
      name: 'gold',
      site: 'a',
      parts: [{ contract: 1, name: 'cloud', protectables, arrays: [array] }],
      banks: [{ bank: filesystemBank(join(directory, 'bank')), keys: memoryKeys(), role: 'primary' }],
      strategies: [volumeSnapshot()],
    });
    await using engine = await createEngine({ store: memoryStore(), providers: [provider] });
    const acme = engine.for({ tenant: 'acme', actor: 'ops' });
    const resources = [{ type: VOLUME, id: volume.id }];
    const plan = await acme.plans.create({ name: 'db', provider: 'gold', resources });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    const job = await acme.restore(checkpoint, { to: 'gold' });
    expect(await job.result()).toMatchObject({ volumes: 1 });

    const made: Pick<VolumeRef, 'id'>[] = [];
    for await (const { from, to } of acme.jobs.standIns(job.id)) if (from.type === VOLUME) made.push(to);
    const [restored] = made;
    if (restored === undefined) return expect.fail('no volume was made');
    expect(restored.id).not.toBe(volume.id);
    for (const [at, offset] of offsets.entries()) {
      const bytes = await project.read(restored, offset, MIB);
      expect(bytes.equals(pattern(MIB, at))).toBe(true);
    }
    expect((await project.read(restored, MIB, MIB)).equals(Buffer.alloc(MIB))).toBe(true);
    expect(await project.show(restored)).toMatchObject({
      status: 'available',
      bootable: 'true',
      volume_image_metadata: metadata,
    });
    expect(await project.left()).toEqual(['volumes/db', 'volumes/db']);
    expect(await readdir(directory)).toEqual(['bank']);
    await rm(directory, { recursive: true });
  });
}
