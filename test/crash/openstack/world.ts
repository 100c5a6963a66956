import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cinderArray } from '../../../src/arrays/cinder.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { type OpenStackClient, openStackClient } from '../../../src/clients/openstack/index.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { createEngine, defineProvider, type Part } from '../../../src/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { KEYS } from '../../core/archive/vaults.ts';
import { cloudOf } from '../../lab/openstack/containers.ts';
import type { Account, OpenStack } from '../../lab/openstack/openstack.ts';
import { pathsOf } from '../paths.ts';
import { type Gate, portedArray, portedBank, portedProtectable } from '../ports.ts';
import type { Opening } from '../site.ts';
import { TENANT, type World } from '../world.ts';

/** A project of a case. */
export interface Place {
  /** Keystone's. */
  readonly id: string;
  /** Who works in it. */
  readonly account: Account;
  /** All that is in it when nothing is under way; see `inventory`. */
  readonly inventory: readonly string[];
}

/** What is known of the cloud; it lies in the directory of each case, which only its owner can read. */
export interface Cloud {
  /** Where the application is. */
  readonly a: Place;
  /** Where it is restored to. */
  readonly b: Place;
  /** Cinder's ids of the application's volumes. */
  readonly volumes: readonly string[];
}

const pathIn = (directory: string): string => join(directory, 'cloud.json');

/** What was written of the cloud. */
export const readCloud = async (directory: string): Promise<Cloud> =>
  JSON.parse(await readFile(pathIn(directory), 'utf8'));

/** Keeps what is known of the cloud. */
export const writeCloud = (directory: string, cloud: Cloud): Promise<void> =>
  writeFile(pathIn(directory), JSON.stringify(cloud), { mode: 0o600 });

function partOf(site: string, client: OpenStackClient, { files }: OpenStack, gate: Gate | undefined): Part {
  const paths = [{ kind: 'files', folder: files }] as const;
  const array = cinderArray({ name: 'cinder', client, volumeType: 'file', paths });
  const protectables = openStackResources({ client });
  if (gate === undefined) return { contract: 1, name: site, protectables, arrays: [array] };
  return {
    contract: 1,
    name: site,
    protectables: protectables.map((one) => portedProtectable(one, site, gate)),
    arrays: [portedArray(array, site, gate)],
  };
}

/** Opens an engine on the directory of a case: `plain` protects the application, `silver` is where it is restored to. */
export async function openCloudWorld(
  directory: string,
  lab: OpenStack,
  { store, gate, leaseMilliseconds = 30_000, ahead = 0 }: Opening,
): Promise<World> {
  const { a, b } = await readCloud(directory);
  const [from, to] = [a, b].map(({ account }) => openStackClient(cloudOf(lab, account)));
  if (from === undefined || to === undefined) throw new Error('a case has two projects');
  const plain = filesystemBank(pathsOf(directory).bank);
  const bank = gate === undefined ? plain : portedBank(plain, gate);
  const banks = [{ bank, keys: KEYS, role: 'primary' as const }];
  const strategies = [volumeSnapshot()];
  const providers = [
    defineProvider({ name: 'plain', site: 'a', parts: [partOf('a', from, lab, gate)], strategies, banks }),
    defineProvider({ name: 'silver', site: 'b', parts: [partOf('b', to, lab, gate)], strategies, banks }),
  ];
  const engine = await createEngine({
    store,
    providers,
    clock: { ...systemClock, now: () => Date.now() + ahead },
    leaseMilliseconds,
    observer: { publish: () => undefined },
  });
  return {
    engine,
    session: engine.for({ tenant: TENANT, actor: 'harness' }),
    async [Symbol.asyncDispose]() {
      await engine.close();
      await from.close();
      await to.close();
    },
  };
}
