import type { CallOptions, CopyCall, SequentialSource, VolumeSource } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { mapSettled } from '../../map-settled.ts';
import { bankKeys } from '../keys.ts';
import type { Threads } from '../threads/threads.ts';
import type { Vault } from '../vault.ts';
import { type ArchiveBase, archivePass, type PassResult } from './archive-pass.ts';
import { assertChunkSize, CHUNK_SIZE } from './geometry.ts';
import { findManifest, type Manifest, putManifest, type StoredManifest } from './manifest.ts';
import { mergeIndexes } from './merge-indexes.ts';
import { streamed } from './streamed-source.ts';

const HEADS_AT_ONCE = 16;
// A page of a listing costs about as much, and has five times as many.
const MOST_HEADS = 200;
const PACK_BYTES = 16 * 1024 * 1024;
const KNOWN_CHUNKS = 2 ** 20;

/** What is archived, and where. */
export interface ArchiveRequest {
  /** Where it goes. */
  readonly vault: Vault;
  /** Names the archive; one that exists under this token is returned as it is. */
  readonly token: string;
  /** The bytes; `same` only where `base` is given. */
  readonly source: VolumeSource | SequentialSource;
  /** Opens the source anew, where it can be read only once and has to be read again. */
  readonly reopen?: () => Promise<VolumeSource | SequentialSource>;
  /** Does the work on bytes. */
  readonly threads: Threads;
  /** An older archive of the same volume: what has not changed is taken from it. */
  readonly base?: ArchiveBase;
  /** Bytes of a chunk; that of the base where there is one, else 1 MiB unless given. */
  readonly chunkSize?: number;
  /** Bytes of a pack at most, at least twice the chunk size; 16 MiB unless given. */
  readonly packBytes?: number;
  /** How many chunks to remember, at 40 bytes each; 1,048,576 unless given. What is beyond is stored again. */
  readonly knownChunks?: number;
}

/**
 * Archives a volume: data first, then pages, then the index, the manifest last. Every pack was read back before anything
 * tells of it. Those of older archives that this one relies on are there when it ends; chunks of one that is gone are
 * read and stored anew.
 */
export async function writeArchive(request: ArchiveRequest, call: CopyCall): Promise<StoredManifest> {
  const { vault, token, source } = request;
  const earlier = await findManifest(vault, token, call);
  if (earlier !== undefined) return earlier;
  const without = await damagedPacks(vault, call);
  let written = await writePass(request, source, without, call);
  while (written.gone.length > 0) {
    for (const name of written.gone) without.add(name);
    const again = { ...call, progress: () => undefined };
    if (source.access === 'random') {
      written = await writePass(request, source, without, again);
    } else {
      await using reopened = await reopen(request);
      written = await writePass(request, reopened, without, again);
    }
  }
  const manifest = await mergeIndexes(request, written.manifest, call);
  await lockParts(vault, written.reliedOn, manifest, call);
  return putManifest(vault, token, manifest, call);
}

/** Locks what the archive has of older ones, so that its manifest never names what goes before it. */
async function lockParts(
  vault: Vault,
  reliedOn: ReadonlyMap<string, number>,
  { indexes }: Manifest,
  call: CallOptions,
): Promise<void> {
  await vault.lock(packKeys(vault, reliedOn), call);
  for (const name of indexes) {
    // They only save time, and one that was written anew has another name.
    await vault.lock([bankKeys.index(vault.tenant, name)], call).catch((error: unknown) => {
      if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
    });
  }
}

function* packKeys(vault: Vault, packs: ReadonlyMap<string, number>): Generator<string> {
  for (const name of packs.keys()) yield bankKeys.pack(vault.tenant, name);
}

/** Goes through the source once, and looks whether the packs that the archive relies on are still there. */
async function writePass(
  request: ArchiveRequest,
  source: VolumeSource | SequentialSource,
  without: ReadonlySet<string>,
  call: CopyCall,
): Promise<PassResult & { readonly gone: readonly string[] }> {
  const { vault } = request;
  const chunkSize = request.chunkSize ?? request.base?.manifest.chunkSize ?? CHUNK_SIZE;
  assertChunkSize(chunkSize);
  const base = fitting(request.base, source.size, chunkSize);
  const { manifest, reliedOn } = await archivePass(
    {
      ...request,
      source: source.access === 'random' ? source : streamed(source, chunkSize, base?.readInto.bind(base)),
      base,
      chunkSize,
      packBytes: request.packBytes ?? PACK_BYTES,
      knownChunks: request.knownChunks ?? KNOWN_CHUNKS,
      without,
    },
    call,
  );
  return { manifest, reliedOn, gone: await gonePacks(vault, reliedOn, call) };
}

/** The base, where chunks of the archive have the places that they have in it. */
const fitting = (base: ArchiveBase | undefined, size: number, chunkSize: number): ArchiveBase | undefined =>
  base?.manifest.size === size && base.manifest.chunkSize === chunkSize ? base : undefined;

function reopen({ reopen: open }: ArchiveRequest): Promise<VolumeSource | SequentialSource> {
  if (open !== undefined) return open();
  throw new FafnirError('UNAVAILABLE', 'the source can be read only once, and has to be read again');
}

async function damagedPacks(vault: Vault, call: CallOptions): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const { key } of vault.bank.list(bankKeys.damage(vault.tenant), call)) {
    names.add(key.slice(key.lastIndexOf('/') + 1));
  }
  return names;
}

async function gonePacks(
  vault: Vault,
  packs: ReadonlyMap<string, number>,
  call: CallOptions,
): Promise<readonly string[]> {
  const unseen = packs.size > MOST_HEADS ? await unlistedPacks(vault, packs, call) : packs;
  const found = await mapSettled(
    [...unseen],
    async ([name, bytes], _at, signal) => {
      const object = await vault.bank.head(bankKeys.pack(vault.tenant, name), { signal });
      return object?.size === bytes ? [] : [name];
    },
    { concurrency: HEADS_AT_ONCE, signal: call.signal },
  );
  return found.flat();
}

/** Those of these packs that a listing does not show. */
async function unlistedPacks(
  vault: Vault,
  packs: ReadonlyMap<string, number>,
  call: CallOptions,
): Promise<ReadonlyMap<string, number>> {
  const unseen = new Map(packs);
  for await (const { key, size } of vault.bank.list(bankKeys.packs(vault.tenant), call)) {
    const name = key.slice(key.lastIndexOf('/') + 1);
    if (unseen.get(name) === size) unseen.delete(name);
  }
  return unseen;
}
