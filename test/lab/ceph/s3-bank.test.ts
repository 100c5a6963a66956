import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DeleteBucketPolicyCommand,
  ListMultipartUploadsCommand,
  PutBucketPolicyCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type S3BankOptions, s3Bank } from '../../../src/banks/s3.ts';
import type { Bank } from '../../../src/core/contracts/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { type Ceph, cephLab } from './ceph.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';

const { ceph, skipped } = cephLab();
const live = { signal: new AbortController().signal };
const creating = { ...live, ifAbsent: true };
const whole = { limit: 1024 ** 3 };
const MEBIBYTE = 1024 ** 2;

if (ceph === undefined)
  describe.skip(`an S3 bank on Ceph (${skipped})`, () => test('needs the lab', () => undefined));
else describe('an S3 bank on Ceph', () => suite(ceph));

function suite({ endpoint, region, owner, stranger, small }: Ceph): void {
  const prefix = randomUUID();
  const open = (more: Partial<S3BankOptions> = {}): Bank =>
    s3Bank({ name: 's3', bucket: 'fafnir', prefix, endpoint, region, credentials: owner, ...more });
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { ...owner } });
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fafnir-ceph-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    const keys: string[] = [];
    for await (const { key } of open().list('', live)) keys.push(key);
    await open().remove(keys, live);
    client.destroy();
  });

  test.each([
    ['a stranger', stranger],
    ['a wrong secret', { ...owner, secretAccessKey: 'wrong' }],
    ['an unknown key', { accessKeyId: 'nobody', secretAccessKey: 'wrong' }],
  ])('refuses %s', async (_, credentials) => {
    await open().put('kept', Buffer.from('kept'), creating);
    const bank = open({ credentials });
    for (const work of [
      () => bank.put('new', Buffer.from('new'), creating),
      () => bank.put('kept', Buffer.from('new'), { ...live, ifAbsent: false }),
      () => bank.get('kept', whole, live),
      () => bank.head('kept', live),
      () => bank.remove(['kept'], live),
      async () => {
        for await (const { key } of bank.list('', live)) expect.fail(`listed ${key}`);
      },
    ]) {
      await expect(work()).rejects.toMatchObject({ code: 'ACCESS_DENIED', retryable: false });
    }
    expect(Buffer.from(await open().get('kept', whole, live)).toString()).toBe('kept');
  });

  test('needs no more than the rights that the documentation names', async () => {
    const Principal = { AWS: ['arn:aws:iam:::user/stranger'] };
    const allow = async (inside: readonly string[], onBucket: readonly string[] = []) => {
      const Statement = [
        { Effect: 'Allow', Principal, Action: inside, Resource: `arn:aws:s3:::fafnir/${prefix}/*` },
        {
          Effect: 'Allow',
          Principal,
          Action: ['s3:ListBucket', ...onBucket],
          Resource: 'arn:aws:s3:::fafnir',
        },
      ];
      const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
      await client.send(new PutBucketPolicyCommand({ Bucket: 'fafnir', Policy }));
    };
    const guest = open({ credentials: stranger });
    const denied = { code: 'ACCESS_DENIED' };
    const read = async () => {
      expect(Buffer.from(await guest.get('guest/kept', whole, live)).toString()).toBe('kept');
      expect(await guest.head('guest/absent', live)).toBeUndefined();
      for await (const { key } of guest.list('guest/', live)) expect(key).toBe('guest/kept');
    };
    await open().put('guest/kept', Buffer.from('kept'), creating);
    await allow(['s3:GetObject']);
    await read();
    await expect(guest.put('guest/new', Buffer.from('new'), creating)).rejects.toMatchObject(denied);
    const writing = ['s3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload'];
    await allow(writing);
    await read();
    expect(await guest.put('guest/kept', Buffer.from('new'), creating)).toBe('exists');
    await guest.put(
      'new',
      Array.from({ length: 65 }, () => Buffer.alloc(MEBIBYTE)),
      { ...live, ifAbsent: false },
    );
    await expect(guest.remove(['new'], live)).rejects.toMatchObject(denied);
    await allow([...writing, 's3:DeleteObject'], ['s3:DeleteObject']);
    await guest.remove(['new'], live);
    expect(await guest.head('new', live)).toBeUndefined();
    await client.send(new DeleteBucketPolicyCommand({ Bucket: 'fafnir' }));
  });

  test('says so when the quota is used up, and leaves nothing', async () => {
    const bank = open({ credentials: small, bucket: 'small' });
    await expect(bank.put('large', new Uint8Array(2 * MEBIBYTE), creating)).rejects.toMatchObject({
      code: 'NO_SPACE',
    });
    expect(await bank.head('large', live)).toBeUndefined();
  });

  test('tells a missing bucket from a missing object', async () => {
    const lost = open({ bucket: 'no-such-bucket' });
    await expect(lost.get('a', whole, live)).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    await expect(lost.head('a', live)).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    await expect(lost.put('a', Buffer.of(1), creating)).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    await expect(open().get('absent', whole, live)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('stores 80 MiB in parts and in one piece, and no part stays when the caller goes', async () => {
    const body = Array.from({ length: 16 }, (_, at) => Buffer.alloc(5 * MEBIBYTE, at));
    await open().put('in-parts', body, { ...live, ifAbsent: false });
    await open().put('in-one', body, creating);
    for (const key of ['in-parts', 'in-one']) {
      expect(Buffer.concat(body).equals(await open().get(key, whole, live))).toBe(true);
    }
    const caller = new AbortController();
    const reason = new Error('gone');
    const put = open().put('left', body, { signal: caller.signal, ifAbsent: false });
    const mine = new ListMultipartUploadsCommand({ Bucket: 'fafnir', Prefix: `${prefix}/left` });
    const uploads = async () => (await client.send(mine)).Uploads ?? [];
    while ((await uploads()).length === 0) await Promise.race([put, Promise.resolve()]);
    caller.abort(reason);
    await expect(put).rejects.toBe(reason);
    expect(await uploads()).toEqual([]);
    expect(await open().head('left', live)).toBeUndefined();
  });

  test('carries a volume from one site to another', async () => {
    const [site, other] = [join(folder, 'a'), join(folder, 'b')];
    const parts = [local({ root: site })];
    const banks = [{ bank: open(), keys: memoryKeys(), role: 'primary' as const }];
    const gold = defineProvider({ name: 'gold', site: 'a', parts, banks });
    const silver = defineProvider({ name: 'silver', site: 'b', parts: [local({ root: other })], banks });
    await mkdir(join(site, 'volumes'), { recursive: true });
    const volume = Buffer.concat(Array.from({ length: 9 }, (_, at) => Buffer.alloc(MEBIBYTE, at)));
    await writeFile(join(site, 'volumes', 'disk.raw'), volume);
    await using engine = await createEngine({ store: memoryStore(), providers: [gold, silver] });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const resources = [{ type: 'Local::Volume', id: 'disk' }];
    const plan = await acme.plans.create({ name: 'disk', provider: 'gold', resources });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    const { bytes } = await (await acme.verify(checkpoint)).result();
    expect(bytes).toBe(volume.length);
    await (await acme.restore(checkpoint, { to: 'silver' })).result();
    expect(volume.equals(await readFile(join(other, 'volumes', 'disk.raw')))).toBe(true);
    await (await acme.remove(checkpoint)).result();
  });
}
