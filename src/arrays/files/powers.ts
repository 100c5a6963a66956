import type { ArrayCapabilities, CallOptions } from '../../core/contracts/index.ts';
import { canClone, cloneFile, type FileCopier, sparseCopier } from './copy.ts';
import { NAME_LENGTH } from './layout.ts';
import { openNameless } from './nameless.ts';
import { filefragRuns, qemuImgRuns, scanRuns } from './run-readers.ts';
import { compareRuns, type Run, type RunReader } from './runs.ts';

/** The readers to choose from, the better first. */
export interface MapReaders {
  /** Knows what files share. */
  readonly sharing?: RunReader;
  /** Knows holes. */
  readonly holes?: RunReader;
}

/** The readers by programs of the host. */
export const hostMapReaders: MapReaders = { sharing: filefragRuns, holes: qemuImgRuns };

/** What can be done below a root. */
export interface Powers {
  /** As declared. */
  readonly capabilities: ArrayCapabilities;
  /** Tells the runs of a file. */
  readonly runs: RunReader;
  /** Makes a file from another. */
  readonly copy: FileCopier;
}

const SAMPLE = 1024 * 1024;
const DATA = { offset: 262_144, length: 65_536 };

/**
 * Finds out by trying: clones a small file, and asks each reader for what is known. A reader that is not
 * installed, or that the file system does not answer, is not used. Leaves nothing, also where the process dies.
 */
export async function probePowers(root: string, readers: MapReaders, call: CallOptions): Promise<Powers> {
  call.signal.throwIfAborted();
  await using sample = await openNameless(root);
  await sample.truncate(SAMPLE);
  await sample.write(new Uint8Array(DATA.length).fill(0xfa), 0, DATA.length, DATA.offset);
  await sample.sync();
  await using clone = await openNameless(root);
  call.signal.throwIfAborted();
  const canShare = await canClone(sample, clone);
  const sharing = await working(readers.sharing, sample, call);
  const runs = sharing ?? (await working(readers.holes, sample, call));
  const tellsChanges = canShare && sharing !== undefined && (await seesSharing(sharing, sample, clone, call));
  return {
    runs: runs ?? scanRuns,
    copy: canShare ? cloneFile : sparseCopier(runs ?? allData),
    capabilities: Object.freeze({
      group: canShare,
      pointInTime: canShare,
      changeBase: tellsChanges ? 'snapshot' : 'none',
      extents: runs === undefined ? 'scan' : 'map',
      nameLength: NAME_LENGTH,
      concurrency: 16,
    }),
  };
}

type SampleFile = Parameters<RunReader>[0];

/** The reader, if it sees the sample's data. */
async function working(
  reader: RunReader | undefined,
  sample: SampleFile,
  call: CallOptions,
): Promise<RunReader | undefined> {
  if (reader === undefined) return undefined;
  try {
    for await (const { offset, length, kind } of reader(sample, SAMPLE, call)) {
      const overlaps = offset < DATA.offset + DATA.length && DATA.offset < offset + length;
      if (kind === 'zero' && overlaps) return undefined;
    }
    return reader;
  } catch {
    call.signal.throwIfAborted();
    return undefined;
  }
}

/** True where the reader tells that a clone is the same as its source. */
async function seesSharing(
  reader: RunReader,
  sample: SampleFile,
  clone: SampleFile,
  call: CallOptions,
): Promise<boolean> {
  for await (const { kind } of compareRuns(reader(clone, SAMPLE, call), reader(sample, SAMPLE, call))) {
    if (kind !== 'same') return false;
  }
  return true;
}

/** Before a copy that tests for zeros itself, reading everything once is enough. */
async function* allData(_file: SampleFile, size: number): AsyncGenerator<Run, void, undefined> {
  if (size > 0) yield { offset: 0, length: size, kind: 'data' };
}
