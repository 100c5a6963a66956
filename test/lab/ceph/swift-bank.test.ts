import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { s3Bank } from '../../../src/banks/s3.ts';
import { type SwiftBankOptions, swiftBank } from '../../../src/banks/swift.ts';
import { openStackClient } from '../../../src/clients/openstack/index.ts';
import type { Bank } from '../../../src/core/contracts/index.ts';
import { emptyContainer, makeContainer, removeContainer, tempAuthOf } from '../openstack/containers.ts';
import { type Ceph, cephLab } from './ceph.ts';

const { ceph, skipped } = cephLab();
const live = { signal: new AbortController().signal };
const creating = { ...live, ifAbsent: true };
const whole = { limit: 1024 ** 3 };
const MEBIBYTE = 1024 ** 2;

if (ceph === undefined)
  describe.skip(`a bank on Ceph by Swift's protocol (${skipped})`, () =>
    test('needs the lab', () => undefined));
else describe("a bank on Ceph by Swift's protocol", () => suite(ceph));

function suite({ endpoint, region, owner, swift }: Ceph): void {
  const container = `bank-${randomUUID()}`;
  const cloud = tempAuthOf(swift);
  const open = (more: Partial<SwiftBankOptions> = {}): Bank =>
    swiftBank({ name: 'swift', container, ...cloud, ...more });
  const text = async (bank: Bank, key: string) => Buffer.from(await bank.get(key, whole, live)).toString();
  beforeAll(() => makeContainer(cloud, container));
  afterAll(async () => {
    await emptyContainer(cloud, container);
    await removeContainer(cloud, container);
  });

  test.each([
    ['a wrong key', { ...swift, key: 'wrong' }],
    ['an unknown user', { ...swift, user: 'nobody:swift' }],
  ])('refuses %s', async (_, account) => {
    const denied = { code: 'ACCESS_DENIED', retryable: false };
    const bank = open(tempAuthOf(account));
    await expect(bank.put('new', Buffer.from('new'), creating)).rejects.toMatchObject(denied);
    await expect(bank.get('new', whole, live)).rejects.toMatchObject(denied);
    expect(await open().head('new', live)).toBeUndefined();
  });

  test('tells a missing container from a missing object', async () => {
    const lost = open({ container: `no-${container}` });
    const refused = { code: 'INVALID_OPTIONS' };
    await expect(lost.get('a', whole, live)).rejects.toMatchObject(refused);
    await expect(lost.put('a', Buffer.of(1), creating)).rejects.toMatchObject(refused);
    await expect(lost.remove(['a'], live)).rejects.toMatchObject(refused);
    await expect(open().get('absent', whole, live)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('says so when the quota of the container is used up, and leaves nothing', async () => {
    const small = `small-${container}`;
    await makeContainer(cloud, small, { 'x-container-meta-quota-bytes': String(MEBIBYTE) });
    const bank = open({ container: small });
    const put = bank.put('large', Buffer.alloc(2 * MEBIBYTE), creating);
    await expect(put).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect(await bank.head('large', live)).toBeUndefined();
    await removeContainer(cloud, small);
  });

  // What the documentation says of the gateway: only the look before the put protects an object.
  test('heeds no condition but the digest', async () => {
    await using client = openStackClient(cloud);
    const service = client.service('object-store');
    const put = (key: string, headers: Record<string, string>): Promise<string | undefined> =>
      service.transfer(
        { method: 'PUT', path: [container, key], headers, body: [Buffer.from('second')] },
        async (answer) => answer.headers.etag,
        live,
      );
    await open().put('conditions', Buffer.from('first'), creating);
    expect(await put('conditions', { 'if-none-match': '*' })).toMatch(/^[0-9a-f]{32}$/);
    expect(await text(open(), 'conditions')).toBe('second');
    await expect(put('changed', { etag: '0'.repeat(32) })).rejects.toThrow(/HTTP 422/);
    expect(await open().head('changed', live)).toBeUndefined();
  });

  test('lets several creators at once create, and keeps the body of one of them', async () => {
    const bodies = Array.from({ length: 16 }, (_, at) => Buffer.alloc(MEBIBYTE, at));
    const outcomes = await Promise.all(bodies.map((body) => open().put('race', body, creating)));
    expect(outcomes).toContain('created');
    const found = await open().get('race', whole, live);
    expect(bodies.some((body) => body.equals(found))).toBe(true);
    expect(await open().put('race', Buffer.from('late'), creating)).toBe('exists');
  });

  test('is the same bank by S3', async () => {
    const place = { bucket: container, prefix: 'both', endpoint, region, credentials: owner };
    const other = s3Bank({ name: 's3', ...place });
    const bank = open({ prefix: 'both' });
    await bank.put('swift/a=1', Buffer.from('by Swift'), creating);
    await other.put('s3/b.2', Buffer.from('by S3'), creating);
    expect(await text(other, 'swift/a=1')).toBe('by Swift');
    expect(await text(bank, 's3/b.2')).toBe('by S3');
    const keys: string[] = [];
    for await (const { key } of bank.list('', live)) keys.push(key);
    expect(keys).toEqual(['s3/b.2', 'swift/a=1']);
  });
}
