import { mapSettled } from '../map-settled.ts';
import type { Bank, CopyCall, Extent, TenantId, VolumeSource } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { CHUNK_SIZE, ChunkStore, isZero } from './chunks.ts';
import {
  chunkLength,
  type Manifest,
  ManifestStore,
  PAGE_CHUNKS,
  type Page,
  type StoredManifest,
} from './manifest.ts';
import { isDamage } from './records.ts';

// One read, one compression and their neighbours: more only waits on the two cores and the host's own thread pool.
const CHUNKS_AT_ONCE = 4;

/** What is archived, and where. */
export interface ArchiveRequest {
  /** The bank. */
  readonly bank: Bank;
  /** Whose archive. */
  readonly tenant: TenantId;
  /** Names the archive; one that exists under this token is returned as it is. */
  readonly token: string;
  /** The bytes; `same` extents only where `base` is given. */
  readonly source: VolumeSource;
  /** An older archive of the same volume: what has not changed is taken from it. */
  readonly base?: Manifest;
}

/**
 * Archives a volume: data first, then pages, the manifest last. Every chunk that was not in the base is read back
 * before the manifest is written; those taken over from the base are known to be there.
 */
export async function writeArchive(request: ArchiveRequest, call: CopyCall): Promise<StoredManifest> {
  const { bank, tenant, token, source, base } = request;
  const manifests = new ManifestStore(bank, tenant);
  const chunks = new ChunkStore(bank, tenant);
  const pages: string[] = [];
  let kinds: Extent['kind'][] = [];
  const flush = async (): Promise<void> => {
    const first = pages.length * PAGE_CHUNKS;
    const before = base === undefined ? [] : await basePage(manifests, base, pages.length, call);
    const page = await mapSettled(
      kinds,
      async (kind, at, signal) => {
        const id = await archiveChunk(source, chunks, first + at, kind, before[at], { ...call, signal });
        call.progress(chunkLength(source.size, first + at));
        return id;
      },
      { concurrency: CHUNKS_AT_ONCE, signal: call.signal },
    );
    pages.push(await manifests.putPage(page, call));
    kinds = [];
  };
  for await (const run of chunkRuns(source, call)) {
    if (run.kind === 'same' && base?.size !== source.size) {
      throw new FafnirError('WRONG_ANSWER', 'the source calls bytes unchanged that no older archive has');
    }
    for (let left = run.count; left > 0; left -= 1) {
      kinds.push(run.kind);
      if (kinds.length === PAGE_CHUNKS) await flush();
    }
  }
  if (kinds.length > 0) await flush();
  return manifests.put(token, { size: source.size, pages }, call);
}

async function basePage(
  manifests: ManifestStore,
  base: Manifest,
  page: number,
  call: CopyCall,
): Promise<Page> {
  if (page >= base.pages.length) return [];
  // A damaged page only costs the time it would have saved.
  return manifests.getPage(base, page, call).catch((error: unknown) => {
    if (isDamage(error)) return [];
    throw error;
  });
}

async function archiveChunk(
  source: VolumeSource,
  chunks: ChunkStore,
  position: number,
  kind: Extent['kind'],
  before: string | undefined,
  call: CopyCall,
): Promise<string> {
  if (kind === 'zero') return '';
  // One that the base has lost is read and stored anew.
  if (kind === 'same' && before !== undefined && (before === '' || (await chunks.has(before, call))))
    return before;
  const bytes = new Uint8Array(chunkLength(source.size, position));
  await source.readInto(position * CHUNK_SIZE, bytes, call);
  return isZero(bytes) ? '' : chunks.put(bytes, before, call);
}

/** A run of whole chunks of one kind. */
interface ChunkRun {
  readonly count: number;
  readonly kind: Extent['kind'];
}

/**
 * A source's extents as runs of chunks. A chunk of several kinds is data. The map is checked: one with gaps,
 * overlaps or a wrong end is refused with `WRONG_ANSWER`, since a hole in it would be a hole in the archive.
 */
async function* chunkRuns(source: VolumeSource, call: CopyCall): AsyncGenerator<ChunkRun> {
  let covered = 0;
  let partial: Extent['kind'] | undefined;
  for await (const extent of source.extents(call)) {
    const end = extent.offset + extent.length;
    if (extent.offset !== covered || !(extent.length > 0) || end > source.size) {
      throw new FafnirError('WRONG_ANSWER', `the source's extents go wrong at byte ${covered}`);
    }
    while (covered < end) {
      const inChunk = covered % CHUNK_SIZE;
      const whole = inChunk === 0 ? Math.floor((end - covered) / CHUNK_SIZE) : 0;
      if (whole > 0) {
        yield { count: whole, kind: extent.kind };
        covered += whole * CHUNK_SIZE;
        continue;
      }
      covered = Math.min(end, covered - inChunk + CHUNK_SIZE);
      partial = partial === undefined || partial === extent.kind ? extent.kind : 'data';
      if (covered % CHUNK_SIZE === 0 || covered === source.size) {
        yield { count: 1, kind: partial };
        partial = undefined;
      }
    }
  }
  if (covered !== source.size) {
    throw new FafnirError('WRONG_ANSWER', `the source's extents end at byte ${covered} of ${source.size}`);
  }
}
