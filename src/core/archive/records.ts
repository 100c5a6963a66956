import { createHash, createHmac } from 'node:crypto';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { CallOptions } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { parseOptions } from '../options.ts';
import { deriveIdKey } from './sealing.ts';
import type { Vault } from './vault.ts';

const LARGEST_RECORD = 64 * 1024 * 1024;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** The SHA-256 of some bytes, as 64 hexadecimal digits. */
export const digestOf = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');

/** Tells records apart, and tells those without the tenant's keys nothing: 64 hexadecimal digits. */
export async function keyedDigest(vault: Vault, json: string, call: CallOptions): Promise<string> {
  return createHmac('sha256', deriveIdKey(await vault.idKey(call)))
    .update(json)
    .digest('hex');
}

/** A record's JSON; `LIMIT_EXCEEDED` where no reader would take it. */
export function encodeRecord(record: object): string {
  const json = JSON.stringify(record);
  const bytes = Buffer.byteLength(json);
  if (bytes <= LARGEST_RECORD) return json;
  throw new FafnirError('LIMIT_EXCEEDED', `a record of ${bytes} bytes is larger than ${LARGEST_RECORD}`);
}

/**
 * Stores a record under a new key, which may follow from its digest; where the key exists, the record that is there
 * stays. Resolves with the digest.
 */
export async function putRecord(
  vault: Vault,
  keyOf: string | ((digest: string) => string),
  record: object,
  call: CallOptions,
): Promise<string> {
  const json = encodeRecord(record);
  const digest = await keyedDigest(vault, json, call);
  await vault.put(typeof keyOf === 'string' ? keyOf : keyOf(digest), await compress(json), call);
  return digest;
}

/** Whether a bank's answer says that an object is not as it was stored, and not merely out of reach now. */
export const isDamage = (error: unknown): boolean =>
  FafnirError.is(error, 'NOT_FOUND') || FafnirError.is(error, 'CORRUPT');

/** Reads a record back. Bank contents are untrusted: what does not open or does not fit the schema is `CORRUPT`. */
export async function getRecord<Output>(
  vault: Vault,
  key: string,
  schema: StandardSchemaV1<unknown, Output>,
  call: CallOptions,
): Promise<Output> {
  const content = await vault.get(key, LARGEST_RECORD, call);
  try {
    const json = await decompress(content, { maxOutputLength: LARGEST_RECORD });
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
    return parseOptions(key, schema, parsed);
  } catch (error) {
    throw vault.corrupt(key, 'is not what the format says', error);
  }
}
