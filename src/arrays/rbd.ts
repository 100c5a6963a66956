import * as z from 'zod';
import { isRbdName } from '../clients/rbd/names.ts';
import type { StorageArray } from '../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { createRbdArray } from './rbd/array.ts';

/** Settings of {@link rbdArray}. */
export interface RbdArrayOptions {
  /** Unique within a provider; recorded in volumes and checkpoints. */
  readonly name: string;
  /** The pool; each of its images is a volume, whose id is the image's name. */
  readonly pool: string;
  /** The user without `client.`; it needs `profile rbd` on the pool and no more. Ceph's own default is `admin`. */
  readonly user?: string;
  /** The path of the configuration file; `/etc/ceph/ceph.conf` unless given or replaced by `monitors`. */
  readonly conf?: string;
  /** Addresses of monitors, such as `192.0.2.1:6789` or `[v2:192.0.2.1:3300]`. Without `conf`, no file is read. */
  readonly monitors?: readonly string[];
  /** The path of the file with the user's key. Ceph looks in its own places unless given. */
  readonly keyring?: string;
  /** Milliseconds that a call of `rbd` may take, and that a stream or a request may be silent for; 60 000 unless given. */
  readonly timeout?: number;
  /** Milliseconds for what moves data inside the cluster: clone, revert, removal of a volume; 6 hours unless given. */
  readonly longTimeout?: number;
  /** Calls that an engine may have under way at once, and child processes of each; 4 unless given. */
  readonly concurrency?: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** The longest that a timer of Node takes. */
const milliseconds = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);
const rbdName = z
  .string()
  .refine(isRbdName, 'not a name: 1 to 255 characters without @ and /, and no hyphen first');
/** Not to be taken for an option. */
const value = z.string().regex(/^(?!-)\P{Cc}+$/u);

const schema = strictOptions({
  name: z.string().min(1),
  pool: rbdName,
  user: value.exactOptional(),
  conf: value.exactOptional(),
  monitors: z.array(value).min(1).readonly().exactOptional(),
  keyring: value.exactOptional(),
  timeout: milliseconds.exactOptional(),
  longTimeout: milliseconds.exactOptional(),
  concurrency: z.int().min(1).exactOptional(),
}) satisfies z.ZodType<RbdArrayOptions>;

/**
 * A pool of Ceph RBD images as a storage array, by the programs `rbd` (package ceph-common) and, to write volumes,
 * `qemu-nbd` (qemu-utils and qemu-block-extra). Linux only.
 *
 * Snapshots are taken beside each other, not at one instant: `group` is false. They are read as the streams that
 * `rbd export-diff` prints, byte-exact and with what changed since an older one. A clone is given bytes of its own; a
 * revert that dies half-way leaves the volume mixed until it is repeated; removing a volume that has snapshots or
 * clones is refused.
 */
export function rbdArray(options: RbdArrayOptions): StorageArray {
  const parsed = parseOptions('rbdArray', schema, options);
  const { name, timeout = MINUTE, longTimeout = 6 * HOUR, concurrency = 4, ...access } = parsed;
  return createRbdArray({ name, access, deadlines: { short: timeout, long: longTimeout }, concurrency });
}
