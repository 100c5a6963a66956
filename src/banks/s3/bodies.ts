import { Readable } from 'node:stream';
import type { PutObjectCommandOutput } from '@aws-sdk/client-s3';
import { FafnirError } from '../../core/errors.ts';
import { md5Of, readExactly, sizeOf } from '../bodies.ts';

/** A body as it is sent. */
export type Upload = {
  /** Bytes. */
  readonly size: number;
  /** In base64. */
  readonly md5: string;
  readonly parts: readonly Uint8Array[];
};

/** Digests a body. */
export async function prepare(parts: readonly Uint8Array[], signal: AbortSignal): Promise<Upload> {
  return { size: sizeOf(parts), md5: (await md5Of(parts, signal)).toString('base64'), parts };
}

/**
 * What the SDK sends for a body. A stream goes out part by part without being copied into one, and without a second
 * digest for the signature, which covers Content-MD5.
 */
export function requestBody({ size, md5, parts }: Upload): {
  readonly Body: Readable | Uint8Array;
  readonly ContentLength: number;
  readonly ContentMD5: string;
} {
  const filled = parts.filter((part) => part.length > 0);
  const body = filled.length === 0 ? new Uint8Array() : Readable.from(filled);
  return { Body: body, ContentLength: size, ContentMD5: md5 };
}

/**
 * Compares the digest that the service answers with the one of what was sent. Under encryption, and where it does not
 * look like one, an ETag is no digest and says nothing.
 */
export function assertStored(
  { md5 }: Upload,
  answer: Pick<PutObjectCommandOutput, 'ETag' | 'ServerSideEncryption' | 'SSECustomerAlgorithm'>,
  key: string,
): void {
  const { ETag = '', ServerSideEncryption, SSECustomerAlgorithm } = answer;
  const digest = /^"?([0-9a-f]{32})"?$/.exec(ETag)?.[1];
  if (digest === undefined || ServerSideEncryption !== undefined || SSECustomerAlgorithm !== undefined)
    return;
  if (Buffer.from(digest, 'hex').toString('base64') === md5) return;
  // A second try with `ifAbsent` would find the object and take it for a good one.
  throw new FafnirError('NOT_PROVEN', `${key} was stored with another digest than was sent`, {
    retryable: false,
  });
}

/** Cuts a body into bodies of `length` bytes, the last of which may be shorter. Nothing is copied. */
export function* cut(parts: readonly Uint8Array[], length: number): Generator<readonly Uint8Array[]> {
  let pending: Uint8Array[] = [];
  let room = length;
  for (const part of parts) {
    for (let rest = part; rest.length > 0; ) {
      const piece = rest.subarray(0, room);
      pending.push(piece);
      rest = rest.subarray(piece.length);
      room -= piece.length;
      if (room > 0) continue;
      yield pending;
      pending = [];
      room = length;
    }
  }
  if (pending.length > 0) yield pending;
}

/** The bytes of an answer, in memory of their own; anything but `length` bytes is refused. */
export async function readBody(body: unknown, length: number, key: string): Promise<Uint8Array> {
  if (!(body instanceof Readable)) throw new FafnirError('WRONG_ANSWER', `${key} came without a body`);
  return readExactly(body, length, key);
}
