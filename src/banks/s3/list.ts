import { isBankKey } from '../../core/bank-keys.ts';
import type { BankObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Connection } from './connection.ts';

/** The part of a bucket that a bank has. */
export type Area = {
  readonly bucket: string;
  /** Before each key; empty or ending in a slash. */
  readonly folder: string;
  /** The bucket and the service, for messages. */
  readonly where: string;
};

/**
 * Objects in the order of their keys, page by page. Each page goes on after the last key of the one before, which
 * needs no token that may expire.
 */
export async function* listObjects(
  connection: Connection,
  { bucket, folder, where }: Area,
  prefix: string,
  after: string,
  signal: AbortSignal,
): AsyncGenerator<BankObject> {
  let last = after === '' ? undefined : folder + after;
  for (;;) {
    const page = await connection.call(`list objects in ${where}`, signal, ({ sdk, client, request }) => {
      const command = new sdk.ListObjectsV2Command({
        Bucket: bucket,
        Prefix: folder + prefix,
        ...(last !== undefined && { StartAfter: last }),
        // Keys of others in the bucket may hold what XML cannot.
        EncodingType: 'url',
      });
      return client.send(command, request);
    });
    for (const { Key, Size } of page.Contents ?? []) {
      signal.throwIfAborted();
      const name = page.EncodingType === 'url' ? decodeKey(Key ?? '', where) : (Key ?? '');
      if (last !== undefined && Buffer.compare(Buffer.from(name), Buffer.from(last)) <= 0) {
        throw new FafnirError('WRONG_ANSWER', `${where} does not list its keys in order`);
      }
      last = name;
      const key = name.slice(folder.length);
      // What has no key, such as another program's object, is not in the bank.
      if (name.startsWith(folder + prefix) && isBankKey(key)) yield { key, size: Size ?? 0 };
    }
    if (page.IsTruncated !== true) return;
    if ((page.Contents ?? []).length === 0) {
      throw new FafnirError('WRONG_ANSWER', `${where} lists an empty page before the last`);
    }
  }
}

/** A key as a list encodes it: a space is a plus there, and a plus is %2B. */
export function decodeKey(name: string, where: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch (error) {
    throw FafnirError.from(error, 'WRONG_ANSWER', `${where} lists a key that cannot be decoded`);
  }
}
