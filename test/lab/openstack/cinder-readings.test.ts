import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import type { CinderPath } from '../../../src/arrays/cinder.ts';
import type { CallOptions, StorageArray, VolumeRef } from '../../../src/core/contracts/index.ts';
import { collect, pattern, snapshotOne, targetOf } from '../../../src/testing/storage-array/helpers.ts';
import { CinderProject, readStart } from './cinder.ts';
import { killAt } from './killing.ts';
import type { OpeningOrder } from './opening.ts';
import { openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const call: CallOptions = { signal: new AbortController().signal };
const GIB = 2 ** 30;
const ATTACHED: CinderPath = { kind: 'attached', connector: { host: 'mover' } };
const IMAGE: CinderPath = { kind: 'image' };
const item = z.looseObject({ name: z.string() });

if (openstack === undefined)
  describe.skip(`readers of Cinder with tokens (${skipped})`, () => test('needs the lab', () => undefined));
else {
  const project = await CinderProject.create(openstack);
  afterAll(() => project.remove());
  describe('readers of Cinder with tokens', () => suite(project));
}

function suite(project: CinderProject): void {
  /** An array of a process of its own, which knows nothing of what another one reads. */
  const by = (path: CinderPath): StorageArray => project.array({ paths: [path] });
  const make = (): Promise<VolumeRef> =>
    targetOf(project.array()).create({ name: randomUUID(), size: GIB }, call);
  const token = (): string => `faf-${randomUUID()}`;
  /** Never closed, as by a process that died; kept, for Node closes what is forgotten. */
  const abandoned: AsyncDisposable[] = [];
  afterEach(() => project.clear());

  test('nobody takes the volume of another', async () => {
    const volume = await make();
    await project.write(volume, 4_096, pattern(100_000, 1));
    const taken = await snapshotOne(project.array(), volume, 'snap');
    await project.write(volume, 4_096, pattern(100_000, 2));
    const before = await project.left();
    const open = () => by(ATTACHED).open(taken, { token: token() }, call);
    for (const source of await Promise.all([open(), open()])) {
      const start = Buffer.alloc(200_000);
      await readStart(source, start);
      expect(start.subarray(4_096, 104_096).equals(pattern(100_000, 1))).toBe(true);
      await source.close();
    }
    expect(await project.left()).toEqual(before);
  });

  test.each<[string, CinderPath, readonly [OpeningOrder['says'], milliseconds: number][], RegExp]>([
    [
      'attached',
      ATTACHED,
      [
        ['opening', 300],
        ['opening', 1_000],
        ['reading', 50],
      ],
      /^volume \S{36}$/,
    ],
    [
      'image',
      IMAGE,
      [
        ['opening', 2_500],
        ['reading', 50],
      ],
      /^image \S{36}$/,
    ],
  ])(
    'nothing stays of processes that are killed while they read by the path %s, once that is ended',
    async (_, path, deaths, made) => {
      const snapshot = await snapshotOne(project.array(), await make(), 'snap');
      const before = await project.left();
      const order = { cloud: project.options, snapshot, path, token: token() };
      const end = async () => (await by(path).endReading?.(order.token, call)) ?? expect.fail();
      for (const [says, milliseconds] of deaths) {
        await killAt('opening.ts', { ...order, says } satisfies OpeningOrder, milliseconds);
        const told: string[] = [];
        // What a dead process asked for may come later.
        const isOver = async (): Promise<void> => {
          told.push(...(await end()));
          expect(await project.left()).toEqual(before);
        };
        await vi.waitFor(isOver, { timeout: 60_000, interval: 250 });
        if (says === 'reading') expect(told).toEqual([expect.stringMatching(made)]);
      }
      expect(await end()).toEqual([]);
    },
  );

  test('the volumes of a snapshot are found among others, and go with it, whoever reads by them', async () => {
    const volume = await make();
    const taken = await snapshotOne(project.array(), volume, 'snap');
    const other = await snapshotOne(project.array(), volume, 'other');
    const before = await project.left();
    const [first, second] = [token(), token()];
    for (const [snapshot, options] of [
      [taken, { token: first }],
      [taken, {}],
      [other, { token: second }],
    ] as const) {
      abandoned.push(await by(ATTACHED).open(snapshot, options, call));
    }
    const query = { metadata: `{'fafnir-snapshot': '${taken.reference.id}'}` };
    const place = { path: ['volumes', 'detail'], collection: 'volumes', item, query };
    const names = (await collect(project.cinder.list(place, call))).map(({ name }) => name);
    expect(names.toSorted()).toEqual(
      [`fafnir-temporary-${taken.reference.id}`, `fafnir-temporary-by-${first}`].toSorted(),
    );
    await by(ATTACHED).remove(taken, call);
    expect(await by(ATTACHED).endReading?.(first, call)).toEqual([]);
    expect(await by(ATTACHED).endReading?.(second, call)).toEqual([expect.stringMatching(/^volume /)]);
    expect(await project.left()).toEqual(before.filter((one) => one !== 'snapshots/snap'));
  });
}
