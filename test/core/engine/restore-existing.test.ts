import { createHash } from 'node:crypto';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type CheckpointId,
  parseCheckpointId,
  type ResourceKey,
  type VolumeTarget,
} from '../../../src/index.ts';
import { changeVolume, readVolume, writeShop } from './application.ts';
import { fails } from './refusals.ts';
import { Fault, Gate, type Tap } from './taps.ts';
import { all, availableOf, failure, filesBelow, openWorld, protect, VOLUMES, type World } from './world.ts';

const volumeKey = (id: string): ResourceKey => ({ type: 'Local::Volume', id });
const isOpening = (what: string): boolean => what === 'array.openForWrite';
/** Bytes of each volume. */
const SIZE = 3.5 * 1024 * 1024;
const inPlace = { to: 'gold', into: 'existing' } as const;

/** The digest of one volume. */
const digestAt = async (world: World, site: string, id: string): Promise<string> =>
  createHash('sha256')
    .update(await readVolume(join(world.path, site), id))
    .digest('hex');

/** The digests of all volumes. */
const bytesAt = (world: World, site = 'a'): Promise<string[]> =>
  Promise.all(VOLUMES.map((id) => digestAt(world, site, id)));

/** Protects the shop and changes all of its volumes, each in a hole too. */
async function changed(
  world: World,
): Promise<{ checkpoint: CheckpointId; protectedBytes: string[]; bytes: string[] }> {
  const checkpoint = await protect(world);
  const protectedBytes = await bytesAt(world);
  for (const id of VOLUMES) {
    await changeVolume(join(world.path, 'a'), id, 1_000, 'changed');
    await changeVolume(join(world.path, 'a'), id, 1_400_000, 'in a hole');
  }
  return { checkpoint, protectedBytes, bytes: await bytesAt(world) };
}

/** All of a site but its volumes and snapshots. */
async function recordsOf(world: World): Promise<object> {
  const files = Object.entries(await filesBelow(join(world.path, 'a')));
  return Object.fromEntries(files.filter(([name]) => !/^(volumes\/.*raw|snapshots\/)/.test(name)));
}

/** Counts the bytes that are written to volumes. */
class Meter {
  written = 0;
  readonly tap: Tap = async (what, run) => {
    const value = await run();
    return isOpening(what) ? (this.#metered(value as VolumeTarget) as typeof value) : value;
  };

  #metered(target: VolumeTarget): VolumeTarget {
    return new Proxy(target, {
      get: (of, name) => {
        const member: unknown = Reflect.get(of, name);
        if (typeof member !== 'function') return member;
        return (...parts: unknown[]) => {
          if (name === 'write') this.written += (parts[1] as Uint8Array).length;
          return Reflect.apply(member, of, parts);
        };
      },
    });
  }
}

