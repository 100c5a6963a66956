import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { CallOptions, VolumeSource, VolumeTarget } from '../../core/contracts/index.ts';
import { fileWork } from '../../core/file-errors.ts';
import type { OpenFile } from '../../core/open-file.ts';
import { scanRuns } from '../files/run-readers.ts';
import { createSource } from '../files/source.ts';
import { createTarget } from '../files/target.ts';
import type { Attachments, Mover } from './attachments.ts';
import type { ConnectedVolume } from './connection.ts';
import type { DataPath, PathSnapshot, PathVolume } from './data-path.ts';
import { openRaw } from './raw.ts';
import { createUsers } from './users.ts';
import type { Volumes } from './volumes.ts';

/** Reading and writing by volumes that are attached to this host. */
export interface AttachedPathOptions extends Mover {
  /** By which the path is known. */
  readonly kind: 'attached';
}

/** What volumes are attached with. */
export interface AttachingTools {
  /** Attaches them. */
  readonly attachments: Attachments;
  /** Makes volumes of snapshots. */
  readonly volumes: Pick<Volumes, 'createTemporary' | 'removeTemporary'>;
}

/**
 * The bytes of any backend, by volumes that Cinder attaches to this host as it does to those of servers. To read a snapshot, a
 * volume is made from it, which is there while the snapshot is open; all of a reader in this process share that.
 */
export function createAttachedPath({ attachments, volumes }: AttachingTools): DataPath {
  const attached = new Map<string, ConnectedVolume>();
  const users = createUsers(sweep);

  /** Also while this process has it attached. */
  async function sweep(reader: string, call: CallOptions): Promise<readonly string[]> {
    const volume = attached.get(reader);
    attached.delete(reader);
    await volume?.[Symbol.asyncDispose]();
    return await volumes.removeTemporary(reader, call);
  }

  async function attachCopy(snapshot: PathSnapshot, call: CallOptions): Promise<ConnectedVolume> {
    const { reader } = snapshot;
    // What a dead caller left.
    await volumes.removeTemporary(reader, call);
    const temporary = await volumes.createTemporary(snapshot, call);
    const made = await attachments.attach(temporary.id, call);
    attached.set(reader, made);
    return made;
  }

  return {
    kind: 'attached',
    powers: async () => ({ changeBase: 'none', extents: 'scan' }),
    sweep,
    async open(snapshot, _, call): Promise<VolumeSource> {
      const { reader, name, volume } = snapshot;
      const file = await users.enter(reader, async () => {
        const { path } = attached.get(reader) ?? (await attachCopy(snapshot, call));
        return await openDevice(path, `snapshot ${name}`, volume.size, constants.O_RDONLY, call);
      });
      return closing(createSource(file, scanRuns), () => users.leave(reader));
    },
    async openForWrite({ id, size }: PathVolume, call): Promise<VolumeTarget> {
      const volume = await attachments.attach(id, call);
      const detach = async (): Promise<void> => await volume[Symbol.asyncDispose]();
      try {
        // A block device that the system itself uses is refused so.
        const flags = constants.O_RDWR | constants.O_EXCL;
        const file = await openDevice(volume.path, `volume ${id}`, size, flags, call);
        return closing(createTarget(file, false), detach);
      } catch (error) {
        await Promise.allSettled([detach()]);
        throw error;
      }
    },
  };
}

async function openDevice(
  path: string,
  name: string,
  size: number,
  flags: number,
  call: CallOptions,
): Promise<OpenFile> {
  const codes = { EBUSY: 'BUSY', ENOENT: 'NOT_FOUND' } as const;
  // Not blocking: a pipe in the place of a device must not hang the caller.
  const handle = await fileWork(`cannot open ${name}`, () => open(path, flags | constants.O_NONBLOCK), codes);
  return await openRaw(name, handle, size, call);
}

/** The same with more to do when it is closed, once. */
function closing<Opened extends VolumeSource | VolumeTarget>(
  opened: Opened,
  more: () => Promise<void>,
): Opened {
  let ended: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    try {
      await opened.close();
    } finally {
      await more();
    }
  };
  const close = (): Promise<void> => {
    ended ??= end();
    return ended;
  };
  return { ...opened, close, [Symbol.asyncDispose]: close };
}
