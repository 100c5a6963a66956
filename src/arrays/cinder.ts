import * as z from 'zod';
import type { OpenStackClient } from '../clients/openstack/index.ts';
import type { StorageArray } from '../core/contracts/index.ts';
import { isJsonObject } from '../core/json-value.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { type CinderPath, createCinderArray } from './cinder/array.ts';
import type { AttachedPathOptions } from './cinder/attached.ts';
import type { VolumeConnector } from './cinder/attachments.ts';
import type { BackupPathOptions } from './cinder/backup.ts';
import { BACKENDS, type CinderBackend } from './cinder/backends.ts';
import type { ConnectVolume } from './cinder/connection.ts';
import type { FilesPathOptions } from './cinder/direct-files.ts';
import type { RbdPathOptions } from './cinder/direct-rbd.ts';
import type { ImagePathOptions } from './cinder/image.ts';

export type { CinderPath } from './cinder/array.ts';
export type { AttachedPathOptions } from './cinder/attached.ts';
export type { Mover, VolumeConnector } from './cinder/attachments.ts';
export type { BackupPathOptions } from './cinder/backup.ts';
export type { CinderBackend } from './cinder/backends.ts';
export type { ConnectedVolume, ConnectVolume, VolumeConnection } from './cinder/connection.ts';
export type { FilesPathOptions } from './cinder/direct-files.ts';
export type { RbdPathOptions } from './cinder/direct-rbd.ts';
export type { ImagePathOptions } from './cinder/image.ts';

/** Settings of {@link cinderArray}. */
export interface CinderArrayOptions {
  /** Unique within a provider; recorded in volumes and checkpoints. */
  readonly name: string;
  /** The cloud; its credentials choose the project. Closed by whoever made it, when the engine was closed. */
  readonly client: OpenStackClient;
  /** The name of the volume type whose volumes these are; each volume's id is Cinder's. */
  readonly volumeType: string;
  /** What keeps them, where that makes a difference; `other` unless given. */
  readonly backend?: CinderBackend;
  /** The ways to the bytes, the best first: the first one reads, and the first that can write does. */
  readonly paths: readonly CinderPath[];
  /**
   * The names of the group types whose group snapshots hold one instant: their spec `consistent_group_snapshot_enabled` is
   * `<is> True`, which administrators alone are shown. Volumes that are all members of one group of such a type are snapshot as one
   * where that is asked for. None unless given.
   */
  readonly consistentGroupTypes?: readonly string[];
  /** Milliseconds that Cinder may take for a snapshot; 10 minutes unless given. */
  readonly timeout?: number;
  /** Milliseconds for what may move data: new volumes, reverts, images, removals; 6 hours unless given. */
  readonly longTimeout?: number;
  /** Calls that an engine may have under way at once, and requests of each; 4 unless given. */
  readonly concurrency?: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** The longest that a timer of Node takes. */
const milliseconds = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);
/** Not to be taken for an option of a program. */
const value = z.string().regex(/^(?!-)\P{Cc}+$/u);

/** What Cinder keeps of a host, also in the metadata of a volume. */
const HOST = /^\P{Cc}{1,255}$/u;
const LONGEST_CONNECTOR = 16_384;

const files = strictOptions({
  kind: z.literal('files'),
  folder: z.string().min(1),
}) satisfies z.ZodType<FilesPathOptions>;
const rbd = strictOptions({
  kind: z.literal('rbd'),
  pool: value,
  user: value.exactOptional(),
  conf: value.exactOptional(),
  monitors: z.array(value).min(1).readonly().exactOptional(),
  keyring: value.exactOptional(),
  timeout: milliseconds.exactOptional(),
}) satisfies z.ZodType<RbdPathOptions>;
const image = strictOptions({
  kind: z.literal('image'),
  spool: z.string().min(1).exactOptional(),
}) satisfies z.ZodType<ImagePathOptions>;
const attached = strictOptions({
  kind: z.literal('attached'),
  connector: z.custom<VolumeConnector>(
    isConnector,
    'must be a JSON object whose host is the name of this host',
  ),
  connect: z
    .custom<ConnectVolume>((given) => typeof given === 'function', 'must be a function')
    .exactOptional(),
}) satisfies z.ZodType<AttachedPathOptions>;
const backup = strictOptions({ kind: z.literal('backup') }) satisfies z.ZodType<BackupPathOptions>;

const schema = strictOptions({
  name: z.string().min(1),
  client: z.custom<OpenStackClient>(isObject),
  volumeType: z.string().min(1),
  backend: z
    .custom<CinderBackend>(isBackend, `not one of ${Object.keys(BACKENDS).join(', ')}`)
    .exactOptional(),
  paths: z
    .array(z.discriminatedUnion('kind', [files, rbd, image, backup, attached]))
    .min(1)
    .readonly(),
  consistentGroupTypes: z.array(z.string().min(1)).readonly().exactOptional(),
  timeout: milliseconds.exactOptional(),
  longTimeout: milliseconds.exactOptional(),
  concurrency: z.int().min(1).exactOptional(),
}) satisfies z.ZodType<CinderArrayOptions>;

/**
 * The volumes of one type in a project of an OpenStack cloud as a storage array: Cinder takes the snapshots, and a path reads
 * and writes bytes. With the path `rbd` or `files` that is the backend itself; with `image` and `backup` it is what Cinder,
 * Glance and Swift do for everybody; `image` writes where it has a `spool`. With `attached` it is volumes that Cinder attaches to
 * this host.
 *
 * Snapshots are taken beside each other, not at one instant: `group` is false; but see `consistentGroupTypes`. Volumes have whole GiB. A revert is to the
 * latest snapshot alone, but with a path `rbd` to any, and only volumes that nobody uses are written to. Where `backend` is one whose snapshots are no
 * copies, they are refused.
 */
export function cinderArray(options: CinderArrayOptions): StorageArray {
  const parsed = parseOptions('cinderArray', schema, options);
  const {
    backend = 'other',
    consistentGroupTypes = [],
    timeout = 10 * MINUTE,
    longTimeout = 6 * HOUR,
    concurrency = 4,
    ...rest
  } = parsed;
  const deadlines = { short: timeout, long: longTimeout };
  return createCinderArray({
    ...rest,
    backend: BACKENDS[backend],
    consistentGroupTypes,
    deadlines,
    concurrency,
  });
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function isConnector(value: unknown): boolean {
  if (!isJsonObject(value, LONGEST_CONNECTOR)) return false;
  const { host } = value;
  return typeof host === 'string' && HOST.test(host);
}

function isBackend(value: unknown): boolean {
  return typeof value === 'string' && Object.hasOwn(BACKENDS, value);
}
