import type { StorageArray, VolumeTarget } from '../../core/contracts/index.ts';

/** An array whose volumes are opened for writing so. */
export function withTarget(
  { target }: StorageArray,
  change: (opened: VolumeTarget) => Partial<VolumeTarget>,
): Partial<StorageArray> {
  if (target === undefined) return {};
  return {
    target: {
      create: (request, call) => target.create(request, call),
      async openForWrite(volume, call) {
        const opened = await target.openForWrite(volume, call);
        return Object.assign(plain(opened), change(opened));
      },
      remove: (volume, call) => target.remove(volume, call),
    },
  };
}

/** No byte arrives. */
export const droppingTarget = (): Partial<VolumeTarget> => ({ write: async () => undefined });

/** What is written can be read until the flush, which loses it. */
export function forgetfulTarget(opened: VolumeTarget): Partial<VolumeTarget> {
  const unflushed: { offset: number; data: Uint8Array }[] = [];
  return {
    write: async (offset, data) => {
      unflushed.push({ offset, data: data.slice() });
    },
    async readInto(offset, into, call) {
      await opened.readInto(offset, into, call);
      for (const one of unflushed) {
        const from = Math.max(offset, one.offset);
        const to = Math.min(offset + into.length, one.offset + one.data.length);
        if (from < to) into.set(one.data.subarray(from - one.offset, to - one.offset), from - offset);
      }
    },
    async flush(call) {
      unflushed.length = 0;
      await opened.flush(call);
    },
  };
}

/** Each write arrives once more before the next, and before the flush. */
export function repeatingTarget(opened: VolumeTarget): Partial<VolumeTarget> {
  let last: { readonly offset: number; readonly data: Uint8Array } | undefined;
  const repeat = async (call: Parameters<VolumeTarget['flush']>[0]): Promise<void> => {
    const write = last;
    last = undefined;
    if (write !== undefined) await opened.write(write.offset, write.data, call);
  };
  return {
    async write(offset, data, call) {
      await repeat(call);
      await opened.write(offset, data, call);
      last = { offset, data: data.slice() };
    },
    async flush(call) {
      await repeat(call);
      await opened.flush(call);
    },
  };
}

function plain(opened: VolumeTarget): VolumeTarget {
  const close = (): Promise<void> => opened.close();
  const { extents } = opened;
  return {
    size: opened.size,
    get blank() {
      return opened.blank;
    },
    write: (offset, data, call) => opened.write(offset, data, call),
    zero: (offset, length, call) => opened.zero(offset, length, call),
    readInto: (offset, into, call) => opened.readInto(offset, into, call),
    ...(extents && { extents: (call) => extents.call(opened, call) }),
    flush: (call) => opened.flush(call),
    close,
    [Symbol.asyncDispose]: close,
  };
}
