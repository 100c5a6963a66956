import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import type { OpenStackStream } from '../../clients/openstack/index.ts';
import type { Block, CallOptions, VolumeTarget } from '../../core/contracts/index.ts';
import { fileWork } from '../files/file-errors.ts';
import { OpenFile } from '../../core/open-file.ts';
import { createTarget } from '../files/target.ts';
import { createLock } from '../lock.ts';

/** A volume that is read and written whole or not at all. */
export interface WholeVolume {
  /** For messages. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** All that the volume holds, in ascending order. */
  read(call: CallOptions): AsyncIterable<Block>;
  /** Replaces all that the volume holds. */
  write(bytes: OpenStackStream, call: CallOptions): Promise<void>;
}

const PIECE = 2 ** 20;

/**
 * Any writes to such a volume, by a working copy in a folder of this host, which has no name and goes with the process. What the
 * volume holds is fetched when somebody first needs it; a flush replaces it, and what is read after that is fetched anew.
 */
export async function openWholeTarget(volume: WholeVolume, folder: string): Promise<VolumeTarget> {
  const { name, size } = volume;
  const file = await openSpool(folder, name, size);
  const lock = createLock();
  // What the copy is to the volume.
  let copied: 'ahead' | 'no' | 'same' = 'no';
  let copy = createTarget(file, true);

  async function empty(): Promise<void> {
    await truncate(file);
    copy = createTarget(file, true);
  }

  async function fill(blocks: AsyncIterable<Block>, call: CallOptions): Promise<void> {
    await empty();
    for await (const block of blocks) {
      if (block.kind === 'data') await copy.write(block.offset, block.data, call);
    }
  }

  /** Work on a copy of what the volume holds; one at a time, for it may take a while until there is one. */
  async function fetched(call: CallOptions): Promise<void> {
    if (copied !== 'no') return;
    await lock(name, async () => {
      if (copied !== 'no') return;
      await fill(volume.read(call), call);
      copied = 'same';
    });
  }

  async function change(
    offset: number,
    length: number,
    call: CallOptions,
    work: () => Promise<void>,
  ): Promise<void> {
    call.signal.throwIfAborted();
    file.checkRange(offset, length);
    await fetched(call);
    copied = 'ahead';
    await work();
  }

  const close = (): Promise<void> => file.close();
  return {
    size,
    get blank(): boolean {
      return copied === 'ahead' && copy.blank;
    },
    write: (offset, data, call) => change(offset, data.length, call, () => copy.write(offset, data, call)),
    zero: (offset, length, call) => change(offset, length, call, () => copy.zero(offset, length, call)),
    async readInto(offset, into, call) {
      file.checkRange(offset, into.length);
      await fetched(call);
      await copy.readInto(offset, into, call);
    },
    async receive(blocks, call) {
      copied = 'no';
      await fill(blocks, call);
      copied = 'ahead';
    },
    async clear({ signal }) {
      signal.throwIfAborted();
      await empty();
      copied = 'ahead';
    },
    async flush(call) {
      call.signal.throwIfAborted();
      await lock(name, async () => {
        if (copied !== 'ahead') return;
        await volume.write({ size, open: () => piecesOf(file, call) }, call);
        copied = 'no';
      });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A file without a name: whatever dies, nothing stays. */
async function openSpool(folder: string, name: string, size: number): Promise<OpenFile> {
  const what = `the working copy of ${name}`;
  const path = join(folder, `fafnir-${randomUUID()}`);
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await fileWork(`cannot make ${what}`, () => open(path, flags, 0o600));
  const file = new OpenFile(what, handle, size);
  try {
    await fileWork(`cannot make ${what}`, () => rm(path));
    await truncate(file);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Makes it read as zeros, and gives back its room. */
const truncate = (file: OpenFile): Promise<void> =>
  fileWork(`cannot make ${file.name}`, async () => {
    await file.handle.truncate(0);
    await file.handle.truncate(file.size);
  });

async function* piecesOf(file: OpenFile, call: CallOptions): AsyncGenerator<Uint8Array, void, undefined> {
  for (let offset = 0; offset < file.size; offset += PIECE) {
    const piece = new Uint8Array(Math.min(PIECE, file.size - offset));
    await file.read(offset, piece, call);
    yield piece;
  }
}
