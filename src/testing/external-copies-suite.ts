import { COPIES } from './external-copies/copies.ts';
import type { ExternalCopiesFixture, Need } from './external-copies/obligation.ts';
import type { Suite } from './suite.ts';

export type { ExternalCopiesFixture } from './external-copies/obligation.ts';

/** Options of {@link externalCopiesSuite}. */
export interface ExternalCopiesSuiteOptions {
  /** The implementation, such as `cinderBackups`. */
  readonly name: string;
  /** A fresh store; called once for each case, and once to learn what the fixture has. */
  create(): Promise<ExternalCopiesFixture>;
}

const NEEDS: readonly Need[] = ['leave', 'spoil'];
const WITHOUT: Readonly<Record<Need, string>> = {
  leave: 'nothing is made to be read that could stay',
  spoil: 'the service cannot be made to restore wrongly',
};

/** The obligations of the ExternalCopies contract; what a fixture cannot bring about is skipped with the reason. */
export async function externalCopiesSuite({ name, create }: ExternalCopiesSuiteOptions): Promise<Suite> {
  const onFresh = async (work: (fixture: ExternalCopiesFixture) => Promise<void>): Promise<void> => {
    const fixture = await create();
    try {
      await work(fixture);
    } finally {
      await fixture.dispose();
    }
  };
  const lacking: Need[] = [];
  await onFresh(async (fixture) => {
    for (const need of NEEDS) if (fixture[need] === undefined) lacking.push(need);
  });
  const cases = COPIES.map(({ name, needs, run }) => ({
    name,
    ...(needs !== undefined && lacking.includes(needs) && { skip: WITHOUT[needs] }),
    run: () => onFresh(run),
  }));
  return { name: `ExternalCopies: ${name}`, cases };
}
