import * as z from 'zod';
import type { OpenStackClient } from '../clients/openstack/index.ts';
import type {
  CallOptions,
  ExternalCopies,
  SnapshotCopy,
  SnapshotStrategy,
  StorageArray,
} from '../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { Backups } from './cinder-backup/backups.ts';
import { importRecords } from './cinder-backup/records.ts';
import { recordsOf } from './cinder-backup/reference.ts';
import { CinderBackups } from './cinder-backup/store.ts';
import { instantOf } from './instant.ts';

/** Settings of {@link cinderBackups}. */
export interface CinderBackupsOptions {
  /** Unique within a provider; recorded in checkpoints. */
  readonly name: string;
  /** The cloud; its credentials choose the project. Closed by whoever made it, when the engine was closed. */
  readonly client: OpenStackClient;
  /** Whose snapshots are backed up, and by whose paths restored volumes are read and removed: a `cinderArray` that can write. */
  readonly array: StorageArray;
  /** The name of the array's volume type: volumes that backups are restored to are of it. */
  readonly volumeType: string;
  /** Where Cinder keeps the backups, such as a container of Swift; what Cinder thinks fit unless given. */
  readonly container?: string;
  /** Backups in a chain at most: a full one, and incremental ones that need all before them. 1: all are full. Default 7. */
  readonly chain?: number;
  /** An administrator's client: records of backups are exported and kept with the checkpoint. None unless given. */
  readonly administrator?: OpenStackClient;
  /** Milliseconds that Cinder may take for a backup, a restore or a removal; 6 hours unless given. */
  readonly timeout?: number;
}

/** Settings of {@link cinderBackup}. */
export interface CinderBackupOptions {
  /** The name of the {@link cinderBackups} that has the backups. */
  readonly store: string;
  /** The name of its array. */
  readonly array: string;
  /**
   * `restored`: a backup counts once Cinder has restored it and every byte was compared with the snapshot, which then goes as
   * the policy `keep` says. `later`: it counts for nothing until it is verified, and all snapshots stay. Default `restored`.
   */
  readonly proof?: 'restored' | 'later';
}

/** Settings of {@link importCinderBackups}. */
export interface ImportCinderBackupsOptions extends CallOptions {
  /** An administrator's client in the project that is to have the backups. */
  readonly administrator: OpenStackClient;
  /** Milliseconds for each; 10 minutes unless given. */
  readonly timeout?: number;
}

const HOUR = 3_600_000;
const MINUTE = 60_000;
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
const milliseconds = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);

const storeSchema = strictOptions({
  name: z.string().min(1),
  client: z.custom<OpenStackClient>(isObject),
  array: z.custom<StorageArray>(isObject),
  volumeType: z.string().min(1),
  container: z.string().min(1).exactOptional(),
  chain: z.int().min(1).max(100).exactOptional(),
  administrator: z.custom<OpenStackClient>(isObject).exactOptional(),
  timeout: milliseconds.exactOptional(),
}) satisfies z.ZodType<CinderBackupsOptions>;

const strategySchema = strictOptions({
  store: z.string().min(1),
  array: z.string().min(1),
  proof: z.enum(['restored', 'later']).exactOptional(),
}) satisfies z.ZodType<CinderBackupOptions>;

const importSchema = strictOptions({
  administrator: z.custom<OpenStackClient>(isObject),
  timeout: milliseconds.exactOptional(),
  signal: z.instanceof(AbortSignal),
}) satisfies z.ZodType<ImportCinderBackupsOptions>;

/**
 * The backups that Cinder itself makes of snapshots, as a store of copies. That Cinder calls a backup available proves nothing:
 * it is restored to a volume of its own, which goes afterwards, and compared with the snapshot, or with a digest of it that is
 * kept in the checkpoint.
 *
 * A backup that later ones are built on is not removed before them; until then it is marked `fafnir-removed`.
 */
export function cinderBackups(options: CinderBackupsOptions): ExternalCopies {
  const {
    client,
    container,
    volumeType,
    timeout = 6 * HOUR,
    chain = 7,
    administrator,
    array,
    ...rest
  } = parseOptions('cinderBackups', storeSchema, options);
  const backups = new Backups({ client, array, container, volumeType, timeout });
  return new CinderBackups({ ...rest, array, backups, chain, administrator });
}

/** Has Cinder back up the snapshots of one array, in the store of a {@link cinderBackups}. */
export function cinderBackup(options: CinderBackupOptions): SnapshotStrategy {
  const { store, array, proof = 'restored' } = parseOptions('cinderBackup', strategySchema, options);
  return Object.freeze<SnapshotStrategy>({
    contract: 1,
    name: 'cinder-backup',
    canHandle({ policy, ...request }) {
      const { volume } = request;
      if (volume.array !== array) {
        return { canHandle: false, reason: `array ${volume.array} is not ${array}, which Cinder backs up` };
      }
      return policy.archive
        ? { canHandle: false, reason: 'an archive is asked for' }
        : { canHandle: true, reason: instantOf(request, 'gives a snapshot for Cinder to back up') };
    },
    plan: ({ policy: { keep } }) => ({
      required: ['array', 'external'],
      background: [],
      store,
      ...(proof === 'restored' ? { proof: 'source-compared', keep } : { proof: 'stored', keep: 'all' }),
    }),
  });
}

/**
 * Makes Cinder know the backup of a copy again, with those that it is built on: here, or in another cloud whose Cinder has the
 * container that they are in. `NOT_FOUND` where the checkpoint has no records of it.
 */
export async function importCinderBackups(
  copy: SnapshotCopy,
  options: ImportCinderBackupsOptions,
): Promise<void> {
  const {
    administrator,
    timeout = 10 * MINUTE,
    signal,
  } = parseOptions('importCinderBackups', importSchema, options);
  await importRecords(administrator, recordsOf(copy), { timeout, signal });
}
