import { describe, expect, test } from 'vitest';
import { rbdArray } from '../../../src/arrays/rbd.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import type { CheckpointId, StorageArray } from '../../../src/core/contracts/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { pattern, targetOf } from '../../../src/testing/storage-array/helpers.ts';
import { type Ceph, cephLab } from './ceph.ts';
import { clear, exported, left, rbd, written } from './pool.ts';
import { APPLICATION, rbdApplication } from './rbd-application.ts';

const { ceph, skipped } = cephLab();
const call = { signal: new AbortController().signal };
const MIB = 2 ** 20;

if (ceph === undefined)
  describe.skip(`an application on RBD (${skipped})`, () => test('needs the lab', () => undefined));
else describe('an application on RBD', () => suite(ceph));

function suite(lab: Ceph): void {
  const prefix = 'application';
  const { pool } = lab.rbd;
  const array = rbdArray({ name: 'rbd', ...lab.rbd });
  const make = (id: string, size: number) => targetOf(array).create({ name: `${prefix}-${id}`, size }, call);

  test('is protected, archived by its changes, restored byte for byte, and nothing is left', async () => {
    await clear(lab, `${prefix}-`);
    const volumes = await Promise.all([make('root', 24 * MIB), make('data', 40 * MIB)]);
    const since: (string | undefined)[] = [];
    const watched: StorageArray = {
      ...array,
      open(snapshot, options, inner) {
        since.push(options.since?.name);
        return array.open(snapshot, options, inner);
      },
    };
    const sizes = new Map(volumes.map(({ id, size }) => [id, size]));
    const parts = [rbdApplication(watched, sizes, `${prefix}-restored`)];
    const banks = [{ bank: memoryBank({ name: 'bank' }), keys: memoryKeys(), role: 'primary' as const }];
    const gold = { name: 'gold', site: 'a', parts, banks, strategies: [volumeSnapshot()] };
    const kept = { ...gold, name: 'kept', strategies: [storageArraySnapshot()] };
    const providers = [defineProvider(gold), defineProvider(kept)];
    await using engine = await createEngine({ store: memoryStore(), providers });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const held = async (): Promise<Buffer[]> => Promise.all(volumes.map((one) => exported(lab, one)));
    const restored = async (checkpoint: CheckpointId): Promise<void> => {
      const known = new Set(await left(lab, `${prefix}-`));
      await (await acme.restore(checkpoint, { to: 'gold' })).result();
      const made = (await left(lab, `${prefix}-`)).filter((name) => !known.has(name));
      expect(made).toHaveLength(2);
      const expected = before;
      for (const id of made) {
        const size = Number(JSON.parse(await rbd(lab, 'info', `${pool}/${id}`, '--format', 'json')).size);
        const found = await exported(lab, { id, size });
        expect(expected.some((one) => one.equals(found))).toBe(true);
        await rbd(lab, 'rm', `${pool}/${id}`);
      }
    };

    for (const volume of volumes) await written(lab, volume, 700_001, pattern(20 * MIB, volume.size / MIB));
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: [APPLICATION] });
    const first = (await (await acme.protect(plan.id)).result()).checkpoint;
    expect(since.every((one) => one === undefined)).toBe(true);
    since.length = 0;
    for (const volume of volumes) await written(lab, volume, 5 * MIB + 1, pattern(3, 9));
    let before = await held();
    const second = (await (await acme.protect(plan.id)).result()).checkpoint;
    expect(since.filter((one) => one !== undefined)).toHaveLength(2);
    for (const volume of volumes) await written(lab, volume, 0, pattern(MIB, 4));
    await restored(second);

    before = await held();
    const snapshots = await acme.plans.create({ name: 'kept', provider: 'kept', resources: [APPLICATION] });
    const third = (await (await acme.protect(snapshots.id)).result()).checkpoint;
    for (const volume of volumes) await written(lab, volume, 0, pattern(2 * MIB, 5));
    await restored(third);

    for (const checkpoint of [first, second, third]) await (await acme.remove(checkpoint)).result();
    const originals = volumes.map(({ id }) => id);
    expect((await left(lab, `${prefix}-`)).filter((name) => !originals.includes(name))).toEqual([]);
    await clear(lab, `${prefix}-`);
  });
}
