import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { memoryBank } from '../../../src/banks/memory.ts';
import type {
  ArraySnapshot,
  CallOptions,
  StorageArray,
  VolumeRef,
} from '../../../src/core/contracts/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { collect, pattern, targetOf } from '../../../src/testing/storage-array/helpers.ts';
import { CinderProject, CONSISTENT, startOf } from './cinder.ts';
import type { GroupingOrder } from './grouping.ts';
import { again, killAt } from './killing.ts';
import { openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const call: CallOptions = { signal: new AbortController().signal };
const asGroup = { ...call, group: true };
const GIB = 2 ** 30;
const MINUTES = 5 * 60_000;
const SERVER = 'OS::Nova::Server';

if (openstack === undefined)
  describe.skip(`groups of Cinder (${skipped})`, () => test('needs the lab', () => undefined));
else {
  const project = await CinderProject.create(openstack);
  afterAll(() => project.remove());
  describe('groups of Cinder', () => suite(project));
}

function suite(project: CinderProject): void {
  const array = project.array({ consistentGroupTypes: [CONSISTENT] });
  afterEach(() => project.clear());

  const isGroup = async (volumes: readonly VolumeRef[], of: StorageArray = array) =>
    await of.isGroup?.(volumes, call);
  const make = (): Promise<VolumeRef> => targetOf(array).create({ name: randomUUID(), size: GIB }, call);
  const makeGroup = async (members = 2) => {
    const volumes: VolumeRef[] = [];
    for (let at = 0; at < members; at += 1) volumes.push(await make());
    return { volumes, group: await project.group(volumes) };
  };
  const snapshotsLeft = async (): Promise<readonly string[]> =>
    (await project.left()).filter((name) => name.includes('snapshots/'));
  const idsOf = (taken: readonly ArraySnapshot[]) => taken.map(({ reference }) => String(reference.id));

  test('are taken as one, at one instant, found again, and removed part by part', async () => {
    const { volumes } = await makeGroup(3);
    for (const [at, volume] of volumes.entries()) await project.write(volume, 0, pattern(5_000, at));
    expect(await isGroup(volumes.toReversed())).toBe(true);
    const taken = await array.snapshot(volumes, 'set', { ...asGroup, isFirst: true });
    expect(new Set(taken.map(({ takenAt }) => takenAt)).size).toBe(1);
    expect(await snapshotsLeft()).toEqual(['group_snapshots/set', ...Array(3).fill('snapshots/set')]);
    for (const volume of volumes) await project.write(volume, 0, pattern(5_000, 9));
    for (const [at, one] of taken.entries()) {
      const bytes = await startOf(array, one);
      expect(bytes.subarray(0, 5_000).equals(pattern(5_000, at))).toBe(true);
    }
    expect(await array.snapshot(volumes, 'set', asGroup)).toEqual(taken);
    expect(await array.snapshot(volumes.toReversed(), 'set', call)).toEqual(taken.toReversed());

    const [first = expect.fail(), ...others] = taken;
    await array.remove(first, call);
    await array.remove(first, call);
    expect(await snapshotsLeft()).toHaveLength(4);
    expect(new Set(idsOf(await array.find('set', call)))).toEqual(new Set(idsOf(others)));
    expect(await collect(array.list('', call))).toEqual(await array.find('set', call));
    await expect(array.open(first, {}, call)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const refused = { code: 'ALREADY_EXISTS' };
    await expect(array.snapshot(volumes, 'set', asGroup)).rejects.toMatchObject(refused);
    // As from two hosts.
    const hosts = [array, project.array({ consistentGroupTypes: [CONSISTENT] })];
    await Promise.all(others.map((one, at) => hosts[at]?.remove(one, call)));
    expect(await array.find('set', call)).toEqual([]);
    expect(await snapshotsLeft()).toEqual([]);
    await array.remove(first, call);
  });

  test('that a dead caller left are finished, or taken anew, or go with what is removed', async () => {
    const { volumes, group } = await makeGroup();
    const attempt = (id = randomUUID()): string => `fafnir-attempt ${id}`;
    await project.snapshotGroup(group, 'set', attempt());
    const left = await array.find('set', call);
    expect(left).toHaveLength(2);
    const finished = await array.snapshot(volumes, 'set', asGroup);
    expect(new Set(idsOf(finished))).toEqual(new Set(idsOf(left)));
    expect(finished).toEqual(expect.arrayContaining([...left]));

    // One whose request came after the set was finished.
    await project.snapshotGroup(group, 'set', attempt());
    expect(await snapshotsLeft()).toHaveLength(6);
    expect(new Set(idsOf(await array.find('set', call)))).toEqual(new Set(idsOf(left)));
    for (const one of finished) await array.remove(one, call);
    expect(await snapshotsLeft()).toEqual([]);

    // One that has not just what is wanted.
    await project.snapshotGroup(group, 'more', attempt());
    const third = await make();
    await project.change(group, { add_volumes: third.id });
    const anew = await array.snapshot([...volumes, third], 'more', asGroup);
    expect(anew).toHaveLength(3);
    expect(await snapshotsLeft()).toEqual(['group_snapshots/more', ...Array(3).fill('snapshots/more')]);
    // Found and removed by somebody who knows the name alone.
    for (const one of await array.find('more', call)) await array.remove(one, call);
    expect(await snapshotsLeft()).toEqual([]);
  });

  test('nothing stays of processes that are killed at any moment, for one that comes after', async () => {
    const { volumes } = await makeGroup();
    const order: GroupingOrder = { cloud: project.options, volumes, name: 'set' };
    for (const milliseconds of [60, 250, 600, 1_100, 1_700, 2_500]) {
      await killAt('grouping.ts', order, milliseconds);
      // What a dead process asked for may come while the next one is at it, who then tries again.
      await again(async () => {
        for (const one of await array.find('set', call)) await array.remove(one, call);
      });
      await again(async () => {
        const taken = await array.snapshot(volumes, 'set', asGroup);
        expect(taken).toHaveLength(2);
        for (const one of taken) await array.remove(one, call);
      });
      expect(await snapshotsLeft()).toEqual([]);
    }
  });

  test('of which all parts are marked as removed go when the name is asked for again', async () => {
    const { volumes } = await makeGroup();
    const taken = await array.snapshot(volumes, 'set', asGroup);
    for (const id of idsOf(taken)) {
      const path = ['snapshots', id, 'metadata'];
      const body = { metadata: { 'fafnir-removed': 'true' } };
      await project.cinder.request({ method: 'POST', path, body, answer: z.unknown() }, call);
    }
    expect(await array.find('set', call)).toEqual([]);
    const again = await array.snapshot(volumes, 'set', asGroup);
    expect(idsOf(again)).not.toEqual(expect.arrayContaining([idsOf(taken)[0]]));
    expect(await snapshotsLeft()).toHaveLength(3);
  });

  test('are none where they have further members, another type, or where their type is not named', async () => {
    const { volumes, group } = await makeGroup();
    const third = await make();
    expect(await isGroup([...volumes, third])).toBe(false);
    await project.change(group, { add_volumes: third.id });
    expect(await isGroup(volumes)).toBe(false);
    const refused = { code: 'NOT_ONE_INSTANT', retryable: false };
    await expect(array.snapshot(volumes, 'set', asGroup)).rejects.toMatchObject(refused);
    expect(await snapshotsLeft()).toEqual([]);
    await array.snapshot(volumes, 'set', call);
    expect(await snapshotsLeft()).toEqual(['snapshots/set', 'snapshots/set']);
    const other = project.array({ consistentGroupTypes: ['another'] });
    expect(await isGroup([...volumes, third], other)).toBe(false);
    expect(project.array().isGroup).toBeUndefined();
  });

  test('that others took can be read, and are not removed', async () => {
    const { volumes, group } = await makeGroup();
    await project.snapshotGroup(group, 'Nightly 1', 'by cron');
    const [one = expect.fail(), ...others] = await array.find('Nightly 1', call);
    expect(others).toHaveLength(1);
    expect((await startOf(array, one)).every((byte) => byte === 0)).toBe(true);
    await expect(array.remove(one, call)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(await array.find('Nightly 1', call)).toHaveLength(volumes.length);
  });

  test('give a server whose volumes they are the consistency of a group', {
    timeout: 2 * MINUTES,
  }, async () => {
    const { volumes, group } = await makeGroup();
    await using server = await startServer(project, volumes);
    const provider = defineProvider({
      name: 'cloud',
      site: 'a',
      parts: [
        {
          contract: 1,
          name: 'cloud',
          protectables: openStackResources({ client: project.client }),
          arrays: [array],
        },
      ],
      strategies: [storageArraySnapshot()],
      banks: [{ bank: memoryBank({ name: 'bank' }), keys: memoryKeys(), role: 'primary' }],
    });
    await using engine = await createEngine({ store: memoryStore(), providers: [provider] });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({
      name: 'server',
      provider: 'cloud',
      resources: [{ type: SERVER, id: server.id }],
      policy: { consistency: 'group', onInconsistency: 'refuse' },
    });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    const { artifacts } = await acme.checkpoints.get(checkpoint);
    const worth = artifacts.flatMap(({ volume }) => (volume === null ? [] : [volume]));
    expect(worth.map(({ consistency, skewMilliseconds }) => [consistency, skewMilliseconds])).toEqual([
      ['group', 0],
      ['group', 0],
    ]);
    expect(await snapshotsLeft()).toEqual([
      expect.stringMatching(/^group_snapshots\/faf-/),
      ...Array(2).fill(expect.stringMatching(/^snapshots\/faf-/)),
    ]);
    await (await acme.remove(checkpoint)).result();
    expect(await snapshotsLeft()).toEqual([]);
    await project.change(group, { add_volumes: (await make()).id });
    await expect(acme.preview.protect(plan.id)).rejects.toMatchObject({ code: 'INCONSISTENT' });
  });
}

/** A server that starts from the first of the volumes, and is removed in the end; the volumes stay. */
async function startServer(project: CinderProject, volumes: readonly VolumeRef[]) {
  const compute = project.client.service('compute', { least: '2.79', most: '2.93' });
  const item = z.looseObject({ id: z.string(), name: z.string() });
  let flavorRef = '';
  for await (const { id, name } of compute.list({ path: ['flavors'], collection: 'flavors', item }, call))
    if (name === 'small') flavorRef = id;
  const [root = expect.fail()] = volumes;
  await project.act(root, { 'os-set_bootable': { bootable: true } });
  const disk = { source_type: 'volume', destination_type: 'volume', delete_on_termination: false };
  const server = {
    name: 'db',
    flavorRef,
    networks: 'none',
    block_device_mapping_v2: volumes.map(({ id }) => ({
      boot_index: id === root.id ? 0 : -1,
      uuid: id,
      ...disk,
    })),
  };
  const answer = z.looseObject({ server: z.looseObject({ id: z.string() }) });
  const made = await compute.request({ method: 'POST', path: ['servers'], body: { server }, answer }, call);
  const path = ['servers', made.server.id];
  await compute.waitFor({ path, member: 'server', until: ['ACTIVE'], milliseconds: MINUTES }, call);
  return {
    id: made.server.id,
    async [Symbol.asyncDispose]() {
      await compute.request({ method: 'DELETE', path, answer: z.unknown() }, call);
      await compute.waitUntilGone({ path, member: 'server', milliseconds: MINUTES }, call);
    },
  };
}
