import type { CallOptions, CopyCall, VolumeSource } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { type ChunkRun, chunkRuns } from './chunk-runs.ts';
import { PAGE_CHUNKS } from './geometry.ts';
import { eachInLanes } from './lanes.ts';
import { GROUP_BYTES, idAt, isZeroId } from './read-plan.ts';
import type { ArchiveParts } from './restore-archive.ts';

/** A volume that an archive is compared with. */
export interface Compared {
  /** For messages. */
  readonly what: string;
  /** Its map and its bytes; nothing in it is `same`. */
  readonly volume: Pick<VolumeSource, 'size' | 'extents' | 'readInto'>;
}

/**
 * Reads a volume and compares it with an archive: `NOT_PROVEN`, naming the byte, where they differ. What its map calls zero
 * must be zero in the archive, and is not read.
 */
export async function compareVolume(
  parts: ArchiveParts,
  { what, volume }: Compared,
  call: CopyCall,
): Promise<void> {
  const { geometry, fetcher } = parts;
  const differs = (offset: number): FafnirError =>
    new FafnirError('NOT_PROVEN', `${what} differs from the archive at byte ${offset}`);
  if (volume.size !== geometry.size) throw differs(Math.min(volume.size, geometry.size));
  const buffers: ArrayBuffer[] = [];
  await eachInLanes(
    () => groups(volume, geometry.chunkSize, call),
    { concurrency: fetcher.groupsAtOnce, signal: call.signal },
    async ({ kind, first, count }, signal) => {
      const offset = first * geometry.chunkSize;
      const length = Math.min(geometry.size - offset, count * geometry.chunkSize);
      // Before anything else is waited for: a stream has to be read in order.
      const found = kind === 'zero' ? undefined : await identify(offset, length, { signal });
      const wanted = await parts.ids.read(first, count, { signal });
      for (let at = 0; at < count; at += 1) {
        const isSame =
          found === undefined
            ? isZeroId(wanted, at)
            : Buffer.compare(idAt(found, at), idAt(wanted, at)) === 0;
        if (!isSame) throw differs(offset + at * geometry.chunkSize);
      }
      call.progress(length);
    },
  );

  async function identify(offset: number, length: number, { signal }: CallOptions): Promise<Uint8Array> {
    const buffer = buffers.pop() ?? new ArrayBuffer(GROUP_BYTES);
    await fetcher.permits.use(signal, () =>
      volume.readInto(offset, new Uint8Array(buffer, 0, length), { signal }),
    );
    const input = { idKey: parts.idKey, buffer, length, chunkSize: geometry.chunkSize };
    const answer = await fetcher.threads.run('identify', input, [buffer]);
    buffers.push(answer.buffer);
    return answer.ids;
  }
}

interface Group extends Pick<ChunkRun, 'kind' | 'count'> {
  /** The position of its first chunk. */
  readonly first: number;
}

async function* groups(
  volume: Compared['volume'],
  chunkSize: number,
  call: CallOptions,
): AsyncGenerator<Group> {
  for await (const { page, at, count, kind } of chunkRuns(volume, chunkSize, call)) {
    const first = page * PAGE_CHUNKS + at;
    const most = kind === 'zero' ? count : GROUP_BYTES / chunkSize;
    for (let done = 0; done < count; done += most) {
      yield { kind, first: first + done, count: Math.min(most, count - done) };
    }
  }
}
