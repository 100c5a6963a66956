import type { NbdConnection } from '../../clients/nbd/connection.ts';
import { serveImage } from '../../clients/nbd/qemu-nbd.ts';
import { qemuImage } from '../../clients/rbd/qemu-image.ts';
import { RBD_ENVIRONMENT, type RbdAccess } from '../../clients/rbd/run.ts';
import type { CallOptions, VolumeTarget } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { checkSize } from './volumes.ts';

/** The image to write. */
export interface TargetRequest {
  /** How the cluster is reached. */
  readonly access: RbdAccess;
  /** The image. */
  readonly image: string;
  /** Its bytes. */
  readonly size: number;
  /** Milliseconds that an answer may take. */
  readonly timeout: number;
}

/** An image as a target, served by a process of its own until it is closed. */
export async function openTarget(request: TargetRequest, call: CallOptions): Promise<VolumeTarget> {
  const { access, image, size, timeout } = request;
  checkSize(image, size);
  const name = `image ${image}`;
  const served = { image: qemuImage(access, image), name, timeout, environment: RBD_ENVIRONMENT };
  const { device, close } = await serveImage({ ...served, ...call });
  try {
    if (device.size !== size) {
      throw new FafnirError('WRONG_ANSWER', `${name} has ${size} bytes, and is served with ${device.size}`);
    }
    return createTarget(name, device, await isBlank(device, call), close);
  } catch (error) {
    await close();
    throw error;
  }
}

function createTarget(
  name: string,
  device: NbdConnection,
  blank: boolean,
  end: () => Promise<void>,
): VolumeTarget {
  let untouched = blank;
  let closing: Promise<void> | undefined;
  const checkRange = (offset: number, length: number): void => {
    const isInside =
      Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= device.size;
    if (isInside) return;
    throw new FafnirError(
      'OUT_OF_RANGE',
      `${length} bytes at ${offset} of ${name}, which has ${device.size}`,
    );
  };
  const close = (): Promise<void> => {
    closing ??= end();
    return closing;
  };
  return {
    size: device.size,
    get blank(): boolean {
      return untouched;
    },
    async write(offset, data, call) {
      checkRange(offset, data.length);
      untouched = false;
      await device.write(offset, data, call);
    },
    async zero(offset, length, call) {
      call.signal.throwIfAborted();
      checkRange(offset, length);
      if (!untouched) await device.zero(offset, length, call);
    },
    async readInto(offset, into, call) {
      checkRange(offset, into.length);
      await device.readInto(offset, into, call);
    },
    async *extents(call) {
      let offset = 0;
      for await (const { length, zero } of device.runs(call)) {
        yield { offset, length, kind: zero ? 'zero' : 'data' };
        offset += length;
      }
    },
    flush: (call) => device.flush(call),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function isBlank(device: NbdConnection, call: CallOptions): Promise<boolean> {
  for await (const { zero } of device.runs(call)) if (!zero) return false;
  return true;
}
