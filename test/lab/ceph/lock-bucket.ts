import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { type S3BankOptions, s3Bank } from '../../../src/banks/s3.ts';
import { type Bank, FafnirError } from '../../../src/index.ts';
import type { Ceph } from './ceph.ts';

const live = { signal: new AbortController().signal };

/** A bucket with Object Lock, and banks in it. */
export class LockBucket {
  readonly name: string = `fafnir-locks-${randomUUID()}`;
  readonly client: S3Client;
  readonly #ceph: Ceph;

  constructor(ceph: Ceph) {
    const { endpoint, region, owner } = ceph;
    this.#ceph = ceph;
    this.client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { ...owner } });
  }

  async create(): Promise<void> {
    await this.client.send(new CreateBucketCommand({ Bucket: this.name, ObjectLockEnabledForBucket: true }));
  }

  /** A bank in a folder of its own. */
  open(more: Partial<S3BankOptions> = {}): Bank {
    const { endpoint, region, owner } = this.#ceph;
    const place = { bucket: this.name, prefix: randomUUID(), endpoint, region, credentials: owner };
    return s3Bank({ name: 's3', ...place, lock: 'governance', ...more });
  }

  /** Empties a bank as soon as its locks let it. */
  async empty(bank: Bank): Promise<void> {
    for (;;) {
      const keys: string[] = [];
      for await (const { key } of bank.list('', live)) keys.push(key);
      try {
        return await bank.remove(keys, live);
      } catch (error) {
        if (!FafnirError.is(error, 'LOCKED')) throw error;
        await setTimeout(500);
      }
    }
  }

  /** Takes the bucket away with what is in it, none of which may be locked. */
  async remove(): Promise<void> {
    const Bucket = this.name;
    const { Versions = [], DeleteMarkers = [] } = await this.client.send(
      new ListObjectVersionsCommand({ Bucket }),
    );
    for (const { Key, VersionId } of [...Versions, ...DeleteMarkers]) {
      await this.client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
    }
    await this.client.send(new DeleteBucketCommand({ Bucket }));
    this.client.destroy();
  }
}
