import type { ArraySnapshot, CallOptions, StorageArray, VolumeRef } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { fileWork } from './file-errors.ts';
import { createLayout } from './layout.ts';
import { type MapReaders, type Powers, probePowers } from './powers.ts';
import { createSnapshotSets } from './sets.ts';
import { createSource } from './source.ts';
import { createVolumes } from './volumes.ts';

/** Where the files of an array are, and how it is called. */
export interface FilesArraySettings {
  /** Unique within a provider. */
  readonly name: string;
  /** The folder that holds everything. */
  readonly root: string;
}

/** The array with the map readers to choose from; hosts use `filesArray`, tests leave readers out. */
export function createFilesArray({ name, root }: FilesArraySettings, readers: MapReaders): StorageArray {
  const layout = createLayout(root);
  const volumes = createVolumes(name, layout);
  const sets = createSnapshotSets(name, layout, volumes);
  let known: Powers | undefined;

  // Not one shared promise: a caller who aborts must not end the probe of another.
  const powers = async (call: CallOptions): Promise<Powers> => {
    if (known !== undefined) return known;
    const found = await fileWork(`cannot use ${root}`, () => probePowers(root, readers, call));
    known ??= found;
    return known;
  };

  async function make(snapshot: ArraySnapshot, path: string, call: CallOptions): Promise<void> {
    const { copy } = await powers(call);
    await using file = await sets.open(snapshot);
    await copy(file.handle, path, call);
  }

  return {
    contract: 1,
    name,
    capabilities: async (call) => (await powers(call)).capabilities,
    async snapshot(wanted, set, call) {
      call.signal.throwIfAborted();
      return await sets.take(wanted, set, await powers(call), call);
    },
    async find(set, { signal }) {
      signal.throwIfAborted();
      return await sets.find(set);
    },
    list: (prefix, call) => sets.list(prefix, call),
    remove: (snapshot, call) => sets.remove(snapshot, call),
    async open(snapshot, { since }, call) {
      call.signal.throwIfAborted();
      const { capabilities, runs } = await powers(call);
      if (since !== undefined && capabilities.changeBase === 'none') {
        throw new FafnirError('UNSUPPORTED', `array ${name} cannot tell what changed since ${since.name}`);
      }
      const file = await sets.open(snapshot);
      try {
        return createSource(file, runs, since === undefined ? undefined : await sets.open(since));
      } catch (error) {
        await file.close();
        throw error;
      }
    },
    target: {
      create: volumes.create,
      async openForWrite(volume, call) {
        const { capabilities, runs } = await powers(call);
        return await volumes.openForWrite(volume, capabilities.extents === 'map' ? runs : undefined, call);
      },
      remove: volumes.remove,
    },
    async clone(snapshot, id, call): Promise<VolumeRef> {
      call.signal.throwIfAborted();
      const request = { name: id, size: snapshot.volume.size };
      return await volumes.createFrom(request, (path) => make(snapshot, path, call), call);
    },
    async revert(snapshot, call) {
      call.signal.throwIfAborted();
      await volumes.replace(snapshot.volume, (path) => make(snapshot, path, call), call);
    },
  };
}
