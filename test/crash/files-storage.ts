import { createFilesArray } from '../../src/arrays/files/array.ts';
import type { StorageArray } from '../../src/index.ts';
import { collect } from '../../src/testing/storage-array/helpers.ts';
import { comparingArray } from './change-base.ts';
import { pathsOf } from './paths.ts';
import type { SiteStorage } from './site-storage.ts';

/** The array of a site. It asks no program of the host, whose answers would come when they please. */
export const plainArray = (root: string): StorageArray => createFilesArray({ name: 'files', root }, {});

const call = { signal: new AbortController().signal };

/** The application's files are the volumes. */
export const filesStorage: SiteStorage = {
  name: 'files',
  isCopied: true,
  isStruck: () => true,
  arrays(directory) {
    const plain = plainArray(pathsOf(directory).application);
    return { plain, tracking: comparingArray(plain) };
  },
  volumeId: (_, volume) => volume,
  publish: async () => undefined,
  async snapshots(directory) {
    const found = await collect(plainArray(pathsOf(directory).application).list('', call));
    return found.map(({ name, volume }) => ({ name, volume: volume.id }));
  },
  differences: async () => [],
  async reconcile(engine) {
    await engine.reconcile();
    return [];
  },
  clear: async () => undefined,
};
