import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { swiftBank } from '../../../src/banks/swift.ts';
import { type OpenStackClient, openStackClient } from '../../../src/clients/openstack/index.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { Clock } from '../../../src/core/contracts/index.ts';
import { createEngine, defineProvider, sumUsage } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { listedBytes } from '../../core/engine/metering.ts';
import { cloudOf, emptyContainer, makeContainer, removeContainer } from './containers.ts';
import { type OpenStack, openStackLab } from './openstack.ts';
import { newProject, type Project } from './project.ts';

const { openstack, skipped } = openStackLab();
const live = { signal: new AbortController().signal };
const MEBIBYTE = 1024 ** 2;
// The services share few cores with others.
const MINUTES = 40 * 60_000;
const DAY = 24 * 60 * 60 * 1_000;
const DAYS = 30;
const KEPT = 7;
// Bytes that change on a day.
const CHANGED = 60_000;
// Every so many days space is given back.
const COLLECTED = 15;
// A container may learn late of its objects.
const UPDATED = { timeout: 2 * 60_000, interval: 2_000 };

if (openstack === undefined)
  describe.skip(`usage on Swift (${skipped})`, () => test('needs the lab', () => undefined));
else describe('usage on Swift', () => suite(openstack));

function suite(lab: OpenStack): void {
  const container = `usage-${randomUUID()}`;
  let project: Project;
  let swift: OpenStackClient;
  let folder: string;

  beforeAll(async () => {
    project = await newProject(lab);
    const cloud = cloudOf(lab, project.account);
    swift = openStackClient(cloud);
    await makeContainer(cloud, container);
    folder = await mkdtemp(join(tmpdir(), 'fafnir-usage-'));
    await mkdir(join(folder, 'volumes'));
  });
  afterAll(async () => {
    const cloud = cloudOf(lab, project.account);
    await emptyContainer(cloud, container);
    await removeContainer(cloud, container);
    await swift.close();
    await rm(folder, { recursive: true });
    await project.end();
  });

  /** What Swift itself says is stored in the container. */
  const bytesBySwift = (): Promise<number> =>
    swift
      .service('object-store')
      .transfer(
        { method: 'HEAD', path: [container] },
        async ({ headers }) => Number(headers['x-container-bytes-used']),
        live,
      );

  test('a month of daily checkpoints adds up to the bytes that Swift counts', {
    timeout: MINUTES,
  }, async () => {
    let day = 0;
    const start = systemClock.now();
    const clock: Clock = {
      ...systemClock,
      now: () => Date.UTC(2026, 0, 1) + day * DAY + systemClock.now() - start,
    };
    const disk = join(folder, 'volumes', 'disk.raw');
    await writeFile(disk, Buffer.alloc(2 * MEBIBYTE, 'the disk '));
    // One server of each kind, without a backlog: what was put is listed at once.
    const delay = { listingDelayMilliseconds: 1_000 };
    const bank = swiftBank({ name: 'swift', container, ...cloudOf(lab, project.account), ...delay });
    const banks = [{ bank, keys: memoryKeys(), role: 'primary' as const }];
    const gold = defineProvider({ name: 'gold', site: 'a', parts: [local({ root: folder })], banks });
    await using engine = await createEngine({ store: memoryStore(), providers: [gold], clock });
    const acme = engine.for({ tenant: 'acme', actor: 'schedule' });
    const resources = [{ type: 'Local::Volume', id: 'disk' }];
    const plan = await acme.plans.create({ name: 'disk', provider: 'gold', resources });
    const kept: Parameters<typeof acme.remove>[0][] = [];

    for (; day < DAYS; day += 1) {
      await change(disk, day);
      kept.push((await (await acme.protect(plan.id)).result()).checkpoint);
      const [oldest] = kept.length > KEPT ? kept.splice(0, 1) : [];
      if (oldest !== undefined) await (await acme.remove(oldest)).result();
      if (day % COLLECTED === COLLECTED - 1) {
        expect((await (await acme.collect({ provider: 'gold' })).result()).corrected).toBe(0);
      }
    }

    const january = { from: Date.UTC(2026, 0, 1), until: Date.UTC(2026, 1, 1) };
    const [sum] = await sumUsage(engine.usage(january), ['tenant', 'month']);
    expect(sum?.key).toEqual(['acme', '2026-01']);
    expect(sum).toMatchObject({ jobs: DAYS + (DAYS - KEPT) + DAYS / COLLECTED, inPart: 0 });
    expect(sum?.logical).toBe((DAYS + (DAYS - KEPT)) * 2 * MEBIBYTE);
    expect(sum?.stored).toBeGreaterThan(KEPT * CHANGED);
    // The container is all that the account has; the account's own sum is brought up to date by a daemon that the lab has not.
    await expect.poll(bytesBySwift, UPDATED).toBe(sum?.stored);
    expect(await listedBytes(bank, 'acme')).toBe(sum?.stored);
  });
}

/** Random bytes in a place of the day. */
async function change(path: string, day: number): Promise<void> {
  await using file = await open(path, 'r+');
  const bytes = crypto.getRandomValues(new Uint8Array(CHANGED));
  await file.write(bytes, 0, bytes.length, ((day * 7) % 30) * 65_536);
}
