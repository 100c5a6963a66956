import type { ArrayCapabilities } from '../core/contracts/index.ts';
import { CHANGES } from './storage-array/changes.ts';
import { FOREIGN_NAMES } from './storage-array/foreign-names.ts';
import { GROUPS } from './storage-array/groups.ts';
import { READS } from './storage-array/extents.ts';
import { call } from './storage-array/helpers.ts';
import { NAMES } from './storage-array/names.ts';
import type { Need, Obligation, StorageArrayFixture } from './storage-array/obligation.ts';
import { READINGS } from './storage-array/readings.ts';
import { ROLES } from './storage-array/roles.ts';
import { SNAPSHOTS } from './storage-array/snapshots.ts';
import type { Suite } from './suite.ts';

export type { StorageArrayFixture } from './storage-array/obligation.ts';

/** Options of {@link storageArraySuite}. */
export interface StorageArraySuiteOptions {
  /** The implementation, such as `filesArray`. */
  readonly name: string;
  /** A fresh array; called once for each case, and once to learn what the array declares. */
  create(): Promise<StorageArrayFixture>;
}

/** The obligations of the StorageArray contract; what an array does not declare is skipped with the reason. */
export async function storageArraySuite({ name, create }: StorageArraySuiteOptions): Promise<Suite> {
  const lacks = await learn(create);
  const obligations: readonly Obligation[] = [
    ...SNAPSHOTS,
    ...GROUPS,
    ...NAMES,
    ...FOREIGN_NAMES,
    ...READS,
    ...CHANGES,
    ...READINGS,
    ...ROLES,
  ];
  const cases = obligations.map((obligation) => {
    const skip = obligation.needs === undefined ? undefined : lacks[obligation.needs];
    return {
      name: obligation.name,
      ...(skip === undefined ? {} : { skip }),
      async run(): Promise<void> {
        const fixture = await create();
        try {
          await obligation.run(fixture);
        } finally {
          await fixture.dispose();
        }
      },
    };
  });
  return { name: `StorageArray: ${name}`, cases };
}

async function learn(
  create: StorageArraySuiteOptions['create'],
): Promise<Readonly<Record<Need, string | undefined>>> {
  const fixture = await create();
  try {
    return lacking(fixture, await fixture.array.capabilities(call));
  } finally {
    await fixture.dispose();
  }
}

/** Why the cases with a need do not apply; undefined where they do. */
function lacking(
  { array, snapshotAs, formGroup }: StorageArrayFixture,
  { group, changeBase, reverts = 'any' }: ArrayCapabilities,
): Readonly<Record<Need, string | undefined>> {
  const unless = (met: boolean, reason: string): string | undefined => (met ? undefined : reason);
  const groups = unless(array.isGroup !== undefined, 'it has no isGroup role');
  const revert = unless(array.revert !== undefined, 'it has no revert role');
  return {
    group: unless(group, 'group is false'),
    groups: groups ?? unless(formGroup !== undefined, 'nobody can form groups'),
    changes: unless(changeBase !== 'none', 'changeBase is none'),
    'no-changes': unless(changeBase === 'none', `changeBase is ${changeBase}`),
    target: unless(array.target !== undefined, 'it has no target role'),
    clone: unless(array.clone !== undefined, 'it has no clone role'),
    revert,
    'revert-any': revert ?? unless(reverts === 'any', `reverts is ${reverts}`),
    'revert-latest': revert ?? unless(reverts === 'latest', `reverts is ${reverts}`),
    readings: unless(array.endReading !== undefined, 'it has no endReading role'),
    others: unless(snapshotAs !== undefined, 'nobody can make snapshots under names of their own'),
  };
}
