import { randomUUID } from 'node:crypto';
import * as runner from 'vitest';
import { cinderBackups } from '../../../src/strategies/cinder-backup.ts';
import { externalCopiesSuite } from '../../../src/testing/external-copies-suite.ts';
import { targetOf } from '../../../src/testing/storage-array/helpers.ts';
import { registerSuite } from '../../../src/testing/suite.ts';
import { CinderProject } from './cinder.ts';
import { openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const [sizeUnit, timeout] = [2 ** 30, 10 * 60_000];
const live = { signal: new AbortController().signal };

if (openstack === undefined) {
  runner.describe.skip(`backups of Cinder (${skipped})`, () => runner.test('needs the lab', () => undefined));
} else {
  const project = await CinderProject.create(openstack);
  runner.afterAll(() => project.remove());
  const { client } = project;
  const array = project.array();
  const store = cinderBackups({ name: 'backups', client, array, volumeType: 'file', timeout });
  const createVolume = (size: number) => targetOf(array).create({ name: randomUUID(), size }, live);
  const suite = await externalCopiesSuite({
    name: 'backups of Cinder',
    create: async () => ({
      store,
      array,
      sizeUnit,
      createVolume,
      // By its name alone it is known: that is what a restore of Cinder leaves.
      leave: async ({ volume: { size } }, token) =>
        void (await targetOf(array).create({ name: `${token}-restored`, size }, live)),
      write: (volume, offset, data) => project.write(volume, offset, data),
      dispose: () => project.clear(),
    }),
  });
  registerSuite(suite, runner);
}
