import { existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MOUNT = join(import.meta.dirname, '../../../.lab/xfs/mount');
const XFS = 0x58465342;

/** The lab's XFS: where it is, or why there is none and how to get one. */
export type XfsLab =
  | { readonly path: string; readonly skipped?: undefined }
  | { readonly path?: undefined; readonly skipped: string };

/** Tells whether the XFS lab is up. */
export function xfsLab(): XfsLab {
  const mounted =
    existsSync(MOUNT) &&
    statSync(MOUNT).dev !== statSync(dirname(MOUNT)).dev &&
    statfsSync(MOUNT).type === XFS;
  if (mounted) return { path: MOUNT };
  return { skipped: 'no XFS is mounted at .lab/xfs/mount; run `npm run lab:xfs` as root' };
}
