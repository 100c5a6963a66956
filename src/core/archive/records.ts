import { createHash } from 'node:crypto';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Bank, CallOptions } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { parseOptions } from '../options.ts';

const LARGEST_RECORD = 64 * 1024 * 1024;
const DIGEST_LENGTH = 64;

/** The SHA-256 of some bytes, as 64 hexadecimal digits. */
export const digestOf = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');

/** A record as it is stored: one line with the digest of the rest, then JSON. */
export function encodeRecord(record: object): { readonly body: Uint8Array; readonly digest: string } {
  const json = JSON.stringify(record);
  const digest = digestOf(json);
  const body = new TextEncoder().encode(`${digest}\n${json}`);
  if (body.length > LARGEST_RECORD) {
    throw new FafnirError(
      'LIMIT_EXCEEDED',
      `a record of ${body.length} bytes is larger than ${LARGEST_RECORD}`,
    );
  }
  return { body, digest };
}

/** Stores a record under a new key; where the key exists, the record that is there stays. Returns its digest. */
export async function putRecord(
  bank: Bank,
  keyOf: string | ((digest: string) => string),
  record: object,
  call: CallOptions,
): Promise<string> {
  const { body, digest } = encodeRecord(record);
  const key = typeof keyOf === 'string' ? keyOf : keyOf(digest);
  await bank.put(key, body, { ifAbsent: true, signal: call.signal });
  return digest;
}

/**
 * Reads a record back. Bank contents are untrusted: bytes that do not match their digest, or JSON that does not fit
 * the schema, are refused with `CORRUPT`, as is a digest other than the expected one.
 */
export async function getRecord<Output>(
  bank: Bank,
  key: string,
  schema: StandardSchemaV1<unknown, Output>,
  call: CallOptions,
  expected?: string,
): Promise<Output> {
  const bytes = await bank.get(key, { limit: LARGEST_RECORD }, call);
  const json = bytes.subarray(DIGEST_LENGTH + 1);
  const digest = new TextDecoder().decode(bytes.subarray(0, DIGEST_LENGTH));
  if (digestOf(json) !== digest || (expected !== undefined && expected !== digest)) {
    throw new FafnirError('CORRUPT', `${key} in bank ${bank.name} does not match its digest`);
  }
  try {
    return parseOptions(key, schema, JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json)));
  } catch (error) {
    throw new FafnirError('CORRUPT', `${key} in bank ${bank.name} is not what the format says`, {
      cause: error,
    });
  }
}
