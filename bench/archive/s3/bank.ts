import { readFile } from 'node:fs/promises';
import { s3Bank } from '../../../src/banks/s3.ts';
import { measured } from '../../../src/banks/wrappers/measured.ts';
import type { Bank } from '../../../src/core/contracts/index.ts';

/** The settings of an S3 service, as the lab writes them. */
export interface ServiceSettings {
  /** The address. */
  readonly endpoint: string;
  /** As the service calls it. */
  readonly region: string;
  /** Who calls, and may make buckets. */
  readonly owner: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** Where a bank on S3 is. It holds no secret: a task that names it is an argument, which everybody can read. */
export interface S3Place {
  /** The file with the settings of the service. */
  readonly settings: string;
  /** One that exists. */
  readonly bucket: string;
  /** The bank's folder in the bucket. */
  readonly prefix: string;
}

/** Reads the settings of a service. */
export async function readSettings(path: string): Promise<ServiceSettings> {
  return JSON.parse(await readFile(path, 'utf8'));
}

/**
 * A bank on S3 that tells of each `put`. Each is one request; what the bank itself sends to try the service, two small
 * objects in an empty bucket, is not told.
 */
export async function openS3Bank(place: S3Place, onPut: () => void = () => undefined): Promise<Bank> {
  const { settings, bucket, prefix } = place;
  const { endpoint, region, owner } = await readSettings(settings);
  const bank = s3Bank({ name: 'bench', bucket, prefix, endpoint, region, credentials: owner });
  return measured(bank, {
    publish: (_channel, { operation }) => {
      if (operation === 'put') onPut();
    },
  });
}
