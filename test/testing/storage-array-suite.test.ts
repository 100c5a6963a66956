import { expect, test } from 'vitest';
import { storageArraySuite } from '../../src/testing/storage-array-suite.ts';
import { runSuite, type SuiteReport } from '../../src/testing/suite.ts';
import { type Faults, memoryArray } from './broken-arrays.ts';
import { type ReaderFault, withReaders } from './broken-readers.ts';

async function run(faults: Faults): Promise<SuiteReport> {
  const create = async () => memoryArray(faults);
  return runSuite(await storageArraySuite({ name: 'an array', create }));
}

async function failures(faults: Faults): Promise<string[]> {
  return (await run(faults)).failed.map(({ name }) => name);
}

test('a sound array passes every case that applies, and the others say why they do not', async () => {
  const report = await run({});
  expect(report.failed).toEqual([]);
  expect(report.passed.length).toBeGreaterThan(18);
  expect(new Set(report.skipped.map(({ reason }) => reason))).toEqual(
    new Set([
      'changeBase is snapshot',
      'it has no endReading role',
      'it has no isGroup role',
      'it has no target role',
      'it has no clone role',
      'it has no revert role',
    ]),
  );
});

test('an array whose volumes are put into groups is held to what it says of them', async () => {
  const { failed, skipped } = await run({ groups: 'sound' });
  expect(failed).toEqual([]);
  expect(skipped.map(({ reason }) => reason)).toContain('group is false');
  expect(await failures({ groups: 'unheeded' })).toEqual([
    'isGroup: volumes that are no group are NOT_ONE_INSTANT as one, and nothing is kept',
  ]);
});

test('an array that makes something to be read is held to what it says of its readers', async () => {
  const runWith = async (fault?: ReaderFault): Promise<SuiteReport> => {
    const create = async () => withReaders(memoryArray(), fault);
    return runSuite(await storageArraySuite({ name: 'an array', create }));
  };
  const failuresOf = async (fault: ReaderFault) => (await runWith(fault)).failed.map(({ name }) => name);
  const sound = await runWith();
  expect(sound.failed).toEqual([]);
  expect(sound.skipped.map(({ reason }) => reason)).not.toContain('it has no endReading role');
  const apart = 'readers with tokens of their own are not in the way of each other, nor of one without';
  const ends = 'what was made to be read goes by its token, is told of once, and closes as ever';
  const goes = 'a snapshot can be removed that a dead reader had open, whose reading ends all the same';
  const twice = 'one process opens a snapshot more than once under a token';
  expect(await failuresOf('shared')).toEqual(expect.arrayContaining([apart, twice, ends]));
  expect(await failuresOf('kept')).toEqual([ends, goes]);
  expect(await failuresOf('untold')).toEqual([ends]);
  expect(await failuresOf('unchecked')).toEqual(['what is no token is INVALID_ID']);
});

test('an array whose snapshots see later writes fails the cases about isolation', async () => {
  expect(await failures({ sharesBytes: true })).toEqual([
    'a snapshot keeps its bytes whatever is written to the volume later',
    'a repeat with the same name and volumes returns the same snapshots',
    'what is written once the array says that they are taken is not in the snapshots',
    'what others named is found, listed, opened and removed like any other',
  ]);
});

test('an array that calls snapshots taken before they are fails the case about that, and no other', async () => {
  expect(await failures({ tellsEarly: true })).toEqual([
    'what is written once the array says that they are taken is not in the snapshots',
  ]);
});

test('an array that hides what others named fails the case about that', async () => {
  expect(await failures({ hidesNames: true })).toEqual([
    'what others named is found, listed, opened and removed like any other',
  ]);
});

test('an array that misses one change fails the cases about changes, and no other', async () => {
  expect(await failures({ missesOne: true })).toEqual([
    'changed extents never miss a change',
    'a change back to the old bytes, to zeros and from zeros is not missed',
  ]);
});
