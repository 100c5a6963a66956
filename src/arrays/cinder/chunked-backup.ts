import { createHash } from 'node:crypto';
import { type Duplex, PassThrough } from 'node:stream';
import { createInflate, createZstdDecompress } from 'node:zlib';
import * as z from 'zod';
import { download } from '../../clients/openstack/download.ts';
import type { OpenStackService } from '../../clients/openstack/index.ts';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/** A full backup of a volume in objects of Swift, as the drivers of Cinder that are called chunked write it. */
export interface ChunkedBackup {
  /** Where its objects are. */
  readonly container: string;
  /** What the names of all of them begin with. */
  readonly prefix: string;
  /** In ascending order, without gaps. */
  readonly chunks: readonly Chunk[];
}

/** Which backup is looked for. */
export interface BackupIdentity {
  readonly container: string;
  readonly backupId: string;
  readonly volumeId: string;
  /** Bytes of the volume. */
  readonly size: number;
}

interface Chunk {
  readonly name: string;
  readonly length: number;
  readonly compression: string;
}

const VERSION = '1.0.0';
const NAMES = z.array(z.looseObject({ name: z.string() }));
const CHUNK = z.looseObject({
  offset: z.int().nonnegative(),
  length: z.int().positive(),
  compression: z.string(),
});
const METADATA = z.looseObject({
  version: z.string(),
  backup_id: z.string(),
  volume_id: z.string(),
  parent_id: z.string().nullish(),
  objects: z.array(z.record(z.string(), CHUNK)),
});
const DIGEST = /^\s*"([0-9a-f]{64})",?$/;
const BLOCK_SIZE = /^\s*"chunk_size": (\d{1,10}),?$/;
/** No block of Swift, whose digest is made of it whole, is as large. */
const LARGEST_BLOCK = 64 * 1024 ** 2;
const LONGEST_LINE = 64 * 1024;

const PIPES: Readonly<Record<string, () => Duplex>> = {
  none: () => new PassThrough(),
  off: () => new PassThrough(),
  no: () => new PassThrough(),
  zlib: () => createInflate(),
  gzip: () => createInflate(),
  zstd: () => createZstdDecompress(),
};

/** Finds the only backup of a container, and refuses what is not a whole one of the volume in a form that is known. */
export async function findChunkedBackup(
  swift: OpenStackService,
  { container, backupId, volumeId, size }: BackupIdentity,
  call: CallOptions,
): Promise<ChunkedBackup> {
  const what = `backup ${backupId}`;
  // The last two names are `..._metadata` and `..._sha256file`; those of chunks come before.
  const query = { format: 'json', reverse: true, limit: 2 };
  const names = await swift.request({ method: 'GET', path: [container], query, answer: NAMES }, call);
  const ending = `_backup_${backupId}_metadata`;
  const file = names.map(({ name }) => name).find((name) => name.endsWith(ending));
  if (file === undefined || !file.startsWith(`volume_${volumeId}/`)) {
    throw new FafnirError('WRONG_ANSWER', `container ${container} has no ${what} in a form that is known`, {
      hint: 'Cinder must keep its backups in the Swift of the project: backup_swift_auth is per_user.',
    });
  }
  const place = { path: [container, ...file.split('/')] };
  const metadata = await swift.request({ method: 'GET', ...place, answer: METADATA }, call);
  if (metadata.version !== VERSION || (metadata.parent_id ?? undefined) !== undefined) {
    throw new FafnirError('UNSUPPORTED', `${what} is not a full one of version ${VERSION}`);
  }
  const prefix = file.slice(0, -'_metadata'.length);
  const chunks = chunksOf(what, prefix, metadata.objects);
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (metadata.backup_id !== backupId || metadata.volume_id !== volumeId || length !== size) {
    const message = `${what} has ${length} bytes of volume ${metadata.volume_id}, not ${size} of ${volumeId}`;
    throw new FafnirError('WRONG_ANSWER', message, {
      hint: 'Of a volume whose snapshots are overlays above another file, as those of NFS are, Cinder backs up the overlay.',
    });
  }
  return { container, prefix, chunks };
}