describe('a restore in place', () => {
  it('writes what differs, and protects that first', async () => {
    const meter = new Meter();
    await using world = await openWorld({
      tap: meter.tap,
      options: { archive: { chunkSize: 262_144 } },
    });
    const { checkpoint, protectedBytes, bytes } = await changed(world);
    const records = await recordsOf(world);
    const job = await world.acme.restore(checkpoint, inPlace);
    const { safety, ...result } = await job.result();
    const size = 3 * SIZE;
    const by = { revert: 0, clone: 0, copy: 3 };
    expect(result).toEqual({ checkpoint, resources: 0, volumes: 3, probed: 0, by, bytes: size });
    expect(await bytesAt(world)).toEqual(protectedBytes);
    expect(await recordsOf(world)).toEqual(records);
    expect(meter.written).toBeGreaterThan(0);
    expect(meter.written).toBeLessThan(size / 2);
    const standIns = await all(world.acme.jobs.standIns(job.id));
    expect(standIns).toHaveLength(3);
    for (const { from, to } of standIns) expect(to).toEqual(from);

    if (safety === undefined) throw new Error('nothing was protected');
    const told = (await all(world.acme.audit())).filter(({ action }) => action === 'checkpoint.committed');
    expect(told.map(({ object }) => [object.job, object.checkpoint])).toEqual([
      [checkpoint, checkpoint],
      [job.id, safety],
    ]);
    const back = await (await world.acme.restore(safety, inPlace)).result();
    expect(back).toMatchObject({ volumes: 3 });
    expect(await bytesAt(world)).toEqual(bytes);
  });

  it('of a single volume leaves the others alone', async () => {
    await using world = await openWorld();
    const { checkpoint, protectedBytes, bytes } = await changed(world);
    const job = await world.acme.restore(checkpoint, { ...inPlace, resources: [volumeKey('db-root')] });
    const { safety } = await job.result();
    expect(await bytesAt(world)).toEqual([bytes[0], protectedBytes[1], bytes[2]]);
    const { artifacts } = await world.acme.checkpoints.get(safety ?? checkpoint);
    expect(artifacts.map(({ resource }) => resource)).toEqual([volumeKey('db-root')]);
  });

  it('does what its preview says', async () => {
    await using world = await openWorld();
    const { checkpoint, protectedBytes } = await changed(world);
    const resources = [{ type: 'Local::Server', id: 'db' }];
    const preview = await world.acme.preview.restore(checkpoint, { ...inPlace, resources, safety: 'none' });
    expect(preview).toMatchObject({ into: 'existing', safety: 'none', onFailure: 'undo', gaps: [] });
    expect(preview.resources).toEqual(
      ['db-data', 'db-root'].map((id) => ({
        ...volumeKey(id),
        name: id,
        standIn: volumeKey(id),
        added: true,
        conflict: null,
        overwrites: { array: 'files', id, size: SIZE },
        probed: false,
        data: { by: 'copy', copy: { kind: 'archive', location: 'bank' } },
      })),
    );
    const result = await (await world.acme.run(preview)).result();
    expect(result).toMatchObject({ volumes: 2, bytes: preview.bytes });
    expect(result).not.toHaveProperty('safety');
    expect((await bytesAt(world)).slice(1)).toEqual(protectedBytes.slice(1));
    expect(await availableOf(world)).toHaveLength(1);
  });

  it('keeps others from its volumes, and waits for nobody that is a part of it', async () => {
    const gate = new Gate(isOpening);
    await using world = await openWorld({ tap: gate.tap });
    const { checkpoint } = await changed(world);
    const job = await world.acme.restore(checkpoint, inPlace);
    await gate.reached;
    const other = await world.acme.protect(world.plan.id, { whenBusy: 'refuse' });
    expect((await failure(() => other.result())).code).toBe('BUSY');
    gate.open();
    await job.result();
  });
});

describe('data', () => {
  it('can be restored into the volumes that are mapped to, on another site', async () => {
    await using world = await openWorld();
    const { checkpoint, protectedBytes } = await changed(world);
    await writeShop(join(world.path, 'b'));
    const [, dbRoot] = await bytesAt(world, 'b');
    const resources = ['web-root', 'db-data'].map(volumeKey);
    const map = {
      resources: [
        { from: volumeKey('web-root'), to: volumeKey('db-data') },
        { from: volumeKey('db-data'), to: volumeKey('web-root') },
      ],
    };
    const job = await world.acme.restore(checkpoint, { to: 'silver', into: 'existing', resources, map });
    await job.result();
    expect(await bytesAt(world, 'b')).toEqual([protectedBytes[2], dbRoot, protectedBytes[0]]);
    expect(
      (await all(world.acme.jobs.standIns(job.id))).toSorted((a, b) => (a.from.id < b.from.id ? -1 : 1)),
    ).toEqual(map.resources.toReversed());
  });

  it('is refused before any effect where something stands in its way', async () => {
    await using world = await openWorld();
    const { checkpoint } = await changed(world);
    const network = (id: string): ResourceKey => ({ type: 'Local::Network', id });
    const mapped = (from: ResourceKey, to: ResourceKey): object => ({ map: { resources: [{ from, to }] } });
    const dbRoot = volumeKey('db-root');
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ to: 'silver' }, /on site a, not on site b/],
      [mapped(dbRoot, volumeKey('gone')), /gold does not have Local::Volume\/gone/],
      [mapped(dbRoot, volumeKey('web-root')), /would both be written/],
      [mapped(dbRoot, network('back')), /another type/],
      [{ resources: [network('back')] }, /no volume among/],
      [mapped(network('back'), network('front')), /is mapped, but is no volume/],
    ];
    for (const [options, message] of cases) {
      const asked = { ...inPlace, ...options };
      const { gaps } = await world.acme.preview.restore(checkpoint, asked);
      expect(gaps.join('; ')).toMatch(message);
      await fails(world, () => world.acme.restore(checkpoint, asked), 'MAPPING_GAP', message);
    }
    await truncate(join(world.path, 'a', 'volumes', 'db-data.raw'), 5_000_000);
    const start = () => world.acme.restore(checkpoint, inPlace);
    await fails(world, start, 'MAPPING_GAP', /db-data has 5000000 bytes, and .*\/db-data had 3670016/);
  });

  it.each([
    [{ to: 'gold', safety: 'none' }, /safety is for volumes that exist/],
    [{ ...inPlace, map: { addresses: {} } }, /addresses/],
  ] as const)('is not asked for with %j', async (options, message) => {
    await using world = await openWorld();
    const error = await failure(() => world.acme.restore(parseCheckpointId('any'), options));
    expect(error).toMatchObject({ code: 'INVALID_OPTIONS', message: expect.stringMatching(message) });
  });
});

