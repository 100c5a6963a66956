import { resolve } from 'node:path';
import * as z from 'zod';
import type { StorageArray } from '../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { createFilesArray } from './files/array.ts';
import { hostMapReaders } from './files/powers.ts';

/** Settings of {@link filesArray}. */
export interface FilesArrayOptions {
  /** Unique within a provider; recorded in volumes and checkpoints. */
  readonly name: string;
  /**
   * An existing folder. Volumes are raw sparse files `volumes/<id>.raw` in it, snapshots
   * `snapshots/<name>/<id>.raw`.
   */
  readonly root: string;
}

const schema = strictOptions({
  name: z.string().min(1),
  root: z.string().min(1),
}) satisfies z.ZodType<FilesArrayOptions>;

/**
 * A directory of raw volume files as a storage array. On a file system with reflink (XFS, btrfs) snapshots are
 * clones of one instant; elsewhere they are sparse copies, which hold one instant only if nobody writes. Changed
 * extents need reflink and `filefrag` (e2fsprogs); without it, and without `qemu-img`, sources are read and tested
 * for zeros.
 *
 * A revert puts a new file in the place of the volume's: whoever has the volume open keeps the old one and must
 * open it again. Removing a volume leaves its snapshots.
 */
export function filesArray(options: FilesArrayOptions): StorageArray {
  const { name, root } = parseOptions('filesArray', schema, options);
  return createFilesArray({ name, root: resolve(root) }, hostMapReaders);
}
