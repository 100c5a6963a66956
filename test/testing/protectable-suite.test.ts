import { expect, test } from 'vitest';
import { protectableSuite } from '../../src/testing/protectable-suite.ts';
import { runSuite, type SuiteReport } from '../../src/testing/suite.ts';
import * as broken from './broken-protectables.ts';

const run = async (change: broken.Break, found?: string): Promise<SuiteReport> =>
  runSuite(
    await protectableSuite({
      name: 'a plugin',
      ...(found !== undefined && { found }),
      create: () => broken.brokenFixture(change),
    }),
  );

const LISTS = 'lists what there is, each once, of its own type';
const FINDS = 'finds those ids that exist, and says nothing of others';
const FINDS_NONE = 'finds none of 1,000 ids that do not exist, and none of no ids';
const GONE = 'names with NOT_FOUND the resource of a batch that is gone, and answers for the others';
const NOT_FOUND = 'refuses to describe what does not exist with NOT_FOUND';
const ABORTED = 'does nothing for a caller who is gone';
const MAKES = 'makes one again that is found and described like the original, and leaves that alone';
const FINDS_MADE = 'finds by the token what was made before, and joins it twice';
const REMOVES = 'removes what the token made, twice, and neither the original nor what another token made';
const REMOVES_LATE = 'removes what comes late, after a removal with its token';
const REFUSES = 'refuses descriptions that do not fit with CORRUPT, before any effect';
const MAKES_NOTHING = 'makes nothing for a caller who is gone';
const RENAMES = 'gives another name where it is told to';
const GAPS = 'sees no gap where the original is, also for 1,000 at once, and makes nothing for that';
const SERVES = 'sees that one made again serves, twice, and changes nothing by that';
const GONE_PROBED = 'sees with NOT_FOUND that one is gone, and asks nothing for a caller who is';
const VOLUMES = 'tells the ways to its volume, with the size that one made again has too';

const FAILURES: Readonly<Record<Exclude<keyof typeof broken, 'brokenFixture'>, readonly string[]>> = {
  anxious: [SERVES, GONE_PROBED],
  clumsy: [SERVES],
  deaf: [ABORTED, MAKES_NOTHING],
  eager: [LISTS, FINDS, FINDS_NONE, ABORTED],
  forgetful: [MAKES, FINDS_MADE, REMOVES, REMOVES_LATE, RENAMES, SERVES, GONE_PROBED, VOLUMES],
  gloomy: [GAPS],
  growing: [VOLUMES],
  inventive: [NOT_FOUND],
  keeping: [ABORTED, REMOVES, REMOVES_LATE, GONE_PROBED],
  lenient: [MAKES, REFUSES],
  losing: [MAKES],
  sharing: [REMOVES],
  silent: [GONE],
  stubborn: [RENAMES],
  stuttering: [LISTS, MAKES, REMOVES],
  trusting: [GONE_PROBED],
};

test('a sound plugin passes every case', async () => {
  const report = await run(() => ({}));
  expect(report.failed).toEqual([]);
  expect(report.skipped).toEqual([]);
  expect(report.passed.length).toBeGreaterThan(15);
});

test('a plugin that makes nothing is asked for nothing', async () => {
  const report = await run(() => ({}), 'others own them');
  expect(report.failed).toEqual([]);
  expect(report.skipped.map(({ name }) => name)).toEqual([
    MAKES,
    FINDS_MADE,
    REMOVES,
    REMOVES_LATE,
    REFUSES,
    MAKES_NOTHING,
    RENAMES,
    SERVES,
    GONE_PROBED,
    VOLUMES,
  ]);
});

test.for(Object.entries(FAILURES))(
  'a plugin that is %s fails these cases and no other',
  async ([name, cases]) => {
    const { [name as keyof typeof FAILURES]: change } = broken;
    const { failed } = await run(change);
    expect(failed.map((one) => one.name).toSorted()).toEqual(cases.toSorted());
  },
);
