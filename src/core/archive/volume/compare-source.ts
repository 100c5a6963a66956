import type { CallOptions, CopyCall, VolumeSource } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { type ChunkRun, chunkRuns } from './chunk-runs.ts';
import { PAGE_CHUNKS } from './geometry.ts';
import { eachInLanes } from './lanes.ts';
import { GROUP_BYTES, idAt, isZeroId } from './read-plan.ts';
import type { ArchiveParts } from './restore-archive.ts';

/**
 * Reads a source again and compares it with an archive: `NOT_PROVEN`, naming the byte, where they differ. What the source
 * calls zero must be zero in the archive, and is not read; it was opened against nothing, so that it calls nothing
 * unchanged.
 */
export async function compareSource(
  parts: ArchiveParts,
  source: VolumeSource,
  call: CopyCall,
): Promise<void> {
  const { geometry, fetcher } = parts;
  if (source.size !== geometry.size) throw differs(Math.min(source.size, geometry.size));
  const buffers: ArrayBuffer[] = [];
  await eachInLanes(
    () => groups(source, geometry.chunkSize, call),
    { concurrency: fetcher.groupsAtOnce, signal: call.signal },
    async ({ kind, first, count }, signal) => {
      const wanted = await parts.ids.read(first, count, { signal });
      const offset = first * geometry.chunkSize;
      const length = Math.min(geometry.size - offset, count * geometry.chunkSize);
      const found = kind === 'zero' ? undefined : await identify(offset, length, { signal });
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
      source.readInto(offset, new Uint8Array(buffer, 0, length), { signal }),
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

async function* groups(source: VolumeSource, chunkSize: number, call: CallOptions): AsyncGenerator<Group> {
  for await (const { page, at, count, kind } of chunkRuns(source, chunkSize, call)) {
    const first = page * PAGE_CHUNKS + at;
    const most = kind === 'zero' ? count : GROUP_BYTES / chunkSize;
    for (let done = 0; done < count; done += most) {
      yield { kind, first: first + done, count: Math.min(most, count - done) };
    }
  }
}

const differs = (offset: number): FafnirError =>
  new FafnirError('NOT_PROVEN', `the archive differs from its source at byte ${offset}`);
