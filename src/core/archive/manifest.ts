import * as z from 'zod';
import type { Bank, CallOptions, TenantId } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { CHUNK_SIZE } from './chunks.ts';
import { bankKeys } from './keys.ts';
import { encodeRecord, getRecord, putRecord, readRecord } from './records.ts';

/** Chunks in one page of a manifest. */
export const PAGE_CHUNKS = 4_096;

const id = z.string().regex(/^[0-9a-f]{64}$/);
const pageSchema = z.strictObject({
  format: z.literal(0),
  kind: z.literal('page'),
  chunks: z.array(z.union([id, z.literal('')])).max(PAGE_CHUNKS),
});
const manifestSchema = z.strictObject({
  format: z.literal(0),
  kind: z.literal('manifest'),
  size: z.int().nonnegative(),
  chunkSize: z.literal(CHUNK_SIZE),
  pages: z.array(id),
});

/** Chunk ids of a stretch of volume, in order; the empty string stands for zeros. */
export type Page = readonly string[];

/**
 * What an archive of a volume consists of: ids of pages, which hold ids of chunks. Pages are named by their digest,
 * so that an incremental archive shares the ones that did not change.
 */
export interface Manifest {
  /** Bytes of the volume. */
  readonly size: number;
  /** Digests of the pages, in order. */
  readonly pages: readonly string[];
}

/** A manifest that is in the bank. */
export interface StoredManifest extends Manifest {
  /** Of its record: who keeps it can tell whether it is still this one. */
  readonly digest: string;
}

/** How many chunks a volume of this size has. */
export const chunkCount = (size: number): number => Math.ceil(size / CHUNK_SIZE);

/** How many bytes the chunk at this position has. */
export const chunkLength = (size: number, position: number): number =>
  Math.min(CHUNK_SIZE, size - position * CHUNK_SIZE);

/** Manifests and their pages of one tenant in one bank. */
export class ManifestStore {
  readonly #bank: Bank;
  readonly #tenant: TenantId;

  constructor(bank: Bank, tenant: TenantId) {
    this.#bank = bank;
    this.#tenant = tenant;
  }

  /** Stores a page and reads it back; resolves with its digest. */
  async putPage(chunks: Page, call: CallOptions): Promise<string> {
    const { body, digest } = encodeRecord({ format: 0, kind: 'page', chunks });
    const key = bankKeys.page(this.#tenant, digest);
    await this.#bank.put(key, body, { ifAbsent: true, signal: call.signal });
    await getRecord(this.#bank, key, pageSchema, call, digest);
    return digest;
  }

  /** The page at this position of a manifest, checked to have the right number of chunks. */
  async getPage(manifest: Manifest, position: number, call: CallOptions): Promise<Page> {
    const digest = manifest.pages[position] ?? '';
    const { chunks } = await getRecord(
      this.#bank,
      bankKeys.page(this.#tenant, digest),
      pageSchema,
      call,
      digest,
    );
    if (chunks.length !== Math.min(PAGE_CHUNKS, chunkCount(manifest.size) - position * PAGE_CHUNKS)) {
      throw new FafnirError('CORRUPT', `page ${digest} in bank ${this.#bank.name} has the wrong length`);
    }
    return chunks;
  }

  /** Stores a manifest under its token; one that is there already stays and counts. */
  async put(token: string, { size, pages }: Manifest, call: CallOptions): Promise<StoredManifest> {
    const manifest = { format: 0, kind: 'manifest', size, chunkSize: CHUNK_SIZE, pages };
    await putRecord(this.#bank, bankKeys.manifest(this.#tenant, token), manifest, call);
    return this.get(token, undefined, call);
  }

  /** The manifest under this token, which must have the expected digest; `NOT_FOUND` where there is none. */
  async get(token: string, expected: string | undefined, call: CallOptions): Promise<StoredManifest> {
    const key = bankKeys.manifest(this.#tenant, token);
    const { record, digest } = await readRecord(this.#bank, key, manifestSchema, call, expected);
    const { size, pages } = record;
    if (pages.length !== Math.ceil(chunkCount(size) / PAGE_CHUNKS)) {
      throw new FafnirError('CORRUPT', `${key} in bank ${this.#bank.name} has the wrong number of pages`);
    }
    return { size, pages, digest };
  }

  /** Removes a manifest; a missing one is success. */
  async remove(token: string, call: CallOptions): Promise<void> {
    await this.#bank.remove([bankKeys.manifest(this.#tenant, token)], call);
  }
}
