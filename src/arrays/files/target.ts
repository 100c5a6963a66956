import type { CallOptions, VolumeTarget } from '../../core/contracts/index.ts';
import type { OpenFile } from '../../core/open-file.ts';
import type { RunReader } from './runs.ts';
import { extentsOf } from './source.ts';
import { isZero, ZERO_GRAIN } from './zeros.ts';

/**
 * A volume's file as a target; owns the file. `blank` is what is known of it when opened; `runs` is given where a map of
 * the file costs no reads.
 */
export function createTarget(file: OpenFile, blank: boolean, runs?: RunReader): VolumeTarget {
  let untouched = blank;
  const close = (): Promise<void> => file.close();
  return {
    size: file.size,
    get blank(): boolean {
      return untouched;
    },
    async write(offset, data, call) {
      call.signal.throwIfAborted();
      file.checkRange(offset, data.length);
      untouched = false;
      await file.write(offset, data, call);
    },
    async zero(offset, length, call) {
      call.signal.throwIfAborted();
      file.checkRange(offset, length);
      if (!untouched) await writeZeros(file, offset, length, call);
    },
    readInto: (offset, into, call) => file.read(offset, into, call),
    ...(runs && {
      extents: (call: CallOptions) => extentsOf(file, runs(file.handle, file.size, call), call),
    }),
    flush: (call) => file.flush(call),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Writes only where there is something else, so that holes stay holes. */
async function writeZeros(file: OpenFile, offset: number, length: number, call: CallOptions): Promise<void> {
  const buffer = new Uint8Array(Math.min(ZERO_GRAIN, length));
  for (let done = 0; done < length; done += ZERO_GRAIN) {
    const grain = buffer.subarray(0, Math.min(ZERO_GRAIN, length - done));
    await file.read(offset + done, grain, call);
    if (!isZero(grain)) await file.write(offset + done, grain.fill(0), call);
  }
}
