import { readFileSync } from 'node:fs';

type User = { readonly accessKeyId: string; readonly secretAccessKey: string };

/** What `rbdArray` needs beside its name. */
type Rbd = {
  readonly pool: string;
  readonly user: string;
  readonly keyring: string;
  readonly monitors: readonly string[];
};

/** The lab's S3 service and pool of block devices, and who may use them. */
export type Ceph = {
  readonly endpoint: string;
  readonly region: string;
  /** Has the bucket `fafnir`. */
  readonly owner: User;
  /** Has nothing and may nothing. */
  readonly stranger: User;
  /** Has the bucket `small`, and a quota of 1 MiB. */
  readonly small: User;
  /** The owner by Swift's protocol: what `swiftBank` takes for TempAuth. */
  readonly swift: { readonly authUrl: string; readonly user: string; readonly key: string };
  /** May use the pool, and nothing else. */
  readonly rbd: Rbd;
  /** May do everything with the pool. */
  readonly admin: { readonly pool: string; readonly conf: string; readonly keyring: string };
};

/** The lab's Ceph, or why there is none and how to get one. */
export type CephLab =
  | { readonly ceph: Ceph; readonly skipped?: undefined }
  | { readonly ceph?: undefined; readonly skipped: string };

/** Tells whether the Ceph lab is to be used. */
export function cephLab(): CephLab {
  const settings = process.env.FAFNIR_LAB_CEPH ?? '';
  if (settings !== '') return { ceph: JSON.parse(readFileSync(settings, 'utf8')) };
  return { skipped: 'FAFNIR_LAB_CEPH is not set; run `npm run lab:ceph` as root and export what it prints' };
}
