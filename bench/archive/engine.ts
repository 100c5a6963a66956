import { open } from 'node:fs/promises';
import { filefragRuns } from '../../src/arrays/files/run-readers.ts';
import { OpenFile } from '../../src/core/open-file.ts';
import { createSource } from '../../src/arrays/files/source.ts';
import { createTarget } from '../../src/arrays/files/target.ts';
import { ThreadPool } from '../../src/core/archive/threads/pool.ts';
import { Vault } from '../../src/core/archive/vault.ts';
import { ArchiveReader } from '../../src/core/archive/volume/read-archive.ts';
import { writeArchive } from '../../src/core/archive/volume/write-archive.ts';
import { systemClock } from '../../src/core/clock.ts';
import type {
  Bank,
  CopyCall,
  Extent,
  SequentialSource,
  TenantId,
  VolumeSource,
} from '../../src/core/contracts/index.ts';
import { parseTenantId } from '../../src/core/identity.ts';
import { keyFile } from '../../src/keys/file.ts';
import { programSource } from '../../test/core/archive/volume/program-source.ts';
import type { Range } from './change.ts';

const WORKERS = 2;
const CALL: CopyCall = { signal: new AbortController().signal, progress: () => undefined };

/** Whose archives these are. */
export const TENANT: TenantId = parseTenantId('bench');

/** Names an archive in a bank. */
export interface Reference {
  /** Chosen by who wrote it. */
  readonly token: string;
  /** Of its manifest. */
  readonly digest: string;
}

/** How a file becomes an archive. */
export interface ArchiveOptions {
  /** Names the archive. */
  readonly token: string;
  /** All that differs from the base; `unknown`: the file's holes are all that is known. */
  readonly changed: 'unknown' | readonly Range[];
  /** An older archive of the same file. */
  readonly base?: Reference | undefined;
  /** Bytes; what the engine chooses where it is not given. */
  readonly chunkSize?: number | undefined;
  /** Who reads it; the worker threads unless given. */
  readonly lane?: Lane | undefined;
}

/** Who reads a volume: the worker threads, the host's thread, or a program whose output the host's thread takes. */
export type Lane = 'worker' | 'host' | 'stream';

/** The engine under test, on one bank. */
export interface Engine extends AsyncDisposable {
  /** Archives a file. */
  archive(path: string, options: ArchiveOptions): Promise<Reference>;
  /** Checks everything that an archive needs. */
  verify(reference: Reference, level: 'tags' | 'deep'): Promise<void>;
  /** Writes an archive to a new file, durably. */
  restore(reference: Reference, path: string): Promise<void>;
}

/** The engine with a bank and its keys in a file. */
export function openEngine(bank: Bank, keyPath: string): Engine {
  const vault = new Vault({
    bank,
    tenant: TENANT,
    keys: keyFile({ path: keyPath }),
    clock: systemClock,
  });
  const threads = new ThreadPool({ workers: WORKERS });
  const read = (reference: Reference): Promise<ArchiveReader> =>
    ArchiveReader.open(vault, reference, { threads }, CALL);
  return {
    async archive(path, { token, changed, base, chunkSize, lane = 'worker' }) {
      await using source = await openSource(path, changed, lane);
      const { digest } = await writeArchive(
        {
          vault,
          token,
          source,
          threads,
          ...(base === undefined ? {} : { base: await read(base) }),
          ...(chunkSize === undefined ? {} : { chunkSize }),
        },
        CALL,
      );
      return { token, digest };
    },
    async verify(reference, level) {
      const reader = await read(reference);
      await reader.verify({ level }, CALL);
    },
    async restore(reference, path) {
      const reader = await read(reference);
      const { size } = reader.manifest;
      const file = await open(path, 'wx+');
      await using target = createTarget(new OpenFile(path, file, size), true, filefragRuns);
      await file.truncate(size);
      await reader.restoreInto(target, CALL);
      await target.flush(CALL);
    },
    [Symbol.asyncDispose]: () => threads.close(),
  };
}

async function openSource(
  path: string,
  changed: 'unknown' | readonly Range[],
  lane: Lane,
): Promise<VolumeSource | SequentialSource> {
  const file = await open(path);
  const { size } = await file.stat();
  if (lane === 'stream') {
    await file.close();
    return programSource('cat', [path], size);
  }
  const { threadSource, ...source } = createSource(new OpenFile(path, file, size), filefragRuns);
  const read = lane === 'host' || threadSource === undefined ? source : { ...source, threadSource };
  return changed === 'unknown' ? read : { ...read, extents: () => changeMap(size, changed) };
}

async function* changeMap(size: number, changed: readonly Range[]): AsyncGenerator<Extent> {
  let position = 0;
  for (const { offset, length } of changed) {
    if (offset > position) yield { offset: position, length: offset - position, kind: 'same' };
    yield { offset, length, kind: 'data' };
    position = offset + length;
  }
  if (position < size) yield { offset: position, length: size - position, kind: 'same' };
}
