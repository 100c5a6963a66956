import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type SwiftBankOptions, swiftBank } from '../../../src/banks/swift.ts';
import type { Bank } from '../../../src/core/contracts/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { cloudOf, makeContainer, removeContainer } from './containers.ts';
import { type OpenStack, openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const live = { signal: new AbortController().signal };
const creating = { ...live, ifAbsent: true };
const whole = { limit: 1024 ** 3 };
const MEBIBYTE = 1024 ** 2;

if (openstack === undefined)
  describe.skip(`a bank on Swift (${skipped})`, () => test('needs the lab', () => undefined));
else describe('a bank on Swift', () => suite(openstack));

function suite(lab: OpenStack): void {
  const container = `bank-${randomUUID()}`;
  const cloud = cloudOf(lab, lab.sites.a);
  const open = (more: Partial<SwiftBankOptions> = {}): Bank =>
    swiftBank({ name: 'swift', container, ...cloud, ...more });
  const empty = async (bank: Bank): Promise<void> => {
    const keys: string[] = [];
    for await (const { key } of bank.list('', live)) keys.push(key);
    await bank.remove(keys, live);
  };
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fafnir-swift-'));
    await makeContainer(cloud, container);
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    await empty(open());
    await removeContainer(cloud, container);
  });

  test.each([
    ['a wrong password', { ...lab.sites.a, password: 'wrong' }],
    ['a project of others', { ...lab.sites.a, project: lab.sites.b.project }],
  ])('refuses %s', async (_, account) => {
    await open().put('kept', Buffer.from('kept'), { ...live, ifAbsent: false });
    const { credentials } = cloudOf(lab, account);
    const denied = { code: 'ACCESS_DENIED', retryable: false };
    const bank = open({ credentials });
    await expect(bank.put('new', Buffer.from('new'), creating)).rejects.toMatchObject(denied);
    await expect(bank.get('kept', whole, live)).rejects.toMatchObject(denied);
    await expect(bank.remove(['kept'], live)).rejects.toMatchObject(denied);
    expect(Buffer.from(await open().get('kept', whole, live)).toString()).toBe('kept');
  });

  test('tells a missing container from a missing object', async () => {
    const lost = open({ container: `no-${container}` });
    const refused = { code: 'INVALID_OPTIONS' };
    await expect(lost.get('a', whole, live)).rejects.toMatchObject(refused);
    await expect(lost.head('a', live)).rejects.toMatchObject(refused);
    await expect(lost.put('a', Buffer.of(1), { ...live, ifAbsent: false })).rejects.toMatchObject(refused);
    await expect(lost.remove(['a'], live)).rejects.toMatchObject(refused);
    await expect(open().get('absent', whole, live)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('says so when the quota of the container is used up, and leaves nothing', async () => {
    const small = `small-${container}`;
    await makeContainer(cloud, small, { 'x-container-meta-quota-bytes': String(MEBIBYTE) });
    const bank = open({ container: small });
    await expect(bank.put('large', Buffer.alloc(32 * MEBIBYTE), creating)).rejects.toMatchObject({
      code: 'NO_SPACE',
    });
    expect(await bank.head('large', live)).toBeUndefined();
    await removeContainer(cloud, small);
  });

  test('keeps 80 MiB as they are', async () => {
    const body = Array.from({ length: 16 }, (_, at) => Buffer.alloc(5 * MEBIBYTE, at));
    expect(await open().put('large', body, creating)).toBe('created');
    expect(await open().put('large', Buffer.from('other'), creating)).toBe('exists');
    expect(Buffer.concat(body).equals(await open().get('large', whole, live))).toBe(true);
    const [piece] = await open().get('large', { offset: 70 * MEBIBYTE, length: 1 }, live);
    expect(piece).toBe(14);
  });

  test('lets several creators at once create, and keeps the body of one of them', async () => {
    const bodies = Array.from({ length: 16 }, (_, at) => Buffer.alloc(MEBIBYTE, at));
    const outcomes = await Promise.all(bodies.map((body) => open().put('race', body, creating)));
    expect(outcomes).toContain('created');
    const found = await open().get('race', whole, live);
    expect(bodies.some((body) => body.equals(found))).toBe(true);
  });

  test('carries a volume from one site to another', async () => {
    const [site, other] = [join(folder, 'a'), join(folder, 'b')];
    const banks = [{ bank: open({ prefix: 'sites' }), keys: memoryKeys(), role: 'primary' as const }];
    const gold = defineProvider({ name: 'gold', site: 'a', parts: [local({ root: site })], banks });
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
