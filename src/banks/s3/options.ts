import * as z from 'zod';
import { isBankKey } from '../../core/bank-keys.ts';
import { strictOptions } from '../../core/options.ts';
import type { S3Credentials } from './connection.ts';
import type { S3Lock } from './locks.ts';

/** Options of `s3Bank`. */
export interface S3BankOptions {
  /** Unique within an engine; recorded in checkpoints. */
  readonly name: string;
  /** The bucket, which must exist. */
  readonly bucket: string;
  /** Where the bucket is; services without regions mostly take `us-east-1`. */
  readonly region: string;
  /** The address of a service other than Amazon's, such as `https://s3.example.org`. */
  readonly endpoint?: string;
  /** True where the bucket is in the path of the address and not in its host name. Default: with an endpoint. */
  readonly pathStyle?: boolean;
  /** The bank's folder in the bucket: a bank key. Default: the whole bucket. */
  readonly prefix?: string;
  /** Who calls, or a function that says so; it is asked at the first call and before what it gave ends. */
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
  /**
   * `atomic`: objects are created with `If-None-Match`; the first such `put` tries whether the service heeds it, and
   * is refused with `UNSUPPORTED` where not. `best-effort`: the bank looks before it writes, for services that do not.
   * Default: `atomic`.
   */
  readonly conditionalCreate?: 'atomic' | 'best-effort';
  /**
   * How objects are locked; the bucket must have Object Lock then. Objects are the first versions of their names, and are
   * removed with all versions. Default: the bank has no locks.
   */
  readonly lock?: S3Lock;
  /** For services that list late: milliseconds after which an object that was put is surely listed. Default: 0. */
  readonly listingDelayMilliseconds?: number;
  /** How long a connection may take to come about. Default: 10,000. */
  readonly connectTimeoutMilliseconds?: number;
  /** How long a connection may stand still in the middle of a request. Default: 60,000. */
  readonly idleTimeoutMilliseconds?: number;
}

// S3 takes keys of 1,024 bytes, of which the bank's own have up to 512.
const LONGEST_PREFIX = 511;
const LONGEST_LISTING_DELAY = 7 * 24 * 3_600_000;
const milliseconds = z.int().min(1).max(3_600_000);

// Not strict: those of the SDK's own providers say more.
const CREDENTIALS = z.object({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().min(1).exactOptional(),
  expiration: z.date().exactOptional(),
}) satisfies z.ZodType<S3Credentials>;

/** Says what is wrong with options. */
export const s3OptionsSchema: z.ZodType<S3BankOptions> = strictOptions({
  name: z.string().min(1),
  bucket: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/, 'not the name of a bucket'),
  region: z.string().regex(/^[A-Za-z0-9-]{1,63}$/, 'not the name of a region'),
  endpoint: z.string().refine(isEndpoint, 'not an http or https address without a user').exactOptional(),
  pathStyle: z.boolean().exactOptional(),
  prefix: z.string().max(LONGEST_PREFIX).refine(isBankKey, 'not a bank key').exactOptional(),
  credentials: z.union([
    CREDENTIALS,
    z.custom<() => Promise<S3Credentials>>((value) => typeof value === 'function'),
  ]),
  conditionalCreate: z.enum(['atomic', 'best-effort']).exactOptional(),
  lock: z.enum(['governance', 'compliance']).exactOptional(),
  listingDelayMilliseconds: z.int().min(0).max(LONGEST_LISTING_DELAY).exactOptional(),
  connectTimeoutMilliseconds: milliseconds.exactOptional(),
  idleTimeoutMilliseconds: milliseconds.exactOptional(),
});

function isEndpoint(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password, search, hash } = new URL(value);
  return /^https?:$/.test(protocol) && `${username}${password}${search}${hash}` === '';
}
