import * as runner from 'vitest';
import { storageArraySuite } from '../../src/testing/storage-array-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { CinderProject } from '../lab/openstack/cinder.ts';
import { openStackLab } from '../lab/openstack/openstack.ts';

const NAME = 'cinderArray by attached volumes';
const { openstack, skipped } = openStackLab();
if (openstack === undefined)
  runner.describe.skip(`${NAME} (${skipped})`, () => runner.it('needs the lab', () => undefined));
else {
  const project = await CinderProject.create(openstack);
  // Most of the time goes by while Cinder works.
  const beside = { describe: runner.describe.concurrent, it: runner.it };
  const path = { kind: 'attached', connector: { host: 'mover' } } as const;
  const suite = await storageArraySuite({ name: NAME, create: () => project.fixture('file', path) });
  registerSuite(suite, beside);
  runner.afterAll(() => project.remove());
}
