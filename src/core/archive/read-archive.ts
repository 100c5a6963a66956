import { mapSettled } from '../map-settled.ts';
import type {
  Bank,
  CallOptions,
  CopyCall,
  Extent,
  TenantId,
  VolumeSource,
  VolumeTarget,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { CHUNK_SIZE, ChunkStore, isZero } from './chunks.ts';
import { chunkCount, chunkLength, type Manifest, ManifestStore, PAGE_CHUNKS } from './manifest.ts';
import { digestOf } from './records.ts';

const CHUNKS_AT_ONCE = 4;

/** An archive of a volume, open for reading. */
export class ArchiveReader implements VolumeSource {
  readonly access = 'random';
  readonly size: number;
  readonly #manifest: Manifest;
  readonly #manifests: ManifestStore;
  readonly #chunks: ChunkStore;
  // The last page and chunk that were used: neighbouring reads share them.
  #page: { readonly position: number; readonly ids: readonly string[] } | undefined;
  #chunk: { readonly id: string; readonly bytes: Uint8Array } | undefined;

  private constructor(bank: Bank, tenant: TenantId, manifest: Manifest) {
    this.#manifests = new ManifestStore(bank, tenant);
    this.#chunks = new ChunkStore(bank, tenant);
    this.#manifest = manifest;
    this.size = manifest.size;
  }

  /** Opens the archive of this token; `NOT_FOUND` where there is none, `CORRUPT` where its digest is another. */
  static async open(
    bank: Bank,
    tenant: TenantId,
    { token, digest }: { readonly token: string; readonly digest: string },
    call: CallOptions,
  ): Promise<ArchiveReader> {
    return new ArchiveReader(bank, tenant, await new ManifestStore(bank, tenant).get(token, digest, call));
  }

  async *extents(call: CallOptions): AsyncGenerator<Extent> {
    for (let position = 0; position < chunkCount(this.size); position += 1) {
      const kind = (await this.#idAt(position, call)) === '' ? 'zero' : 'data';
      yield { offset: position * CHUNK_SIZE, length: chunkLength(this.size, position), kind };
    }
  }

  async readInto(offset: number, into: Uint8Array, call: CallOptions): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + into.length > this.size) {
      throw new FafnirError('OUT_OF_RANGE', `bytes ${offset} to ${offset + into.length} of ${this.size}`);
    }
    let done = 0;
    while (done < into.length) {
      call.signal.throwIfAborted();
      const position = Math.floor((offset + done) / CHUNK_SIZE);
      const start = offset + done - position * CHUNK_SIZE;
      const length = Math.min(chunkLength(this.size, position) - start, into.length - done);
      const id = await this.#idAt(position, call);
      if (id === '') into.fill(0, done, done + length);
      else into.set((await this.#bytesOf(id, position, call)).subarray(start, start + length), done);
      done += length;
    }
  }

  /**
   * Makes the target hold exactly this archive, then reads the target back and compares, chunk by chunk, with the
   * ids. Resolves with the bytes written; rejects with `NOT_PROVEN` where the target does not hold them.
   */
  async restoreInto(target: VolumeTarget, call: CopyCall): Promise<number> {
    if (target.size !== this.size) {
      throw new FafnirError(
        'UNSUPPORTED',
        `an archive of ${this.size} bytes into a volume of ${target.size}`,
      );
    }
    const { blank } = target;
    let written = 0;
    await this.#eachChunk(call, async (id, position, call) => {
      const [offset, length] = [position * CHUNK_SIZE, chunkLength(this.size, position)];
      if (id !== '') {
        await target.write(offset, await this.#chunks.get(id, length, call), call);
        written += length;
      } else if (!blank) {
        await target.zero(offset, length, call);
      }
      call.progress(length);
    });
    await target.flush(call);
    await this.#eachChunk(call, async (id, position, call) => {
      const bytes = new Uint8Array(chunkLength(this.size, position));
      await target.readInto(position * CHUNK_SIZE, bytes, call);
      if (id === '' ? !isZero(bytes) : digestOf(bytes) !== id) {
        throw new FafnirError('NOT_PROVEN', `the restored volume differs at byte ${position * CHUNK_SIZE}`);
      }
    });
    return written;
  }

  /** Reads every chunk of the archive and checks it. */
  async verify(call: CopyCall): Promise<void> {
    await this.#eachChunk(call, async (id, position, call) => {
      const length = chunkLength(this.size, position);
      if (id !== '') await this.#chunks.get(id, length, call);
      call.progress(length);
    });
  }

  async #eachChunk<Call extends CallOptions>(
    call: Call,
    visit: (id: string, position: number, call: Call) => Promise<void>,
  ): Promise<void> {
    for (let page = 0; page < this.#manifest.pages.length; page += 1) {
      const ids = await this.#manifests.getPage(this.#manifest, page, call);
      await mapSettled(ids, (id, at, signal) => visit(id, page * PAGE_CHUNKS + at, { ...call, signal }), {
        concurrency: CHUNKS_AT_ONCE,
        signal: call.signal,
      });
    }
  }

  async #idAt(position: number, call: CallOptions): Promise<string> {
    const page = Math.floor(position / PAGE_CHUNKS);
    if (this.#page?.position !== page) {
      this.#page = { position: page, ids: await this.#manifests.getPage(this.#manifest, page, call) };
    }
    return this.#page.ids[position % PAGE_CHUNKS] ?? '';
  }

  async #bytesOf(id: string, position: number, call: CallOptions): Promise<Uint8Array> {
    if (this.#chunk?.id !== id) {
      this.#chunk = { id, bytes: await this.#chunks.get(id, chunkLength(this.size, position), call) };
    }
    return this.#chunk.bytes;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
