import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { s3Bank } from '../../../src/banks/s3.ts';
import { type Bank, createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { type Ceph, cephLab } from './ceph.ts';
import { LockBucket } from './lock-bucket.ts';

const { ceph, skipped } = cephLab();
const live = { signal: new AbortController().signal };
const whole = { limit: 1024 ** 3 };
const creating = { ...live, ifAbsent: true };
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const locked = (milliseconds: number) => ({ ...creating, retainUntil: Date.now() + milliseconds });

if (ceph === undefined)
  describe.skip(`locks of an S3 bank on Ceph (${skipped})`, () => test('needs the lab', () => undefined));
else describe('locks of an S3 bank on Ceph', () => suite(ceph));

function suite(lab: Ceph): void {
  const bucket = new LockBucket(lab);
  const { client, name: Bucket } = bucket;
  beforeAll(() => bucket.create());
  afterAll(() => bucket.remove());

  const keysIn = async (bank: Bank): Promise<string[]> => {
    const keys: string[] = [];
    for await (const { key } of bank.list('', live)) keys.push(key);
    return keys;
  };
  const versionsBelow = async (prefix: string): Promise<number> => {
    const found = await client.send(new ListObjectVersionsCommand({ Bucket, Prefix: `${prefix}/` }));
    return [...(found.Versions ?? []), ...(found.DeleteMarkers ?? [])].filter(
      ({ Key }) => !Key?.endsWith('/~probe'),
    ).length;
  };

  test('reads, lists and removes what somebody has hidden and written over', async () => {
    const [bank, other] = [bucket.open({ prefix: 'hidden' }), bucket.open({ prefix: 'hidden' })];
    await bank.put('kept', Buffer.from('first'), locked(5_000));
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'hidden/kept' }));
    await client.send(new PutObjectCommand({ Bucket, Key: 'hidden/kept', Body: 'another body' }));
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'hidden/kept' }));
    for (const view of [bank, other]) {
      expect(textOf(await view.get('kept', whole, live))).toBe('first');
      expect(textOf(await view.get('kept', { offset: 1, length: 3 }, live))).toBe('irs');
      expect(await view.head('kept', live)).toEqual({ key: 'kept', size: 5 });
      expect(await keysIn(view)).toEqual(['kept']);
    }
    expect(await other.put('kept', Buffer.from('again'), creating)).toBe('exists');
    expect(textOf(await bank.get('kept', whole, live))).toBe('first');
    await expect(other.remove(['kept'], live)).rejects.toMatchObject({
      code: 'LOCKED',
      message: expect.stringMatching(/is locked until \d{4}-/),
    });
    await bucket.empty(bank);
    expect(await versionsBelow('hidden')).toBe(0);
    expect(await keysIn(other)).toEqual([]);
    await expect(other.get('kept', whole, live)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('reads what another process has replaced since', async () => {
    const [bank, other] = [bucket.open({ prefix: 'replaced' }), bucket.open({ prefix: 'replaced' })];
    await bank.put('object', Buffer.from('first'), creating);
    expect(textOf(await other.get('object', whole, live))).toBe('first');
    await bank.put('object', Buffer.from('second'), { ...live, ifAbsent: false });
    expect(textOf(await other.get('object', whole, live))).toBe('second');
    await bank.remove(['object'], live);
    await expect(other.get('object', whole, live)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await versionsBelow('replaced')).toBe(0);
  });

  test('leaves nothing of a replacement that ended halfway once the object is removed', async () => {
    const bank = bucket.open({ prefix: 'halfway' });
    await bank.put('object', Buffer.from('first'), creating);
    await client.send(new PutObjectCommand({ Bucket, Key: 'halfway/object', Body: 'second' }));
    expect(await versionsBelow('halfway')).toBe(2);
    await bank.remove(['object'], live);
    expect(await versionsBelow('halfway')).toBe(0);
  });

  test('locks a large body, which it puts in one piece', async () => {
    const bank = bucket.open({ prefix: 'large' });
    const body = Buffer.alloc(80 * 1024 ** 2, 7);
    const retainUntil = Date.now() + 8_000;
    await bank.put('object', body, { ...live, ifAbsent: false, retainUntil });
    const facts = await client.send(new HeadObjectCommand({ Bucket, Key: 'large/object' }));
    expect(facts.ObjectLockMode).toBe('GOVERNANCE');
    expect(facts.ObjectLockRetainUntilDate?.getTime()).toBeGreaterThanOrEqual(retainUntil);
    expect(await bank.head('object', live)).toEqual({ key: 'object', size: body.length });
    await bucket.empty(bank);
    expect(await versionsBelow('large')).toBe(0);
  });

  test('lets nobody remove what is locked for compliance, whoever asks and however', async () => {
    const bank = bucket.open({ prefix: 'strict', lock: 'compliance' });
    await bank.put('object', Buffer.from('body'), locked(4_000));
    const { VersionId } = await client.send(new HeadObjectCommand({ Bucket, Key: 'strict/object' }));
    const removal = { Bucket, Key: 'strict/object', VersionId, BypassGovernanceRetention: true };
    await expect(client.send(new DeleteObjectCommand(removal))).rejects.toMatchObject({
      name: 'AccessDenied',
    });
    await bucket.empty(bank);
  });

  test('tells an object under a legal hold, and one that the rule of the bucket locks', async () => {
    const bank = bucket.open({ prefix: 'ruled' });
    await bank.put('held', Buffer.from('body'), creating);
    const held = { Bucket, Key: 'ruled/held' };
    await client.send(new PutObjectLegalHoldCommand({ ...held, LegalHold: { Status: 'ON' } }));
    await expect(bank.remove(['held'], live)).rejects.toMatchObject({
      code: 'LOCKED',
      message: expect.stringMatching(/is locked$/),
    });
    await client.send(new PutObjectLegalHoldCommand({ ...held, LegalHold: { Status: 'OFF' } }));
    await bank.remove(['held'], live);
    const rule = (Rule?: object) =>
      client.send(
        new PutObjectLockConfigurationCommand({
          Bucket,
          ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled', ...(Rule && { Rule }) },
        }),
      );
    await rule({ DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } });
    await bank.put('default', Buffer.from('body'), creating);
    await rule();
    await expect(bank.remove(['default'], live)).rejects.toMatchObject({ code: 'LOCKED' });
    const { VersionId } = await client.send(new HeadObjectCommand({ Bucket, Key: 'ruled/default' }));
    const removal = { Bucket, Key: 'ruled/default', VersionId, BypassGovernanceRetention: true };
    await client.send(new DeleteObjectCommand(removal));
    expect(await keysIn(bank)).toEqual([]);
  });

  test('restores a locked checkpoint after somebody has removed whatever can be', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fafnir-locks-'));
    const root = (site: string) => join(folder, site);
    const bytes = randomBytes(3 * 1024 ** 2);
    await mkdir(join(root('a'), 'volumes'), { recursive: true });
    await writeFile(join(root('a'), 'volumes', 'data.raw'), bytes);
    const banks = [{ bank: bucket.open({ prefix: 'engine' }), keys: memoryKeys(), role: 'primary' as const }];
    const providers = ['a', 'b'].map((site) =>
      defineProvider({ name: site, site, parts: [local({ root: root(site) })], banks }),
    );
    await using engine = await createEngine({ store: memoryStore(), providers });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const resources = [{ type: 'Local::Volume', id: 'data' }];
    const plan = await acme.plans.create({ name: 'data', provider: 'a', resources, policy: { lock: 1 } });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    const removeAll = async (BypassGovernanceRetention: boolean): Promise<number> => {
      const found = await client.send(new ListObjectVersionsCommand({ Bucket, Prefix: 'engine/' }));
      const all = [...(found.Versions ?? []), ...(found.DeleteMarkers ?? [])];
      const removals = all.map(({ Key, VersionId }) =>
        client.send(new DeleteObjectCommand({ Bucket, Key, VersionId, BypassGovernanceRetention })),
      );
      const outcomes = await Promise.allSettled(removals);
      return outcomes.filter(({ status }) => status === 'rejected').length;
    };
    try {
      const found = await client.send(new ListObjectVersionsCommand({ Bucket, Prefix: 'engine/' }));
      for (const { Key } of found.Versions ?? []) await client.send(new DeleteObjectCommand({ Bucket, Key }));
      expect(await removeAll(false)).toBeGreaterThan(5);
      await expect((await acme.remove(checkpoint)).result()).rejects.toMatchObject({ code: 'LOCKED' });
      await (await acme.restore(checkpoint, { to: 'b' })).result();
      const restored = await readFile(join(root('b'), 'volumes', 'data.raw'));
      expect(restored.equals(bytes)).toBe(true);
    } finally {
      expect(await removeAll(true)).toBe(0);
      await rm(folder, { recursive: true });
    }
  });

  test('refuses to lock in a bucket without Object Lock, and leaves nothing there', async () => {
    const { endpoint, region, owner: credentials } = lab;
    const place = { bucket: 'fafnir', prefix: 'no-locks', endpoint, region, credentials };
    const bank = s3Bank({ name: 's3', ...place, lock: 'governance' });
    const refused = { code: 'UNSUPPORTED', message: expect.stringContaining('has no Object Lock') };
    await expect(bank.put('object', Buffer.from('body'), locked(5_000))).rejects.toMatchObject(refused);
    await expect(bank.put('object', Buffer.from('body'), creating)).rejects.toMatchObject(refused);
    await expect(bank.extend?.(['object'], Date.now() + 5_000, live)).rejects.toMatchObject(refused);
    expect(await keysIn(bank)).toEqual([]);
  });
}
