import type { KeyProvider } from '../core/contracts/index.ts';
import { BINDING } from './key-provider/binding.ts';
import type { Obligation, RotationObligation } from './key-provider/obligation.ts';
import { REFUSALS } from './key-provider/refusals.ts';
import { ROTATION } from './key-provider/rotation.ts';
import { SECRETS } from './key-provider/secrets.ts';
import { WRAPPING } from './key-provider/wrapping.ts';
import type { Suite, SuiteCase } from './suite.ts';

/** A key provider that belongs to one case. */
export interface KeyProviderSubject {
  /** Holds at least one key-encryption key. */
  readonly provider: KeyProvider;
  /**
   * Makes a new key-encryption key current, and resolves with a provider that wraps under it and holds those before
   * it: `provider` itself, or another.
   */
  rotate?(): Promise<KeyProvider>;
  /** Removes what the case left. */
  dispose(): Promise<void>;
}

/** Options of {@link keyProviderSuite}. */
export interface KeyProviderSuiteOptions {
  /** The implementation, such as `keyFile`. */
  readonly name: string;
  /** True where subjects can `rotate`; else the cases about rotation do not apply. */
  readonly rotates: boolean;
  /** Makes a subject for one case. */
  create(): Promise<KeyProviderSubject>;
}

/** The obligations of the KeyProvider contract. */
export function keyProviderSuite({ name, rotates, create }: KeyProviderSuiteOptions): Suite {
  async function onFresh(body: (subject: KeyProviderSubject) => Promise<void>): Promise<void> {
    const subject = await create();
    try {
      await body(subject);
    } finally {
      await subject.dispose();
    }
  }
  const single = (obligation: Obligation): SuiteCase => ({
    name: obligation.name,
    run: () => onFresh(({ provider }) => obligation.run(provider)),
  });
  const rotating = (obligation: RotationObligation): SuiteCase => ({
    name: obligation.name,
    ...(rotates ? {} : { skip: 'its key-encryption key cannot be rotated here' }),
    run: () =>
      onFresh(async (subject) => {
        const rotate = async (): Promise<KeyProvider> => {
          if (subject.rotate !== undefined) return await subject.rotate();
          throw new TypeError('the suite was told that this provider rotates');
        };
        await obligation.run(subject.provider, rotate);
      }),
  });
  const cases = [
    ...[...WRAPPING, ...BINDING, ...REFUSALS, ...SECRETS].map(single),
    ...ROTATION.map(rotating),
  ];
  return { name: `KeyProvider: ${name}`, cases };
}
