import { createHash } from 'node:crypto';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Bank, CallOptions } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { parseOptions } from '../options.ts';

const LARGEST_RECORD = 64 * 1024 * 1024;
const DIGEST_LENGTH = 64;
const LINE_FEED = 0x0a;

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

/** Whether a bank's answer says that an object is not as it was stored, and not merely out of reach now. */
export const isDamage = (error: unknown): boolean =>
  FafnirError.is(error, 'NOT_FOUND') || FafnirError.is(error, 'CORRUPT');

/**
 * Reads a record back, with its digest. Bank contents are untrusted: bytes that do not match their digest, and JSON
 * that does not fit the schema, are refused with `CORRUPT`, as is a digest other than the expected one.
 */
export async function readRecord<Output>(
  bank: Bank,
  key: string,
  schema: StandardSchemaV1<unknown, Output>,
  call: CallOptions,
  expected?: string,
): Promise<{ readonly record: Output; readonly digest: string }> {
  const corrupt = (what: string, cause?: unknown): FafnirError =>
    new FafnirError('CORRUPT', `${key} in bank ${bank.name} ${what}`, { cause });
  const bytes = await bank.get(key, { limit: LARGEST_RECORD }, call).catch((error: unknown) => {
    throw FafnirError.is(error, 'LIMIT_EXCEEDED') ? corrupt('is larger than any record', error) : error;
  });
  const json = bytes.subarray(DIGEST_LENGTH + 1);
  const digest = new TextDecoder().decode(bytes.subarray(0, DIGEST_LENGTH));
  const isWhole = bytes[DIGEST_LENGTH] === LINE_FEED && digestOf(json) === digest;
  if (!isWhole || (expected !== undefined && expected !== digest)) throw corrupt('does not match its digest');
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
    return { record: parseOptions(key, schema, parsed), digest };
  } catch (error) {
    throw corrupt('is not what the format says', error);
  }
}

/** Reads a record back; see {@link readRecord}. */
export async function getRecord<Output>(...args: Parameters<typeof readRecord<Output>>): Promise<Output> {
  return (await readRecord(...args)).record;
}
