import type { FileHandle } from 'node:fs/promises';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { OpenFile } from '../../core/open-file.ts';
import { fileWork } from '../files/file-errors.ts';
import { OVERLAY_HEAD, refuseOverlay } from './overlay.ts';

/**
 * The open file or block device of a volume or snapshot, once it is known to be one: no overlay, and of the right size. Owns
 * the handle, also where it rejects.
 */
export async function openRaw(
  name: string,
  handle: FileHandle,
  size: number,
  { signal }: CallOptions,
): Promise<OpenFile> {
  try {
    signal.throwIfAborted();
    const head = new Uint8Array(OVERLAY_HEAD);
    const length = await fileWork(`cannot open ${name}`, async () => {
      const found = await lengthOf(handle, name);
      await handle.read(head, 0, Math.min(OVERLAY_HEAD, found), 0);
      return found;
    });
    refuseOverlay(name, head.subarray(0, length));
    if (length === size) return new OpenFile(name, handle, size);
    throw new FafnirError('WRONG_ANSWER', `the file of ${name} has ${length} bytes, not ${size}`);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Of a block device the system tells no size: it is where reads begin to find nothing. */
async function lengthOf(handle: FileHandle, name: string): Promise<number> {
  const stat = await handle.stat();
  if (stat.isFile()) return stat.size;
  if (!stat.isBlockDevice()) {
    throw new FafnirError('WRONG_ANSWER', `what is there of ${name} is neither a file nor a block device`);
  }
  const byte = new Uint8Array(1);
  let [least, most] = [0, Number.MAX_SAFE_INTEGER];
  while (least < most) {
    const middle = least + Math.floor((most - least) / 2);
    if ((await handle.read(byte, 0, 1, middle)).bytesRead === 0) most = middle;
    else least = middle + 1;
  }
  return least;
}