describe('a restore in place that does not end well', () => {
  // Three are opened to be overwritten; the third is the one that fails.
  const third = (): Fault => new Fault({ matches: isOpening, at: 3 });

  it('leaves what was there before, and names the checkpoint of that', async () => {
    await using world = await openWorld({ tap: third().tap });
    const { checkpoint, bytes } = await changed(world);
    const job = await world.acme.restore(checkpoint, inPlace);
    const error = await failure(() => job.result());
    expect(error.message).toMatch(/injected fault; what was there before is in checkpoint \S+$/);
    expect(await bytesAt(world)).toEqual(bytes);
    const available = (await availableOf(world)).map(({ id }) => id);
    expect(available).toHaveLength(2);
    expect(available).toContain(error.message.split(' ').at(-1));
  });

  it('keeps what it has overwritten where it is told to', async () => {
    await using world = await openWorld({ tap: third().tap });
    const { checkpoint, bytes, protectedBytes } = await changed(world);
    const job = await world.acme.restore(checkpoint, { ...inPlace, onFailure: 'keep' });
    const error = await failure(() => job.result());
    expect(error.message).toMatch(/kept as far as it was overwritten: .*; what was there before is in/);
    const now = await bytesAt(world);
    const restored = now.filter((one, at) => protectedBytes[at] === one);
    const left = now.filter((one, at) => bytes[at] === one);
    expect(restored.length + left.length).toBe(3);
    expect(restored.length).toBeGreaterThan(0);
  });

  it('says so where there is nothing to go back to', async () => {
    await using world = await openWorld({ tap: third().tap });
    const { checkpoint } = await changed(world);
    const job = await world.acme.restore(checkpoint, { ...inPlace, safety: 'none' });
    const error = await failure(() => job.result());
    expect(error.message).toMatch(/undoing it failed: .* overwritten in part, without a safety checkpoint/);
  });

  it('leaves what was there before when it is cancelled', async () => {
    let opened = 0;
    const gate = new Gate((what) => isOpening(what) && ++opened === 3);
    await using world = await openWorld({ tap: gate.tap });
    const { checkpoint, bytes } = await changed(world);
    const job = await world.acme.restore(checkpoint, inPlace);
    await gate.reached;
    await job.cancel();
    expect((await world.acme.jobs.get(job.id))?.state).toBe('cancelled');
    expect(await bytesAt(world)).toEqual(bytes);
  });

  it('has overwritten nothing where its safety checkpoint fails', async () => {
    const fault = new Fault({ matches: (what) => what === 'array.snapshot', at: 3 });
    await using world = await openWorld({ tap: fault.tap });
    const { checkpoint } = await changed(world);
    const volumes = await filesBelow(join(world.path, 'a', 'volumes'));
    const error = await failure(async () => (await world.acme.restore(checkpoint, inPlace)).result());
    expect(error.message).toMatch(/injected fault$/);
    expect(await filesBelow(join(world.path, 'a', 'volumes'))).toEqual(volumes);
    expect(await availableOf(world)).toHaveLength(1);
  });
});

describe('a single volume', () => {
  it('can be restored alone, as a new one', async () => {
    await using world = await openWorld();
    const { checkpoint, protectedBytes } = await changed(world);
    const job = await world.acme.restore(checkpoint, { to: 'silver', resources: [volumeKey('db-root')] });
    expect(await job.result()).toMatchObject({ resources: 1, volumes: 1 });
    expect(Object.keys(await filesBelow(join(world.path, 'b')))).toHaveLength(2);
    expect(await digestAt(world, 'b', 'db-root')).toBe(protectedBytes[1]);
  });
});
