import type { CallOptions, Extent, VolumeSource } from '../../core/contracts/index.ts';
import { fileWork } from './file-errors.ts';
import type { OpenFile } from './open-file.ts';
import { compareRuns, joinExtents, type RunReader } from './runs.ts';

/** A snapshot's file as a source, with what is the same as in `since` where that is given; owns both files. */
export function createSource(file: OpenFile, runs: RunReader, since?: OpenFile): VolumeSource {
  const read = (opened: OpenFile, call: CallOptions) => runs(opened.handle, opened.size, call);
  const close = async (): Promise<void> => {
    await Promise.all([file.close(), since?.close()]);
  };
  return {
    access: 'random',
    size: file.size,
    async *extents(call): AsyncGenerator<Extent, void, undefined> {
      call.signal.throwIfAborted();
      const extents = joinExtents(
        since === undefined ? read(file, call) : compareRuns(read(file, call), read(since, call)),
      );
      try {
        for (;;) {
          const step = await fileWork(`cannot read the extents of ${file.name}`, () => extents.next());
          if (step.done === true) return;
          call.signal.throwIfAborted();
          yield step.value;
        }
      } finally {
        await extents.return();
      }
    },
    readInto: (offset, into, call) => file.read(offset, into, call),
    close,
    [Symbol.asyncDispose]: close,
  };
}
