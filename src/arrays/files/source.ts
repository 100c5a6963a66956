import type { CallOptions, Extent, VolumeSource } from '../../core/contracts/index.ts';
import { fileWork } from './file-errors.ts';
import type { OpenFile } from '../../core/open-file.ts';
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
    extents: (call) =>
      extentsOf(
        file,
        since === undefined ? read(file, call) : compareRuns(read(file, call), read(since, call)),
        call,
      ),
    readInto: (offset, into, call) => file.read(offset, into, call),
    // The open file itself, whatever its folder has by then.
    threadSource: { kind: 'file', path: `/dev/fd/${file.handle.fd}` },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What is where in an open file, from its runs or a comparison of them. */
export async function* extentsOf(
  file: OpenFile,
  runs: AsyncIterable<Extent>,
  call: CallOptions,
): AsyncGenerator<Extent, void, undefined> {
  call.signal.throwIfAborted();
  const extents = joinExtents(runs);
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
}
