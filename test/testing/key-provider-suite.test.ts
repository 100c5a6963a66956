import { expect, test } from 'vitest';
import { keyProviderSuite } from '../../src/testing/key-provider-suite.ts';
import { runSuite, type SuiteReport } from '../../src/testing/suite.ts';
import * as broken from './broken-key-providers.ts';

function run(change: broken.Break, rotates = true): Promise<SuiteReport> {
  const create = () => broken.brokenSubject(change);
  return runSuite(keyProviderSuite({ name: 'a key provider', rotates, create }));
}

const OTHER_CONTEXT = 'refuses any other context with CORRUPT';
const NO_CONTEXT = 'refuses with CORRUPT a context that none was wrapped with: empty, or of 1,025 characters';
const ODD_TEXT = 'takes no two contexts for one where text is not well-formed';
const SPELLING = 'refuses with CORRUPT any other spelling of the wrapped bytes, and what is no base64';
const OWN_MEMORY = 'gives keys in memory of their own, which the caller may overwrite or transfer';
const NOT_HELD = 'refuses a key-encryption key that it does not hold with UNKNOWN_KEY, and goes on';
const HIDDEN = 'shows the key in no error, and not in itself';
const FORMER = 'unwraps after two rotations what earlier key-encryption keys wrapped';
const OTHER_NAME = 'refuses with CORRUPT what one key-encryption key wrapped under the name of another';

const FAILURES: Readonly<Record<Exclude<keyof typeof broken, 'brokenSubject'>, readonly string[]>> = {
  contextBlind: [OTHER_CONTEXT, NO_CONTEXT],
  cutting: ['refuses to wrap no bytes or 257 with INVALID_OPTIONS'],
  deaf: ['does nothing for a caller who is gone'],
  forgetful: [FORMER],
  inTheOpen: ['does not show the key in what it wrapped'],
  lenientSpelling: [SPELLING],
  misnaming: [
    'answers with the current key-encryption key and bounded base64, which survive being stored as JSON',
    'wraps under the new key-encryption key after a rotation',
  ],
  nameBlind: [OTHER_NAME],
  pooling: [OWN_MEMORY],
  replacing: [ODD_TEXT],
  sharing: [OWN_MEMORY],
  talkative: [HIDDEN],
  tellTale: [HIDDEN],
  unauthenticated: [
    OTHER_CONTEXT,
    NO_CONTEXT,
    'refuses every flipped bit of the wrapped bytes with CORRUPT',
    'refuses wrapped bytes that were cut, lengthened or put together of two with CORRUPT',
    SPELLING,
    FORMER,
    OTHER_NAME,
  ],
  vague: [NOT_HELD],
};

test('a sound key provider passes every case', async () => {
  const report = await run(() => ({}));
  expect(report.failed).toEqual([]);
  expect(report.skipped).toEqual([]);
  expect(report.passed.length).toBeGreaterThan(20);
});

test.for(Object.entries(FAILURES))(
  'a key provider that is %s fails these cases and no other',
  async ([name, cases]) => {
    const { [name as keyof typeof FAILURES]: change } = broken;
    const { failed } = await run(change);
    expect(failed.map((failure) => failure.name)).toEqual(cases);
  },
);

test('cases about rotation are skipped by name where there is none, and a wrong claim is a failure', async () => {
  const report = await run(broken.forgetful, false);
  expect(report.failed).toEqual([]);
  expect(report.skipped).toHaveLength(3);
  const create = async () => {
    const { provider, dispose } = await broken.brokenSubject(() => ({}));
    return { provider, dispose };
  };
  const claimed = await runSuite(keyProviderSuite({ name: 'a key provider', rotates: true, create }));
  expect(claimed.failed.map(({ name }) => name)).toEqual(report.skipped.map(({ name }) => name));
});
