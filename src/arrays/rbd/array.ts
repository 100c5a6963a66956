import { RbdClient, type RbdDeadlines } from '../../clients/rbd/client.ts';
import type { RbdAccess } from '../../clients/rbd/run.ts';
import type { ArrayCapabilities, StorageArray } from '../../core/contracts/index.ts';
import { LONGEST_NAME } from './names.ts';
import { createSnapshots } from './snapshots.ts';
import { openSource } from './source.ts';
import { RbdTarget } from './target.ts';
import { createVolumes } from './volumes.ts';

/** What an array over RBD is made of. */
export interface RbdArraySettings {
  /** Unique within a provider. */
  readonly name: string;
  /** How the cluster is reached. */
  readonly access: RbdAccess;
  /** How long its programs may take. */
  readonly deadlines: RbdDeadlines;
  /** Calls of one engine, and child processes of one call, at once. */
  readonly concurrency: number;
}

/** The array; hosts use `rbdArray`. */
export function createRbdArray({ name, access, deadlines, concurrency }: RbdArraySettings): StorageArray {
  const client = new RbdClient(access, deadlines);
  const snapshots = createSnapshots({ array: name, client, concurrency });
  const volumes = createVolumes(name, client);
  const capabilities: ArrayCapabilities = {
    // Group snapshots exist, and `rbd` cannot read them.
    group: false,
    pointInTime: true,
    changeBase: 'snapshot',
    extents: 'map',
    nameLength: LONGEST_NAME,
    concurrency,
  };
  return {
    contract: 1,
    name,
    capabilities: async () => capabilities,
    snapshot: snapshots.take,
    find: snapshots.find,
    list: snapshots.list,
    remove: snapshots.remove,
    async open(snapshot, { since }, call) {
      return openSource(client, await snapshots.resolve(snapshot, since, call));
    },
    target: {
      create: ({ name: image, size }, call) => volumes.create(image, size, call),
      async openForWrite(volume, call) {
        const { size } = await volumes.find(volume, call);
        const timeout = deadlines.short;
        return await RbdTarget.open({ client, access, image: volume.id, size, timeout }, call);
      },
      remove: volumes.remove,
    },
    async clone(snapshot, image, call) {
      const { to } = await snapshots.resolve(snapshot, undefined, call);
      return await volumes.clone(
        { image: snapshot.volume.id, snapshot: to.name, size: to.size },
        image,
        call,
      );
    },
    async revert(snapshot, call) {
      const { to } = await snapshots.resolve(snapshot, undefined, call);
      await volumes.rollBack(snapshot.volume.id, to.name, call);
    },
  };
}
