import type { CallOptions, Extent, VolumeSource } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { PAGE_CHUNKS } from './geometry.ts';

/** A run of whole chunks of one kind, all on one page. */
export interface ChunkRun {
  /** The page. */
  readonly page: number;
  /** The place of the first on its page. */
  readonly at: number;
  /** How many. */
  readonly count: number;
  /** What they are. */
  readonly kind: Extent['kind'];
}

/** A source's extents as runs of chunks in order; one of several kinds is data. */
export async function* chunkRuns(
  source: Pick<VolumeSource, 'size' | 'extents'>,
  chunkSize: number,
  call: CallOptions,
): AsyncGenerator<ChunkRun> {
  let position = 0;
  for await (const { count, kind } of wholeChunks(source, chunkSize, call)) {
    for (const end = position + count; position < end; ) {
      const page = Math.floor(position / PAGE_CHUNKS);
      const at = position % PAGE_CHUNKS;
      const here = Math.min(end - position, PAGE_CHUNKS - at);
      yield { page, at, count: here, kind };
      position += here;
    }
  }
}

/**
 * The map is checked: one with gaps, overlaps or a wrong end is refused with `WRONG_ANSWER`, since a hole in it would be
 * a hole in the archive.
 */
async function* wholeChunks(
  source: Pick<VolumeSource, 'size' | 'extents'>,
  chunkSize: number,
  call: CallOptions,
): AsyncGenerator<Pick<ChunkRun, 'count' | 'kind'>> {
  let covered = 0;
  let partial: Extent['kind'] | undefined;
  for await (const extent of source.extents(call)) {
    const end = extent.offset + extent.length;
    if (extent.offset !== covered || !(extent.length > 0) || end > source.size) {
      throw new FafnirError('WRONG_ANSWER', `the source's extents go wrong at byte ${covered}`);
    }
    while (covered < end) {
      const inChunk = covered % chunkSize;
      const whole = inChunk === 0 ? Math.floor((end - covered) / chunkSize) : 0;
      if (whole > 0) {
        yield { count: whole, kind: extent.kind };
        covered += whole * chunkSize;
        continue;
      }
      covered = Math.min(end, covered - inChunk + chunkSize);
      partial = partial === undefined || partial === extent.kind ? extent.kind : 'data';
      if (covered % chunkSize === 0 || covered === source.size) {
        yield { count: 1, kind: partial };
        partial = undefined;
      }
    }
  }
  if (covered !== source.size) {
    throw new FafnirError('WRONG_ANSWER', `the source's extents end at byte ${covered} of ${source.size}`);
  }
}
