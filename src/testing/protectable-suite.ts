import type { Protectable } from '../core/contracts/index.ts';
import { CREATION } from './protectable/creation.ts';
import { FINDING } from './protectable/finding.ts';
import type { Need, ProtectableFixture } from './protectable/obligation.ts';
import { ROLES } from './protectable/roles.ts';
import type { Suite } from './suite.ts';

export type { ProtectableFixture } from './protectable/obligation.ts';

/** Options of {@link protectableSuite}. */
export interface ProtectableSuiteOptions {
  /** The implementation, such as `localServer`. */
  readonly name: string;
  /** Why nothing of the type is ever made again, such as what others own; the cases about making then do not apply. */
  readonly found?: string;
  /** A fresh system; called once for each case, and once to learn which roles the plugin has. */
  create(): Promise<ProtectableFixture>;
}

/** The obligations of the Protectable contract; what a plugin has no role for is skipped with the reason. */
export async function protectableSuite({ name, found, create }: ProtectableSuiteOptions): Promise<Suite> {
  const onFresh = async (work: (fixture: ProtectableFixture) => Promise<void>): Promise<void> => {
    const fixture = await create();
    try {
      await work(fixture);
    } finally {
      await fixture.dispose();
    }
  };
  let lacks: Readonly<Record<Need, string | undefined>> | undefined;
  await onFresh(async ({ protectable }) => {
    lacks = lacking(protectable, found);
  });
  const cases = [...FINDING, ...CREATION, ...ROLES].map(({ name, needs, run }) => {
    const skip = needs && lacks?.[needs];
    return { name, ...(skip === undefined ? {} : { skip }), run: () => onFresh(run) };
  });
  return { name: `Protectable: ${name}`, cases };
}

/** Why the cases with a need do not apply; undefined where they do. */
function lacking(
  { gaps, probe, renames, volumes }: Protectable,
  found: string | undefined,
): Readonly<Record<Need, string | undefined>> {
  const unless = (met: boolean, role: string): string | undefined =>
    met ? undefined : `it has no role ${role}`;
  return {
    creation: found,
    gaps: unless(gaps !== undefined, 'gaps'),
    probe: found ?? unless(probe !== undefined, 'probe'),
    renames: found ?? unless(renames === true, 'renames'),
    volumes: found ?? unless(volumes !== undefined, 'volumes'),
  };
}
