// Runs the tests of one lab, a set of real services that `npm run lab:NAME` starts: the files below test/lab/NAME,
// which the usual run leaves out, and all tests that import something from there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { BaseSequencer, startVitest } from 'vitest/node';

const [name, ...rest] = process.argv.slice(2);
const labs = readdirSync('test/lab', { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

if (name === undefined || !labs.includes(name) || rest.length > 0) {
  console.error(`usage: npm run test:lab -- NAME\nlabs: ${labs.join(', ')}`);
  process.exit(2);
}

const files = readdirSync('test', { recursive: true })
  .filter((path) => path.endsWith('.test.ts'))
  .map((path) => `test/${path.replaceAll('\\', '/')}`)
  .filter(
    (path) => path.startsWith(`test/lab/${name}/`) || readFileSync(path, 'utf8').includes(`/lab/${name}/`),
  );

// Each file for this one works in projects of its own; those of others share all, and look at all that is there.
const BESIDE_EACH_OTHER = ['openstack'];

// What a lab does before all of its tests and after them.
const around = `test/lab/${name}/around.ts`;

if (files.length === 0) {
  console.error(`no test uses the lab ${name}`);
  process.exit(1);
}

/** Suites of contracts first: of few lines, which is what files are ordered by, they take longest. */
class SuitesFirst extends BaseSequencer {
  async sort(specifications) {
    const isSuite = ({ moduleId }) => readFileSync(moduleId, 'utf8').includes('registerSuite');
    const sorted = await super.sort(specifications);
    return [...sorted.filter(isSuite), ...sorted.filter((one) => !isSuite(one))];
  }
}

// Without the configuration file, because that one leaves test/lab out.
await startVitest('test', [], {
  config: false,
  run: true,
  include: files,
  sequence: { sequencer: SuitesFirst },
  globalSetup: existsSync(around) ? [around] : [],
  ...(BESIDE_EACH_OTHER.includes(name) ? { maxWorkers: 3 } : { fileParallelism: false }),
  testTimeout: 600_000,
  hookTimeout: 600_000,
});
