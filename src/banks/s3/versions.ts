import type { ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3';
import { isBankKey } from '../../core/bank-keys.ts';
import type { BankObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Connection } from './connection.ts';
import { type Area, decodeKey } from './list.ts';

/** One version of a name in a bucket. */
export type Version = {
  /** The name in the bucket. */
  readonly name: string;
  /** Names the version among those of the name. */
  readonly id: string;
  /** Bytes; undefined for what only hides the versions before it. */
  readonly size: number | undefined;
};

const PAGE = 1_000;
// Of one name there is mostly one; others that begin alike follow.
const PAGE_OF_NAME = 8;

/**
 * The versions of all names that begin with `prefix`, those greater than `after` alone where it is given: by name, and of
 * one name the newest first, but for what hides versions, which comes after them.
 */
export async function* listVersions(
  connection: Connection,
  { bucket, where }: Pick<Area, 'bucket' | 'where'>,
  { prefix, after, page: most = PAGE }: { prefix: string; after?: string | undefined; page?: number },
  signal: AbortSignal,
): AsyncGenerator<Version> {
  let from: { KeyMarker?: string; VersionIdMarker?: string } =
    after === undefined ? {} : { KeyMarker: after };
  let last = after ?? '';
  for (;;) {
    const page = await connection.call(`list versions in ${where}`, signal, ({ sdk, client, request }) =>
      client.send(
        new sdk.ListObjectVersionsCommand({
          Bucket: bucket,
          Prefix: prefix,
          MaxKeys: most,
          EncodingType: 'url',
          ...from,
        }),
        request,
      ),
    );
    for (const version of versionsIn(page, where)) {
      signal.throwIfAborted();
      // Some services begin with the versions of the marker itself.
      if (after !== undefined && Buffer.compare(Buffer.from(version.name), Buffer.from(after)) <= 0) continue;
      if (Buffer.compare(Buffer.from(version.name), Buffer.from(last)) < 0) {
        throw new FafnirError('WRONG_ANSWER', `${where} does not list its keys in order`);
      }
      last = version.name;
      yield version;
    }
    if (page.IsTruncated !== true) return;
    const next = page.NextKeyMarker;
    if (next === undefined) throw new FafnirError('WRONG_ANSWER', `${where} does not say how a list goes on`);
    from = {
      KeyMarker: page.EncodingType === 'url' ? decodeKey(next, where) : next,
      ...(page.NextVersionIdMarker && { VersionIdMarker: page.NextVersionIdMarker }),
    };
  }
}

/** Every version of one name: the newest first, but for what hides versions. */
export async function versionsOf(
  connection: Connection,
  area: Pick<Area, 'bucket' | 'where'>,
  name: string,
  signal: AbortSignal,
): Promise<readonly Version[]> {
  const found: Version[] = [];
  const wanted = { prefix: name, page: PAGE_OF_NAME };
  for await (const version of listVersions(connection, area, wanted, signal)) {
    if (version.name !== name) break;
    found.push(version);
  }
  return found;
}

/** Of the versions of one name the one that counts: the first that was written. Nobody can write one before it. */
export const firstOf = (versions: readonly Version[]): (Version & { readonly size: number }) | undefined =>
  versions.findLast((version): version is Version & { readonly size: number } => version.size !== undefined);

/** The objects of an area by the first versions of their names: what hides or follows these does not matter. */
export async function* listFirst(
  connection: Connection,
  area: Area,
  prefix: string,
  after: string,
  signal: AbortSignal,
): AsyncGenerator<BankObject> {
  const { folder } = area;
  const wanted = { prefix: folder + prefix, after: after === '' ? undefined : folder + after };
  let versions: Version[] = [];
  const first = function* (): Generator<BankObject> {
    const version = firstOf(versions);
    const key = version?.name.slice(folder.length) ?? '';
    if (version?.name.startsWith(wanted.prefix) && isBankKey(key)) yield { key, size: version.size };
  };
  for await (const version of listVersions(connection, area, wanted, signal)) {
    if (version.name !== versions[0]?.name) {
      yield* first();
      versions = [];
    }
    versions.push(version);
  }
  yield* first();
}

/** What a page has, by name; a name that goes on at the next page does so there. */
function versionsIn(page: ListObjectVersionsCommandOutput, where: string): readonly Version[] {
  const decoded = (key = ''): string => (page.EncodingType === 'url' ? decodeKey(key, where) : key);
  const versions = (page.Versions ?? []).map(({ Key, VersionId = 'null', Size = 0 }) => ({
    name: decoded(Key),
    id: VersionId,
    size: Size,
  }));
  const markers = (page.DeleteMarkers ?? []).map(({ Key, VersionId = 'null' }) => ({
    name: decoded(Key),
    id: VersionId,
    size: undefined,
  }));
  if (markers.length === 0) return versions;
  // The two come apart, and each in order.
  return [...versions, ...markers].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}
