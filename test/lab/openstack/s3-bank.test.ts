import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type S3BankOptions, s3Bank } from '../../../src/banks/s3.ts';
import { swiftBank } from '../../../src/banks/swift.ts';
import type { Bank } from '../../../src/core/contracts/index.ts';
import { cloudOf, emptyContainer, makeContainer, removeContainer } from './containers.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { type SwiftS3, swiftS3 } from './s3.ts';

const { openstack, skipped } = openStackLab();
const live = { signal: new AbortController().signal };
const creating = { ...live, ifAbsent: true };
const replacing = { ...live, ifAbsent: false };
const whole = { limit: 1024 ** 3 };
const MEBIBYTE = 1024 ** 2;

if (openstack === undefined)
  describe.skip(`an S3 bank on Swift (${skipped})`, () => test('needs the lab', () => undefined));
else describe('an S3 bank on Swift', () => suite(openstack));

function suite(lab: OpenStack): void {
  const container = `bank-${randomUUID()}`;
  const cloud = cloudOf(lab, lab.sites.a);
  let service: SwiftS3;
  const conditionalCreate = 'best-effort';
  const open = (more: Partial<S3BankOptions> = {}): Bank =>
    s3Bank({ name: 's3', bucket: container, conditionalCreate, ...service.place, ...more });
  beforeAll(async () => {
    await makeContainer(cloud, container);
    service = await swiftS3(lab, lab.sites.a);
  });
  // Where Swift's S3 interface keeps what is uploaded in parts.
  const segments = `${container}+segments`;
  afterAll(async () => {
    await service.end();
    for (const one of [container, segments]) {
      await emptyContainer(cloud, one);
      await removeContainer(cloud, one);
    }
  });

  test('is refused where it promises what Swift does not keep, before anything is written', async () => {
    const bank = open({ conditionalCreate: 'atomic', prefix: 'atomic' });
    const put = bank.put('object', Buffer.from('body'), creating);
    await expect(put).rejects.toMatchObject({ code: 'UNSUPPORTED', retryable: false });
    await expect(put).rejects.toHaveProperty('hint', expect.stringContaining("'best-effort'"));
    expect(await bank.head('object', live)).toBeUndefined();
  });

  test('refuses a wrong secret, unknown keys, and a project of others', async () => {
    await open().put('kept', Buffer.from('kept'), replacing);
    const { accessKeyId } = service.place.credentials;
    const other = await swiftS3(lab, lab.sites.b);
    for (const credentials of [
      { accessKeyId, secretAccessKey: 'wrong' },
      { accessKeyId: 'nobody', secretAccessKey: 'wrong' },
    ]) {
      const denied = { code: 'ACCESS_DENIED', retryable: false };
      await expect(open({ credentials }).get('kept', whole, live)).rejects.toMatchObject(denied);
      await expect(open({ credentials }).put('kept', Buffer.of(1), replacing)).rejects.toMatchObject(denied);
    }
    // Buckets are of a project: what others have is not there.
    const stranger = open({ credentials: other.place.credentials });
    await expect(stranger.get('kept', whole, live)).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    await other.end();
    expect(Buffer.from(await open().get('kept', whole, live)).toString()).toBe('kept');
  });

  test('says so when the quota of the container is used up, and leaves nothing', async () => {
    const small = `small-${container}`;
    await makeContainer(cloud, small, { 'x-container-meta-quota-bytes': String(MEBIBYTE) });
    const bank = open({ bucket: small });
    const put = bank.put('large', Buffer.alloc(2 * MEBIBYTE), creating);
    // Swift's S3 interface tells a quota as it tells an object that is too large.
    await expect(put).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED', retryable: false });
    await expect(put).rejects.toHaveProperty('hint', expect.stringContaining('quota'));
    expect(await bank.head('large', live)).toBeUndefined();
    await removeContainer(cloud, small);
  });

  test('keeps 80 MiB, which go in parts, as they are', async () => {
    const body = Array.from({ length: 16 }, (_, at) => Buffer.alloc(5 * MEBIBYTE, at));
    await open().put('large', body, replacing);
    expect(Buffer.concat(body).equals(await open().get('large', whole, live))).toBe(true);
    const [piece] = await open().get('large', { offset: 70 * MEBIBYTE, length: 1 }, live);
    expect(piece).toBe(14);
    await open().remove(['large'], live);
    const parts: string[] = [];
    for await (const { key } of swiftBank({ name: 'segments', container: segments, ...cloud }).list('', live))
      parts.push(key);
    expect(parts).toEqual([]);
  });

  test("is the same bank by Swift's own protocol", async () => {
    const native = swiftBank({ name: 'swift', container, prefix: 'both', ...cloud });
    const bank = open({ prefix: 'both' });
    await native.put('swift/a=1', Buffer.from('by Swift'), creating);
    await bank.put('s3/b.2', Buffer.from('by S3'), creating);
    expect(Buffer.from(await bank.get('swift/a=1', whole, live)).toString()).toBe('by Swift');
    expect(Buffer.from(await native.get('s3/b.2', whole, live)).toString()).toBe('by S3');
    const keys: string[] = [];
    for await (const { key } of bank.list('', live)) keys.push(key);
    expect(keys).toEqual(['s3/b.2', 'swift/a=1']);
  });
}
