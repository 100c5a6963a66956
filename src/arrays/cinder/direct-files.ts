import { constants } from 'node:fs';
import { join } from 'node:path';
import type { CallOptions, VolumeSource, VolumeTarget } from '../../core/contracts/index.ts';
import type { OpenFile } from '../../core/open-file.ts';
import { openFile } from '../files/durable.ts';
import { fileWork } from '../files/file-errors.ts';
import { hostMapReaders, type Powers, probePowers } from '../files/powers.ts';
import { createSource } from '../files/source.ts';
import { createTarget } from '../files/target.ts';
import type { DataPath, PathSnapshot, PathVolume } from './data-path.ts';
import { openRaw } from './raw.ts';

/** Where a backend keeps raw files. */
export interface FilesPathOptions {
  /** By which the path is known. */
  readonly kind: 'files';
  /** Volumes are `volume-<id>` in it, and snapshots `snapshot-<id>`: whole files, and no overlays. */
  readonly folder: string;
}

/** A file of at most this many bytes may have data and no block. */
const INLINE = 65_536;

/** The bytes of a backend whose volumes and snapshots are raw files that this host has. */
export function createFilesPath({ folder }: FilesPathOptions): DataPath {
  let known: Powers | undefined;

  // Not one shared promise: a caller who aborts must not end the probe of another.
  const powers = async (call: CallOptions): Promise<Powers> => {
    if (known !== undefined) return known;
    const found = await fileWork(`cannot use ${folder}`, () => probePowers(folder, hostMapReaders, call));
    known ??= found;
    return known;
  };

  async function open(
    file: string,
    name: string,
    size: number,
    flags: number,
    call: CallOptions,
  ): Promise<OpenFile> {
    const handle = await fileWork(`cannot open ${name}`, () => openFile(join(folder, file), flags));
    return await openRaw(name, handle, size, call);
  }

  const openSnapshot = ({ id, name, volume }: PathSnapshot, call: CallOptions): Promise<OpenFile> =>
    open(`snapshot-${id}`, `snapshot ${name}`, volume.size, constants.O_RDONLY, call);

  return {
    kind: 'files',
    async powers(call) {
      const { changeBase, extents } = (await powers(call)).capabilities;
      return { changeBase, extents };
    },
    async open(snapshot, since, call): Promise<VolumeSource> {
      const { runs } = await powers(call);
      const file = await openSnapshot(snapshot, call);
      try {
        return createSource(file, runs, since === undefined ? undefined : await openSnapshot(since, call));
      } catch (error) {
        await file.close();
        throw error;
      }
    },
    async openForWrite({ id, size }: PathVolume, call): Promise<VolumeTarget> {
      const { capabilities, runs } = await powers(call);
      const name = `volume ${id}`;
      const file = await open(`volume-${id}`, name, size, constants.O_RDWR, call);
      try {
        const { blocks } = await fileWork(`cannot open ${name}`, () => file.handle.stat());
        const isBlank = blocks === 0 && size > INLINE;
        return createTarget(file, isBlank, capabilities.extents === 'map' ? runs : undefined);
      } catch (error) {
        await file.close();
        throw error;
      }
    },
  };
}
