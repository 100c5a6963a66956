import { COPIES } from './external-copies/copies.ts';
import type { ExternalCopiesFixture } from './external-copies/obligation.ts';
import type { Suite } from './suite.ts';

export type { ExternalCopiesFixture } from './external-copies/obligation.ts';

/** Options of {@link externalCopiesSuite}. */
export interface ExternalCopiesSuiteOptions {
  /** The implementation, such as `cinderBackups`. */
  readonly name: string;
  /** A fresh store; called once for each case, and once to learn what the fixture has. */
  create(): Promise<ExternalCopiesFixture>;
}

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
  let spoils = false;
  await onFresh(async ({ spoil }) => {
    spoils = spoil !== undefined;
  });
  const cases = COPIES.map(({ name, needs, run }) => ({
    name,
    ...(needs !== undefined && !spoils && { skip: 'the service cannot be made to restore wrongly' }),
    run: () => onFresh(run),
  }));
  return { name: `ExternalCopies: ${name}`, cases };
}
