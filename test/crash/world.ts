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
  type Protectable,
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
import { readingByCopies } from '../core/engine/copying-array.ts';
import { copiedOutside } from '../core/engine/external-store.ts';
import { plainArray } from './files-storage.ts';
import { lockingBank } from '../banks/locking-bank.ts';
import { outside } from './outside.ts';
import { pathsOf } from './paths.ts';
import { type Gate, portedArray, portedBank, portedProtectable } from './ports.ts';
import type { SiteStorage } from './site-storage.ts';
import { KEYS } from '../core/archive/vaults.ts';

const FREEZER = new URL('fixtures/freezer.ts', import.meta.url).href;

/** Whose application it is. */
export const TENANT: TenantId = parseTenantId('acme');

/** A site of a case, and its array. */
interface Place {
  readonly directory: string;
  readonly root: string;
  readonly site: string;
  readonly array: StorageArray;
  /** The array's id of a volume, where that is not the volume's. */
  readonly volumeId?: (volume: string) => string;
  /** What servers have beside what they have anyway. */
  readonly servers?: ServerRoles;
}

type ServerRoles = Pick<Protectable, 'joined' | 'probe'>;

/** What servers that are made last are asked: whether their record is there. */
const probeIn = (root: string): NonNullable<Protectable['probe']> => {
  const servers = localServer({ root });
  return async ({ id }, _request, call) => {
    if ((await servers.find([id], call)).length === 0) throw new Error(`server ${id} is gone`);
  };
};

function partOf(
  { directory, root, site, array: plain, volumeId = (volume) => volume, servers }: Place,
  gate: Gate | undefined,
): Part {
  const array = gate === undefined ? plain : portedArray(plain, site, gate);
  const volume = localVolume({ root, array });
  const protectables: readonly Protectable[] = [
    localApplication({ root }),
    {
      ...localServer({
        root,
        freezer: { module: FREEZER, options: { directory: pathsOf(directory).paused } },
      }),
      ...servers,
    },
    localNetwork({ root }),
    {
      ...volume,
      volumes: async (resource, call) => {
        const volumes = (await volume.volumes?.(resource, call)) ?? [];
        return volumes.map((one) => ({ ...one, id: volumeId(one.id) }));
      },
    },
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
 * `plain`, `tracked`, `flagged`, `two`, `kept`, `copied` and `outside` protect site `a`; `tracked`, `flagged` and `two`
 * keep snapshots to tell what changed, `flagged` archives in the background, `two` keeps those of two archived
 * checkpoints, `kept` and `copied` leave snapshots where they are, which `copied` reads from copies alone, and `outside`
 * has another service copy them. `silver` is site `b`, `joined` too, whose servers are made last and probed; and `mirror`
 * is where the harness itself restores to.
 */
function providersIn(directory: string, storage: SiteStorage, gate: Gate | undefined): readonly Provider[] {
  const paths = pathsOf(directory);
  const bank: Bank = lockingBank(paths);
  const banks = [
    {
      bank: gate === undefined ? bank : portedBank(bank, gate),
      keys: KEYS,
      role: 'primary' as const,
    },
  ];
  const volumeId = (volume: string): string => storage.volumeId(directory, volume);
  const protectedBy = (array: StorageArray): readonly Part[] => [
    partOf({ directory, root: paths.application, site: 'a', array, volumeId }, gate),
  ];
  const restored = (site: string, root: string, servers: ServerRoles = {}): readonly Part[] => [
    partOf({ directory, root, site, array: plainArray(root), servers }, gate),
  ];
  const { plain, tracking } = storage.arrays(directory);
  return [
    { name: 'plain', site: 'a', parts: protectedBy(plain), banks },
    { name: 'tracked', site: 'a', parts: protectedBy(tracking), banks },
    {
      name: 'flagged',
      site: 'a',
      parts: protectedBy(tracking),
      strategies: [archiveFlag()],
      policy: { archive: { default: true } },
      banks,
    },
    { name: 'two', site: 'a', parts: protectedBy(tracking), policy: { keep: { default: 2 } }, banks },
    { name: 'kept', site: 'a', parts: protectedBy(plain), strategies: [storageArraySnapshot()], banks },
    {
      name: 'copied',
      site: 'a',
      parts: protectedBy(readingByCopies(plain, paths.copies)),
      strategies: [storageArraySnapshot()],
      banks,
    },
    {
      name: 'outside',
      site: 'a',
      parts: [...protectedBy(plain), outside(paths.outside, gate)],
      strategies: [copiedOutside],
      banks,
    },
    { name: 'silver', site: 'b', parts: restored('b', paths.destination), banks },
    {
      name: 'joined',
      site: 'b',
      parts: restored('b', paths.destination, { joined: true, probe: probeIn(paths.destination) }),
      banks,
    },
    { name: 'mirror', site: 'mirror', parts: restored('mirror', paths.mirror), banks },
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
    readonly storage: SiteStorage;
    readonly store: JobStore;
    readonly gate?: Gate;
    readonly leaseMilliseconds?: number;
    readonly ahead?: number;
  },
): Promise<World> {
  const { storage, store, gate, leaseMilliseconds = 30_000, ahead = 0 } = of;
  const clock: Clock = { ...systemClock, now: () => Date.now() + ahead };
  const engine = await createEngine({
    store,
    providers: providersIn(directory, storage, gate),
    clock,
    leaseMilliseconds,
    // Without a limit: what jobs reserve is there, and must be gone in the end.
    quota: () => ({}),
    // Places are taken and given back, and few enough that jobs may wait for them.
    sharedLimits: { jobsPerTenant: 4, archivesPerBank: 2 },
    observer: { publish: () => undefined },
  });
  const session = engine.for({ tenant: TENANT, actor: 'harness' });
  return { engine, session, [Symbol.asyncDispose]: () => engine.close() };
}
