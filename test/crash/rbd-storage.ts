import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { rbdArray } from '../../src/arrays/rbd.ts';
import type { VolumeRef } from '../../src/index.ts';
import { type Ceph, cephLab } from '../lab/ceph/ceph.ts';
import { clear, exported, imagesOf, rbd, written } from '../lab/ceph/pool.ts';
import { VOLUMES } from './application.ts';
import { pathsOf } from './paths.ts';
import type { FoundSnapshot, SiteStorage } from './site-storage.ts';

/**
 * Steps, calls of the array that change the cluster or read from it for long, pauses, what makes or changes a checkpoint,
 * and programs that change the cluster or stream from it. All else is read, or is of the bank, and is struck on files.
 * After one is before the next: nothing lies between them that a death could leave by halves.
 */
const STRUCK = new RegExp(
  [
    'rbd (snap (create|rename|rm)|export-diff) started',
    'store\\.(enqueue|claim|acquire|append|finish)( .*)? before',
    'a\\.array\\.(?!capabilities|find)\\S+ before',
    'a\\.Local::Server\\.quiescing\\.\\S+ before',
    'bank\\.put (commits|addenda) before',
    'store\\.finish after',
  ]
    .map((beginning) => `^${beginning}`)
    .join('|'),
);

/** The volumes are images in the pool of the Ceph lab, called after the case. */
export function rbdStorage(): SiteStorage {
  const { ceph, skipped } = cephLab();
  if (ceph === undefined) throw new Error(`no site rbd: ${skipped}`);
  const { pool } = ceph.rbd;
  const prefixOf = (directory: string): string => `${basename(directory)}-`;
  const volumeId = (directory: string, volume: string): string => `${prefixOf(directory)}${volume}`;
  const volumesOf = (directory: string): readonly { readonly file: string; readonly volume: VolumeRef }[] =>
    Object.entries(VOLUMES).map(([id, size]) => ({
      file: join(pathsOf(directory).application, 'volumes', `${id}.raw`),
      volume: { array: 'rbd', id: volumeId(directory, id), size },
    }));
  return {
    name: 'rbd',
    // A snapshot's number is the pool's.
    isCopied: false,
    program: 'rbd',
    isStruck: (place) => STRUCK.test(place),
    arrays() {
      const array = rbdArray({ name: 'rbd', ...ceph.rbd });
      return { plain: array, tracking: array };
    },
    volumeId,
    async publish(directory) {
      const there = await imagesOf(ceph, prefixOf(directory));
      await Promise.all(
        volumesOf(directory).map(async ({ file, volume }) => {
          const isThere = there.includes(volume.id);
          if (!isThere) await rbd(ceph, 'create', '--size', `${volume.size}B`, `${pool}/${volume.id}`);
          const held = isThere ? await exported(ceph, volume) : Buffer.alloc(volume.size);
          await writeChange(ceph, volume, held, await readFile(file));
        }),
      );
    },
    async snapshots(directory) {
      const images = await imagesOf(ceph, prefixOf(directory));
      const found = images.map(async (image): Promise<readonly FoundSnapshot[]> => {
        const snapshots = await rbd(ceph, 'snap', 'ls', '--format', 'json', `${pool}/${image}`);
        return JSON.parse(snapshots).map(({ name }: FoundSnapshot) => ({ name, volume: image }));
      });
      return (await Promise.all(found)).flat();
    },
    async differences(directory) {
      const volumes = volumesOf(directory);
      const known = new Set(volumes.map(({ volume }) => volume.id));
      const images = await imagesOf(ceph, prefixOf(directory));
      const strays = images.filter((image) => !known.has(image));
      const changed = volumes.map(async ({ file, volume }) => {
        const [is, was] = await Promise.all([exported(ceph, volume), readFile(file)]);
        return digest(is) === digest(was) ? [] : [`image ${volume.id} was changed`];
      });
      return [
        ...strays.map((image) => `nobody knows image ${image}`),
        ...(await Promise.all(changed)).flat(),
      ];
    },
    async reconcile(engine) {
      const { undecided, arrays } = await engine.reconcile({ provider: 'tracked' });
      const odd = arrays.filter(({ inUse, failed, missing }) => inUse + failed.count + missing.count > 0);
      if (undecided.count + odd.length === 0) return [];
      return [`a reconciliation found what should not be: ${JSON.stringify({ undecided, arrays: odd })}`];
    },
    clear: (directory) => clear(ceph, prefixOf(directory)),
  };
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Writes from the first byte that differs to the last, so that the rest is unchanged for the cluster too. */
async function writeChange(
  ceph: Ceph,
  volume: VolumeRef,
  held: Uint8Array,
  wanted: Uint8Array,
): Promise<void> {
  const differs = (_: number, at: number): boolean => held[at] !== wanted[at];
  const first = wanted.findIndex(differs);
  if (first < 0) return;
  await written(ceph, volume, first, wanted.subarray(first, wanted.findLastIndex(differs) + 1));
}
