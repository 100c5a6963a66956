import { join } from 'node:path';
import { createFilesArray } from '../../src/arrays/files/array.ts';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { systemClock } from '../../src/core/clock.ts';
import {
  type Bank,
  type Clock,
  createEngine,
  defineProvider,
  type Engine,
  type JobStore,
  parseTenantId,
  type Part,
  type Provider,
  type Session,
  type StorageArray,
  type TenantId,
} from '../../src/index.ts';
import { localApplication } from '../../src/resources/local/application.ts';
import { localNetwork } from '../../src/resources/local/network.ts';
import { localServer } from '../../src/resources/local/server.ts';
import { localVolume } from '../../src/resources/local/volume.ts';
import { archiveFlag } from '../../src/strategies/archive-flag.ts';
import { storageArraySnapshot } from '../../src/strategies/storage-array-snapshot.ts';
import { volumeSnapshot } from '../../src/strategies/volume-snapshot.ts';
import { comparingArray } from './change-base.ts';
import { type Gate, portedArray, portedBank, portedProtectable } from './ports.ts';
import { KEYS } from '../core/archive/vaults.ts';

/** Where things are in the directory of one case. */
export const pathsOf = (
  directory: string,
): Record<'store' | 'bank' | 'application' | 'destination' | 'mirror' | 'paused' | 'facts', string> => ({
  store: join(directory, 'jobs.db'),
  bank: join(directory, 'bank'),
  application: join(directory, 'a'),
  destination: join(directory, 'b'),
  mirror: join(directory, 'mirror'),
  paused: join(directory, 'paused'),
  facts: join(directory, 'facts.json'),
});

const FREEZER = new URL('fixtures/freezer.ts', import.meta.url).href;

/** Whose application it is. */
export const TENANT: TenantId = parseTenantId('acme');

/** The array of a site. It asks no program of the host, whose answers would come when they please. */
export const plainArray = (root: string): StorageArray => createFilesArray({ name: 'files', root }, {});

function partOf(
  directory: string,
  root: string,
  site: string,
  arrayOf: (root: string) => StorageArray,
  gate?: Gate,
): Part {
  const plain = arrayOf(root);
  const array = gate === undefined ? plain : portedArray(plain, site, gate);
  const protectables = [
    localApplication({ root }),
    localServer({ root, freezer: { module: FREEZER, options: { directory: pathsOf(directory).paused } } }),
    localNetwork({ root }),
    localVolume({ root, array }),
  ];
  return {
    contract: 1,
    name: site,
    protectables: protectables.map((one) => (gate === undefined ? one : portedProtectable(one, site, gate))),
    arrays: [array],
    strategies: [volumeSnapshot()],
  };
}

/**
 * `plain`, `tracked`, `flagged` and `kept` protect site `a`; `tracked` and `flagged` keep snapshots to tell what changed,
 * `flagged` archives in the background, and `kept` leaves snapshots where they are. `silver` is site `b`, and
 * `mirror` is where the harness itself restores to.
 */
function providersIn(directory: string, gate?: Gate): readonly Provider[] {
  const paths = pathsOf(directory);
  const plainBank: Bank = filesystemBank(paths.bank);
  const banks = [
    {
      bank: gate === undefined ? plainBank : portedBank(plainBank, gate),
      keys: KEYS,
      role: 'primary' as const,
    },
  ];
  const compare = (root: string): StorageArray => comparingArray(plainArray(root));
  return [
    { name: 'plain', site: 'a', parts: [partOf(directory, paths.application, 'a', plainArray, gate)], banks },
    { name: 'tracked', site: 'a', parts: [partOf(directory, paths.application, 'a', compare, gate)], banks },
    {
      name: 'flagged',
      site: 'a',
      parts: [partOf(directory, paths.application, 'a', compare, gate)],
      strategies: [archiveFlag()],
      policy: { archive: { default: true } },
      banks,
    },
    {
      name: 'kept',
      site: 'a',
      parts: [partOf(directory, paths.application, 'a', plainArray, gate)],
      strategies: [storageArraySnapshot()],
      banks,
    },
    {
      name: 'silver',
      site: 'b',
      parts: [partOf(directory, paths.destination, 'b', plainArray, gate)],
      banks,
    },
    {
      name: 'mirror',
      site: 'mirror',
      parts: [partOf(directory, paths.mirror, 'mirror', plainArray, gate)],
      banks,
    },
  ].map((options) => defineProvider(options));
}

/** An engine, and the session of the one tenant. */
export interface World extends AsyncDisposable {
  readonly engine: Engine;
  readonly session: Session;
}

/** Opens an engine on the directory of a case. `ahead`: how far its clock is ahead, in milliseconds. */
export async function openWorld(
  directory: string,
  of: {
    readonly store: JobStore;
    readonly gate?: Gate;
    readonly leaseMilliseconds?: number;
    readonly ahead?: number;
  },
): Promise<World> {
  const { store, gate, leaseMilliseconds = 30_000, ahead = 0 } = of;
  const clock: Clock = { ...systemClock, now: () => Date.now() + ahead };
  const engine = await createEngine({
    store,
    providers: providersIn(directory, gate),
    clock,
    leaseMilliseconds,
    observer: { publish: () => undefined },
  });
  const session = engine.for({ tenant: TENANT, actor: 'harness' });
  return { engine, session, [Symbol.asyncDispose]: () => engine.close() };
}