/** All bytes of a backup in order, each block of them once its digest was compared. */
export async function* readChunkedBackup(
  swift: OpenStackService,
  { container, prefix, chunks }: ChunkedBackup,
  what: string,
  call: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const place = { path: [container, ...`${prefix}_sha256file`.split('/')] };
  const digests = digestsOf(what, linesOf(what, download(swift, place, call)));
  try {
    const { value: blockSize } = await digests.next();
    if (typeof blockSize !== 'number') throw wrong(what, 'its digests tell no block size');
    for (const chunk of chunks) {
      const bytes = download(
        swift,
        { path: [container, ...chunk.name.split('/')] },
        call,
        pipeOf(what, chunk.compression),
      );
      for await (const block of blocksIn(what, chunk, blockSize, bytes)) {
        const { value: expected } = await digests.next();
        if (createHash('sha256').update(block).digest('hex') !== expected) {
          throw wrong(what, `${chunk.name} does not have the bytes that it was written with`);
        }
        yield block;
      }
    }
    if ((await digests.next()).done !== true) throw wrong(what, 'it has digests of more than there is');
  } finally {
    await digests.return(undefined);
  }
}

function chunksOf(
  what: string,
  prefix: string,
  objects: z.infer<typeof METADATA>['objects'],
): readonly Chunk[] {
  let end = 0;
  return objects.map((object) => {
    const [[name, { offset, length, compression }] = ['', { offset: -1, length: 0, compression: '' }]] =
      Object.entries(object);
    if (!name.startsWith(`${prefix}-`) || name.slice(prefix.length).includes('/') || offset !== end) {
      throw wrong(what, `after ${end} bytes comes ${JSON.stringify(name)} at ${offset}`);
    }
    pipeOf(what, compression).destroy();
    end += length;
    return { name, length, compression };
  });
}

function pipeOf(what: string, compression: string): Duplex {
  const make = Object.hasOwn(PIPES, compression) ? PIPES[compression] : undefined;
  if (make !== undefined) return make();
  throw new FafnirError('UNSUPPORTED', `${what} is compressed by ${JSON.stringify(compression)}`, {
    hint: `Set backup_compression_algorithm to one of ${Object.keys(PIPES).join(', ')}.`,
  });
}

/** The bytes of a chunk in blocks, the last one perhaps shorter; neither more nor fewer than the chunk has. */
async function* blocksIn(
  what: string,
  { name, length }: Chunk,
  blockSize: number,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = length;
  let block = new Uint8Array(Math.min(blockSize, left));
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      if (left === 0) throw wrong(what, `${name} has more than ${length} bytes`);
      const part = piece.subarray(at, at + block.length - filled);
      block.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < block.length) continue;
      yield block;
      left -= filled;
      block = new Uint8Array(Math.min(blockSize, left));
      filled = 0;
    }
  }
  if (left > 0) throw wrong(what, `${name} has fewer than ${length} bytes`);
}

/** The size of a block, and then the digest of each; of a file of one line each, which may be larger than memory. */
async function* digestsOf(
  what: string,
  lines: AsyncIterable<string>,
): AsyncGenerator<number | string, void, undefined> {
  let blockSize = 0;
  for await (const line of lines) {
    const size = BLOCK_SIZE.exec(line)?.[1];
    const digest = DIGEST.exec(line)?.[1];
    if (size !== undefined && blockSize === 0) {
      blockSize = Number(size);
      if (blockSize < 1 || blockSize > LARGEST_BLOCK) throw wrong(what, `its blocks have ${size} bytes`);
      yield blockSize;
    } else if (digest !== undefined) yield digest;
  }
}

async function* linesOf(
  what: string,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + Buffer.from(piece).toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw wrong(what, 'its digests are not in lines');
    yield* lines;
  }
  yield rest;
}

const wrong = (what: string, why: string): FafnirError =>
  new FafnirError('WRONG_ANSWER', `${what} is not a backup that can be read: ${why}`);
