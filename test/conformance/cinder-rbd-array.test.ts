import * as runner from 'vitest';
import { storageArraySuite } from '../../src/testing/storage-array-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { CinderProject } from '../lab/openstack/cinder.ts';
import { openStackLab } from '../lab/openstack/openstack.ts';

const { openstack, skipped = 'start the lab of Ceph before that of OpenStack' } = openStackLab();
if (openstack?.rbd === undefined)
  runner.describe.skip(`cinderArray on Ceph (${skipped})`, () => runner.it('needs the lab', () => undefined));
else {
  const project = await CinderProject.create(openstack);
  const beside = { describe: runner.describe.concurrent, it: runner.it };
  for (const type of ['rbd', 'rbd-flattened'] as const) {
    const name = `cinderArray on Ceph, ${type}`;
    registerSuite(await storageArraySuite({ name, create: () => project.fixture(type) }), beside);
  }
  runner.afterAll(() => project.remove());
}
