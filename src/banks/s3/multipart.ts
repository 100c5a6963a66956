import type { CompletedPart } from '@aws-sdk/client-s3';
import { FafnirError } from '../../core/errors.ts';
import { cut, prepare, requestBody } from './bodies.ts';
import type { Connection, Service } from './connection.ts';

/** The bucket and the key in it, and which version of it, where that matters. */
export type Place = { readonly Bucket: string; readonly Key: string; readonly VersionId?: string };

const PART = 32 * 1024 ** 2;
const stay = (): AbortSignal => new AbortController().signal;

/** Stores a large body in parts. What was sent of it is taken away where it does not come to an object. */
export async function putInParts(
  connection: Connection,
  doing: string,
  place: Place,
  parts: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  // Not with the caller's signal: an upload whose id nobody has heard cannot be taken away.
  const UploadId = await connection.call(doing, stay(), async ({ sdk, client, request }) => {
    const answer = await client.send(new sdk.CreateMultipartUploadCommand(place), request);
    return answer.UploadId;
  });
  if (UploadId === undefined) throw new FafnirError('WRONG_ANSWER', `cannot ${doing}: the upload has no id`);
  const upload = { ...place, UploadId };
  try {
    await connection.call(doing, signal, async (service) => {
      const Parts = await sendParts(service, upload, parts);
      const command = new service.sdk.CompleteMultipartUploadCommand({
        ...upload,
        MultipartUpload: { Parts },
      });
      await service.client.send(command, service.request);
    });
  } catch (error) {
    await discard(connection, doing, upload, error);
    throw error;
  }
}

async function sendParts(
  { sdk, client, request }: Service,
  upload: Place & { readonly UploadId: string },
  parts: readonly Uint8Array[],
): Promise<CompletedPart[]> {
  const sent: CompletedPart[] = [];
  for (const piece of cut(parts, PART)) {
    const PartNumber = sent.length + 1;
    const body = requestBody(await prepare(piece, request.abortSignal));
    const { ETag } = await client.send(
      new sdk.UploadPartCommand({ ...upload, PartNumber, ...body }),
      request,
    );
    sent.push({ PartNumber, ETag });
  }
  return sent;
}

async function discard(
  connection: Connection,
  doing: string,
  upload: Place & { readonly UploadId: string },
  reason: unknown,
): Promise<void> {
  try {
    await connection.call(doing, stay(), ({ sdk, client, request }) =>
      client.send(new sdk.AbortMultipartUploadCommand(upload), request),
    );
  } catch (error) {
    // Gone already: the service had completed it, or ended it by itself.
    if (error instanceof Error && error.cause instanceof Error && error.cause.name === 'NoSuchUpload') return;
    throw new FafnirError('UNAVAILABLE', `cannot ${doing}; parts of the upload ${upload.UploadId} stayed`, {
      cause: reason,
      hint: 'Abort the upload, or let a lifecycle rule of the bucket do so.',
    });
  }
}
