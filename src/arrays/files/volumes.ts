import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ArrayTarget, CallOptions, VolumeRef, VolumeTarget } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { inOwnFolder, isTakenOver, openFile, publishFile, removeRests, syncFolder } from './durable.ts';
import { errnoOf, fileWork } from './file-errors.ts';
import type { Layout } from './layout.ts';
import { createLock } from '../lock.ts';
import { OpenFile } from '../../core/open-file.ts';
import type { RunReader } from './runs.ts';
import { createTarget } from './target.ts';

/** A file of at most this many bytes may have data and no block: some file systems keep it in the inode. */
const INLINE = 65_536;
const FRESH = 'volume.raw';
const ATTEMPTS = 10;
/** Milliseconds, the longest after the first attempt. */
const PAUSE = 50;

/** Fills a new file at a path, durably. */
export type FileMaker = (path: string) => Promise<void>;

/** The volumes of an array, as files. */
export interface Volumes extends Omit<ArrayTarget, 'openForWrite'> {
  /** Opens a volume for writing; `runs` is given where a map of its file costs no reads. */
  openForWrite(volume: VolumeRef, runs: RunReader | undefined, call: CallOptions): Promise<VolumeTarget>;
  /** Opens a volume's file; `NOT_FOUND` where there is none. */
  open(volume: VolumeRef, flags: number): Promise<FileHandle>;
  /** Find-or-create by name with contents. */
  createFrom(
    request: { readonly name: string; readonly size: number },
    make: FileMaker,
    call: CallOptions,
  ): Promise<VolumeRef>;
  /** Puts a new file in the place of an existing volume's, at once. */
  replace(volume: VolumeRef, make: FileMaker, call: CallOptions): Promise<void>;
}

/** The volumes below a layout, of the array of this name. */
export function createVolumes(array: string, layout: Layout): Volumes {
  const lock = createLock();

  const openVolume = async (volume: VolumeRef, flags: number): Promise<FileHandle> => {
    const path = pathOf(volume);
    return await fileWork(`cannot open volume ${volume.id}`, async () => {
      await layout.check();
      return await openFile(path, flags);
    });
  };

  function pathOf(volume: VolumeRef): string {
    if (volume.array === array) return layout.volume(volume.id);
    throw new FafnirError(
      'UNKNOWN_ARRAY',
      `volume ${volume.id} is of array ${volume.array}, not of ${array}`,
    );
  }

  async function sizeOf(id: string): Promise<number | undefined> {
    try {
      await using file = await openFile(layout.volume(id), constants.O_RDONLY);
      return (await file.stat()).size;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The volume of this name and size, if it exists; of another size, it is in the way. */
  async function findVolume(name: string, size: number): Promise<VolumeRef | undefined> {
    const found = await sizeOf(name);
    if (found === undefined) return undefined;
    if (found === size) return { array, id: name, size };
    throw new FafnirError('ALREADY_EXISTS', `volume ${name} exists with ${found} bytes, not ${size}`);
  }

  /** Two callers may think each other dead: the one that was taken over looks again. */
  async function findOrMake(
    request: { readonly name: string; readonly size: number },
    make: FileMaker,
    call: CallOptions,
  ): Promise<VolumeRef> {
    const { name, size } = request;
    for (let attempt = 1; ; attempt += 1) {
      call.signal.throwIfAborted();
      const existing = await findVolume(name, size);
      if (existing !== undefined) {
        // It may have got its name from one who died before the rest was done.
        await removeRests(layout.partialVolume(name));
        await syncFolder(layout.volumes);
        return existing;
      }
      try {
        return await makeAnew(request, make, call);
      } catch (error) {
        if (!isTakenOver(error) || attempt === ATTEMPTS) throw error;
      }
      // By chance, and longer each time: on a slow disk too, two do not take over from each other for ever.
      await delay(Math.random() * PAUSE * attempt, undefined, { signal: call.signal });
    }
  }

  async function makeAnew(
    { name, size }: { readonly name: string; readonly size: number },
    make: FileMaker,
    { signal }: CallOptions,
  ): Promise<VolumeRef> {
    return await inOwnFolder(layout.partialVolume(name), async (folder) => {
      await make(join(folder, FRESH));
      signal.throwIfAborted();
      const published = await publishFile(join(folder, FRESH), layout.volume(name));
      if (published === 'created') return { array, id: name, size };
      return (await findVolume(name, size)) ?? goneAgain(name);
    });
  }

  const createFrom: Volumes['createFrom'] = async (request, make, call) => {
    const { name } = request;
    layout.volume(name);
    call.signal.throwIfAborted();
    return await lock(name, () =>
      fileWork(`cannot create volume ${name}`, async () => {
        await layout.prepare();
        return await findOrMake(request, make, call);
      }),
    );
  };

  return {
    open: openVolume,
    createFrom,
    async create({ name, size }, call) {
      if (!Number.isSafeInteger(size) || size < 0) {
        throw new FafnirError('OUT_OF_RANGE', `not a size for volume ${name}: ${size}`);
      }
      return await createFrom({ name, size }, (path) => makeEmpty(path, size), call);
    },
    async openForWrite(volume, runs, { signal }) {
      signal.throwIfAborted();
      const handle = await openVolume(volume, constants.O_RDWR);
      const { size, blocks } = await fileWork(`cannot open volume ${volume.id}`, () => handle.stat());
      const file = new OpenFile(`volume ${volume.id}`, handle, size);
      return createTarget(file, blocks === 0 && size > INLINE, runs);
    },
    async remove(volume, { signal }) {
      const path = pathOf(volume);
      signal.throwIfAborted();
      await lock(volume.id, () =>
        fileWork(`cannot remove volume ${volume.id}`, async () => {
          signal.throwIfAborted();
          await layout.prepare();
          await removeRests(layout.partialVolume(volume.id));
          await rm(path, { force: true });
          await syncFolder(layout.volumes);
        }),
      );
    },
    async replace(volume, make, { signal }) {
      const path = pathOf(volume);
      await lock(volume.id, () =>
        fileWork(`cannot replace volume ${volume.id}`, async () => {
          signal.throwIfAborted();
          await using current = await openVolume(volume, constants.O_RDONLY);
          const { mode, uid, gid } = await current.stat();
          await inOwnFolder(layout.partialVolume(volume.id), async (folder) => {
            const fresh = join(folder, FRESH);
            await make(fresh);
            await giveTo(fresh, { mode, uid, gid });
            signal.throwIfAborted();
            await rename(fresh, path);
            await syncFolder(layout.volumes);
          });
        }),
      );
    },
  };
}

async function makeEmpty(path: string, size: number): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.truncate(size);
  await file.sync();
}

/** Whoever used the old file must be able to use the new one. */
async function giveTo(
  path: string,
  owner: { readonly mode: number; readonly uid: number; readonly gid: number },
): Promise<void> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const { uid, gid } = await file.stat();
  if (uid !== owner.uid || gid !== owner.gid) await file.chown(owner.uid, owner.gid);
  await file.chmod(owner.mode & 0o7777);
  await file.sync();
}

function goneAgain(name: string): never {
  throw new FafnirError('UNAVAILABLE', `volume ${name} was made and removed by another caller`);
}
