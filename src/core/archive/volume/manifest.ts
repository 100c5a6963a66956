import * as z from 'zod';
import type { CallOptions } from '../../contracts/index.ts';
import { bankKeys } from '../keys.ts';
import { getRecord, isDamage, putRecord } from '../records.ts';
import { count, digest } from '../schema-parts.ts';
import type { Vault } from '../vault.ts';
import { type Geometry, isChunkSize, pageCount } from './geometry.ts';
import { isIndexName } from './index-store.ts';

/** What an archive of a volume consists of: ids of pages, which hold ids of chunks. */
export interface Manifest extends Geometry {
  /** The data key from which the chunk id key is derived. */
  readonly idKey: string;
  /** Ids of the pages in order, in hexadecimal digits; zeros for a page of zeros. */
  readonly pages: readonly string[];
  /** Indexes that tell where pages and chunks are: `TOKEN/NAME`. */
  readonly indexes: readonly string[];
}

/** What names a manifest in a bank. */
export interface ManifestReference {
  /** Names the archive. */
  readonly token: string;
  /** Of the record: several workers of one job may have stored one each. */
  readonly digest: string;
}

/** A manifest that is in the bank. */
export interface StoredManifest extends Manifest, ManifestReference {}

const manifestSchema = z
  .strictObject({
    format: z.literal(1),
    kind: z.literal('manifest'),
    size: count,
    chunkSize: z.number().refine(isChunkSize, 'is no size of chunks'),
    idKey: z.string().regex(/^[0-9a-f]{16}$/),
    pages: z.array(digest),
    indexes: z.array(z.string().refine(isIndexName, 'is no name of an index')),
  })
  .refine((manifest) => manifest.pages.length === pageCount(manifest), 'has the wrong number of pages');

/**
 * Stores a manifest and resolves with the one that counts: where other workers of the job stored theirs under the token,
 * the first in the order of keys. It is not locked: an archive that turns out to be wrong is made anew under the token.
 */
export async function putManifest(
  vault: Vault,
  token: string,
  { size, chunkSize, idKey, pages, indexes }: Manifest,
  call: CallOptions,
): Promise<StoredManifest> {
  const record = { format: 1, kind: 'manifest', size, chunkSize, idKey, pages, indexes };
  const keyOf = (digest: string): string => bankKeys.manifest(vault.tenant, token, digest);
  const digest = await putRecord(vault.lockedUntil(null), keyOf, record, call);
  // A bank may list the new one late.
  const digests = [...(await digestsOf(vault, token, call)), digest];
  return (await firstOf(vault, token, digests, call)) ?? getManifest(vault, { token, digest }, call);
}

/** The manifest that counts under this token, or undefined where there is none that can be read. */
export async function findManifest(
  vault: Vault,
  token: string,
  call: CallOptions,
): Promise<StoredManifest | undefined> {
  return firstOf(vault, token, await digestsOf(vault, token, call), call);
}

/** Reads a manifest; `NOT_FOUND` where it is gone, `CORRUPT` where it is not what was stored. */
export async function getManifest(
  vault: Vault,
  { token, digest }: ManifestReference,
  call: CallOptions,
): Promise<StoredManifest> {
  const key = bankKeys.manifest(vault.tenant, token, digest);
  const { size, chunkSize, idKey, pages, indexes } = await getRecord(vault, key, manifestSchema, call);
  return { token, digest, size, chunkSize, idKey, pages, indexes };
}

/** Locks a manifest that counts, as the vault locks what it puts. */
export const lockManifest = (
  vault: Vault,
  { token, digest }: ManifestReference,
  call: CallOptions,
): Promise<void> =>
  vault.shown(() => vault.lock([bankKeys.manifest(vault.tenant, token, digest)], call), call);

/** Removes every manifest under this token, also one that the bank does not list yet where its digest is known. */
export async function removeManifest(
  vault: Vault,
  { token, digest }: Pick<ManifestReference, 'token'> & Partial<ManifestReference>,
  call: CallOptions,
): Promise<void> {
  const digests = new Set(await digestsOf(vault, token, call));
  if (digest !== undefined) digests.add(digest);
  const keys = [...digests].map((digest) => bankKeys.manifest(vault.tenant, token, digest));
  if (keys.length > 0) await vault.bank.remove(keys, call);
}

async function digestsOf(vault: Vault, token: string, call: CallOptions): Promise<string[]> {
  const prefix = bankKeys.manifestsOf(vault.tenant, token);
  const digests: string[] = [];
  for await (const { key } of vault.bank.list(prefix, call)) digests.push(key.slice(prefix.length));
  return digests;
}

// One that is damaged counts for nobody, so that a job which is repeated does not end at it for ever.
async function firstOf(
  vault: Vault,
  token: string,
  digests: readonly string[],
  call: CallOptions,
): Promise<StoredManifest | undefined> {
  for (const digest of [...new Set(digests)].sort()) {
    try {
      return await getManifest(vault, { token, digest }, call);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  }
  return undefined;
}
