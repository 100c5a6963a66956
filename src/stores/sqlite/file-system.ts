import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { FafnirError } from '../../core/errors.ts';

// By the numbers that Linux gives file systems; another system's numbers are smaller, and none of them is here.
const UNSAFE: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x01021997, '9P'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x65735546, 'FUSE'],
]);

/** The name of a file system that is, or for all we can see may be, on another machine; by its number of `statfs`. */
export function networkFileSystem(type: number): string | undefined {
  return UNSAFE.get(type);
}

/**
 * Refuses a path on a network file system, before anything is made there: the locks and the shared memory of SQLite
 * do not hold between machines, so that two hosts could take the same job.
 */
export function assertLocalFileSystem(path: string): void {
  const { type } = statfsSync(existsSync(path) ? path : dirname(path));
  const found = networkFileSystem(type);
  if (found === undefined) return;
  const what =
    found === 'FUSE' ? 'FUSE, which may be a network file system' : `the network file system ${found}`;
  throw new FafnirError('UNSUPPORTED', `the job store ${path} is on ${what}`, {
    hint: 'Put the job store on a local disk, such as ext4 or XFS.',
  });
}
