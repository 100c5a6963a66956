import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { StorageArray, VolumeRef } from '../../src/index.ts';

const call = { signal: new AbortController().signal };

/** Snapshots a volume of a files array below a root, and gives that a name that the array itself would refuse. */
export const renamedSnapshot =
  (array: StorageArray, root: string) =>
  async (volumes: VolumeRef | readonly VolumeRef[], name: string): Promise<void> => {
    await array.snapshot([volumes].flat(), 'others', call);
    await rename(join(root, 'snapshots', 'others'), join(root, 'snapshots', name));
  };
