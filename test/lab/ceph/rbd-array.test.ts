import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { removeNumbered } from '../../../src/arrays/rbd/removal.ts';
import { takeSet } from '../../../src/arrays/rbd/take-set.ts';
import { type RbdArrayOptions, rbdArray } from '../../../src/arrays/rbd.ts';
import { RbdClient } from '../../../src/clients/rbd/client.ts';
import type {
  ArraySnapshot,
  Block,
  CallOptions,
  SequentialSource,
  StorageArray,
  VolumeRef,
  VolumeTarget,
} from '../../../src/core/contracts/index.ts';
import {
  assertSameIsSame,
  collect,
  openSource,
  pattern,
  readAll,
  snapshotOne,
  targetOf,
} from '../../../src/testing/storage-array/helpers.ts';
import { type Ceph, cephLab } from './ceph.ts';
import { clear, exported, left, prefixed, rbd, written } from './pool.ts';

const { ceph, skipped } = cephLab();
const call: CallOptions = { signal: new AbortController().signal };
const MIB = 2 ** 20;

if (ceph === undefined)
  describe.skip(`RBD on Ceph (${skipped})`, () => test('needs the lab', () => undefined));
else describe('RBD on Ceph', () => suite(ceph));

function suite(lab: Ceph): void {
  const { pool } = lab.rbd;
  const open = (more: Partial<RbdArrayOptions> = {}): StorageArray =>
    rbdArray({ name: 'rbd', ...lab.rbd, ...more });
  const array = open();
  let prefix: string;
  beforeEach(() => {
    prefix = `test-${randomUUID().slice(0, 8)}`;
  });
  afterEach(() => clear(lab, prefix));
  const named = (id: string, size = MIB): VolumeRef => ({ array: 'rbd', id: `${prefix}-${id}`, size });
  const make = (id: string, size = MIB): Promise<VolumeRef> =>
    targetOf(array).create({ name: named(id).id, size }, call);
  const write = (volume: VolumeRef, offset: number, data: Uint8Array): Promise<void> =>
    written(lab, volume, offset, data);
  const raw = (...parameters: readonly string[]): Promise<string> => rbd(lab, ...parameters);
  const at = (volume: VolumeRef): string => `${pool}/${volume.id}`;
  const refused = (code: string) => ({ code });

  describe('access', () => {
    test('is with a user that may use the one pool and nothing else', async () => {
      const other = open({ pool: 'default.rgw.meta' });
      await expect(collect(other.list('', call))).rejects.toMatchObject(refused('ACCESS_DENIED'));
      const create = targetOf(other).create({ name: 'made', size: MIB }, call);
      await expect(create).rejects.toMatchObject(refused('ACCESS_DENIED'));
    });

    test.each<[string, Partial<RbdArrayOptions>, string]>([
      ['pool', { pool: 'no-such-pool' }, 'INVALID_OPTIONS'],
      ['keyring', { keyring: '/no/such/keyring' }, 'INVALID_OPTIONS'],
      ['configuration', { conf: '/no/such/conf' }, 'INVALID_OPTIONS'],
      ['user', { user: 'nobody' }, 'ACCESS_DENIED'],
      ['monitor', { monitors: ['[v2:127.0.0.1:1]'], timeout: 2_000 }, 'UNAVAILABLE'],
    ])('tells of a wrong %s', async (_, options, code) => {
      const error = await array
        .find('a', call)
        .then(
          () => open(options).find('a', call),
          () => expect.fail('the right one does not work'),
        )
        .then(
          () => expect.fail('it works'),
          (reason: unknown) => reason,
        );
      expect(error).toMatchObject({ code });
      expect(String(error)).not.toContain(
        (await readFile(lab.rbd.keyring, 'utf8')).split('key = ')[1]?.trim(),
      );
    });

    test('is given up in time when the cluster does not answer', async () => {
      const volume = await make('a');
      const taken = await snapshotOne(array, volume, 'kept');
      const pid = Number(await readFile(join(dirname(lab.admin.conf), 'run', 'osd.pid'), 'utf8'));
      const late = { code: 'UNAVAILABLE', retryable: true };
      const hasty = open({ timeout: 1_000, longTimeout: 1_000 });
      await using opened = await targetOf(hasty).openForWrite(volume, call);
      process.kill(pid, 'SIGSTOP');
      try {
        await expect(hasty.snapshot([volume], 'snap', call)).rejects.toMatchObject(late);
        await expect(hasty.find('kept', call)).rejects.toMatchObject(late);
        await expect(hasty.remove(taken, call)).rejects.toMatchObject(late);
        await expect(hasty.revert?.(taken, call)).rejects.toMatchObject(late);
        await expect(targetOf(hasty).openForWrite(volume, call)).rejects.toMatchObject(late);
        const writing = opened.write(0, pattern(512, 1), call).then(() => opened.flush(call));
        await expect(writing).rejects.toMatchObject(late);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      expect(await array.find('kept', call)).toEqual([taken]);
      const again = await array.snapshot([volume], 'snap', call);
      expect(await array.find('snap', call)).toEqual(again);
    });
  });

  describe('a set', () => {
    test('that a dead caller left half taken can be seen, and is taken anew', async () => {
      const [one, other] = [await make('a'), await make('b')];
      await raw('snap', 'create', `${at(one)}@set.partial`);
      const [half, ...none] = await array.find('set', call);
      expect(none).toEqual([]);
      expect(half).toMatchObject({ name: 'set', volume: one });
      await write(one, 0, pattern(512, 1));
      const taken = await array.snapshot([one, other], 'set', call);
      expect(taken[0]?.reference).not.toEqual(half?.reference);
      expect((await readAll(array, taken[0] ?? expect.fail())).subarray(0, 512)).toEqual(pattern(512, 1));
      expect(await array.find('set', call)).toEqual(taken);
      expect(await left(lab, prefix)).toHaveLength(4);
    });

    test('that a dead caller left taken and not named is finished as it was', async () => {
      const volumes = [await make('a'), await make('b')];
      for (const volume of volumes) await raw('snap', 'create', `${at(volume)}@set.partial`);
      const before = await array.find('set', call);
      for (const volume of volumes) await write(volume, 0, pattern(512, 1));
      expect(await array.snapshot(volumes, 'set', call)).toEqual(before);
      for (const one of before) expect((await readAll(array, one)).every((byte) => byte === 0)).toBe(true);
      expect(await left(lab, prefix)).toHaveLength(4);
    });

    test('of other volumes that a dead caller left taken and not named is taken anew', async () => {
      const [one, other] = [await make('a'), await make('b')];
      for (const volume of [one, other]) await raw('snap', 'create', `${at(volume)}@set.partial`);
      const [before] = await array.find('set', call);
      const [taken] = await array.snapshot([one], 'set', call);
      expect(taken?.reference).not.toEqual(before?.reference);
      expect(await left(lab, prefix)).toEqual([one.id, `${one.id}@set`, other.id]);
    });

    test('that nobody has asked for before is not looked for, and does no harm to one that is there', async () => {
      const volumes = [await make('a'), await make('b')];
      const first = await array.snapshot(volumes, 'set', { ...call, isFirst: true });
      for (const volume of volumes) await write(volume, 0, pattern(512, 1));
      expect(await array.snapshot(volumes, 'set', { ...call, isFirst: true })).toEqual(first);
      expect(await array.find('set', call)).toEqual(first);
      expect(await left(lab, prefix)).toHaveLength(4);
    });

    test('is called taken when all of it is there, and before it is named', async () => {
      const volumes = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => make(id)));
      let seen: Promise<readonly string[]> | undefined;
      const slow = open({ concurrency: 1 });
      await slow.snapshot(volumes, 'set', {
        ...call,
        isFirst: true,
        taken: () => {
          seen = left(lab, prefix);
        },
      });
      const snapshots = (await seen)?.filter((name) => name.includes('@'));
      expect(snapshots).toHaveLength(6);
      expect(snapshots?.some((name) => name.endsWith('.partial'))).toBe(true);
      expect((await left(lab, prefix)).filter((name) => name.endsWith('@set'))).toHaveLength(6);
    });

    test('that a dead caller left half named is finished as it was', async () => {
      const [one, other] = [await make('a'), await make('b')];
      await raw('snap', 'create', `${at(one)}@set`);
      await raw('snap', 'create', `${at(other)}@set.partial`);
      const before = await array.find('set', call);
      await write(other, 0, pattern(512, 1));
      const taken = await array.snapshot([other, one], 'set', call);
      expect(taken).toEqual(before.toReversed());
      expect((await readAll(array, taken[0] ?? expect.fail())).every((byte) => byte === 0)).toBe(true);
    });

    test('of which one was removed is in the way, and so is a part of one', async () => {
      const [one, other] = [await make('a'), await make('b')];
      const [first, second] = await array.snapshot([one, other], 'set', call);
      for (const part of [[one], [other]]) {
        await expect(array.snapshot(part, 'set', call)).rejects.toMatchObject(refused('ALREADY_EXISTS'));
      }
      await array.remove(first ?? expect.fail(), call);
      await expect(array.snapshot([one, other], 'set', call)).rejects.toMatchObject(
        refused('ALREADY_EXISTS'),
      );
      expect(await array.find('set', call)).toEqual([second]);
    });

    test('that is stopped leaves nothing or all', async () => {
      const volumes = await Promise.all(['a', 'b', 'c'].map((id) => make(id)));
      for (const moment of [30, 120, 200, 300, 400]) {
        const signal = AbortSignal.timeout(moment);
        const outcome = await array.snapshot(volumes, 'set', { signal }).then(
          (taken) => taken.length,
          () => 0,
        );
        const found = await array.find('set', call);
        expect([0, 3]).toContain(found.length);
        if (outcome === 3) expect(found).toHaveLength(3);
        expect((await left(lab, prefix)).filter((name) => name.includes('.partial'))).toEqual([]);
        for (const one of found) await array.remove(one, call);
      }
    });

    test('is refused for names and volumes that are not ours', async () => {
      const volume = await make('a');
      for (const name of ['-a', 'A', 'a.b', 'a@b', '', 'x'.repeat(101)]) {
        await expect(array.snapshot([volume], name, call)).rejects.toMatchObject(refused('INVALID_ID'));
      }
      for (const id of ['-a', 'a@b', 'other/a']) {
        const odd = { ...volume, id };
        await expect(array.snapshot([odd], 'snap', call)).rejects.toMatchObject(refused('INVALID_ID'));
        await expect(targetOf(array).openForWrite(odd, call)).rejects.toMatchObject(refused('INVALID_ID'));
        await expect(targetOf(array).remove(odd, call)).rejects.toMatchObject(refused('INVALID_ID'));
      }
      const strange = { ...volume, array: 'other' };
      await expect(array.snapshot([strange], 'snap', call)).rejects.toMatchObject(refused('UNKNOWN_ARRAY'));
      await expect(targetOf(array).openForWrite(strange, call)).rejects.toMatchObject(
        refused('UNKNOWN_ARRAY'),
      );
      expect(await left(lab, prefix)).toEqual([volume.id]);
    });
  });

  describe('what a program does after its caller died', () => {
    test('a snapshot that comes when its set is complete is not told of, and goes with the set', async () => {
      const [one, other] = [await make('a'), await make('b')];
      const taken = await array.snapshot([one, other], 'set', call);
      await raw('snap', 'create', `${at(one)}@set.partial`);
      expect(await array.find('set', call)).toEqual(taken);
      expect(await collect(array.list('set', call))).toEqual(taken);
      expect(await array.snapshot([one, other], 'set', call)).toEqual(taken);
      for (const snapshot of taken) await array.remove(snapshot, call);
      expect(await left(lab, prefix)).toEqual([one.id, other.id]);
    });

    test('a snapshot of before that gets its name is not mixed with later ones', async () => {
      const images = [(await make('a')).id, (await make('b')).id];
      const { rbd: access } = lab;
      const client = new RbdClient(access, { short: 60_000, long: 60_000 });
      const partial = `${pool}/${images[0]}@set.partial`;
      await raw('snap', 'create', partial);
      const present = (await collect(client.poolSnapshots(call))).filter(({ image }) =>
        images.includes(image),
      );
      await raw('snap', 'rename', partial, `${pool}/${images[0]}@set`);
      await takeSet({ client, concurrency: 2, name: 'set', images, present }, call);
      const found = await array.find('set', call);
      const before = present.map(({ id }) => id);
      expect(found.map(({ volume }) => volume.id)).toEqual(images);
      expect(found.every(({ reference }) => !before.includes(Number(reference.id)))).toBe(true);
      expect(await left(lab, prefix)).toHaveLength(4);
    });

    test('a snapshot that gets its name while it is removed is removed', async () => {
      const volume = await make('a');
      await raw('snap', 'create', `${at(volume)}@set.partial`);
      const client = new RbdClient(lab.rbd, { short: 60_000, long: 60_000 });
      const [found] = await client.snapshots(volume.id, call);
      const removeSnapshot = client.removeSnapshot.bind(client);
      client.removeSnapshot = async (image, name, inner) => {
        if (name === 'set.partial') await raw('snap', 'rename', `${at(volume)}@${name}`, `${at(volume)}@set`);
        await removeSnapshot(image, name, inner);
      };
      await removeNumbered(client, volume.id, found?.id ?? 0, call);
      expect(await left(lab, prefix)).toEqual([volume.id]);
    });
  });

  describe('a stream', () => {
    const exact = async (taken: ArraySnapshot): Promise<void> => {
      const [found, expected] = [await readAll(array, taken), await exported(lab, taken)];
      expect(Buffer.compare(found, expected)).toBe(0);
    };

    test('is exact for sizes that end anywhere, also when they change', async () => {
      const volume = named('a', 9 * MIB + 333);
      await raw('create', '--size', `${volume.size}B`, at(volume));
      await write(volume, 0, pattern(5 * MIB + 1, 1));
      await write(volume, volume.size - 7, pattern(7, 2));
      const taken: ArraySnapshot[] = [await snapshotOne(array, volume, 'size-0')];
      for (const [round, size] of [3 * MIB + 100, 12 * MIB, 12 * MIB + 5, 2 * MIB].entries()) {
        await raw('resize', '--allow-shrink', '--size', `${size}B`, at(volume));
        await write({ ...volume, size }, size - 1000, pattern(1000, round));
        taken.push(await snapshotOne(array, { ...volume, size }, `size-${round + 1}`));
      }
      for (const [newer, one] of taken.entries()) {
        await exact(one);
        for (const older of taken.slice(0, newer)) await assertSameIsSame(array, one, older);
      }
    });

    test('is exact for clones that share bytes, for stripes and without maps of objects', async () => {
      const parent = await make('parent', 8 * MIB);
      await write(parent, 100, pattern(5 * MIB, 1));
      await raw('snap', 'create', `${at(parent)}@base`);
      const child = named('child', 8 * MIB);
      await raw('clone', '--rbd-default-clone-format', '2', `${at(parent)}@base`, at(child));
      const striped = named('striped', 8 * MIB);
      await raw('create', '--size', '8M', '--stripe-unit', '65536', '--stripe-count', '4', at(striped));
      const plain = named('plain', 8 * MIB);
      await raw('create', '--size', '8M', '--image-feature', 'layering', at(plain));
      for (const volume of [child, striped, plain]) {
        const first = await snapshotOne(array, volume, 'first');
        await exact(first);
        await write(volume, 2 * MIB + 5, pattern(3 * MIB, 2));
        await write(volume, 6 * MIB, new Uint8Array(MIB));
        const second = await snapshotOne(array, volume, 'second');
        await exact(second);
        await assertSameIsSame(array, second, first);
        for (const one of [first, second]) await array.remove(one, call);
      }
      await raw('rm', at(child));
    });

    test('tells how much is the same', async () => {
      const volume = await make('a', 32 * MIB);
      await write(volume, 0, pattern(32 * MIB, 1));
      const older = await snapshotOne(array, volume, 'older');
      await write(volume, 17 * MIB + 3, pattern(5, 2));
      const newer = await snapshotOne(array, volume, 'newer');
      await using source = await openSource(array, newer, { since: older });
      expect(await collect(source.extents(call))).toEqual([
        { offset: 0, length: 17 * MIB + 3, kind: 'same' },
        { offset: 17 * MIB + 3, length: 5, kind: 'data' },
        { offset: 17 * MIB + 8, length: 15 * MIB - 8, kind: 'same' },
      ]);
      await expect(array.open(older, { since: newer }, call)).rejects.toMatchObject(refused('UNSUPPORTED'));
    });

    test('of a snapshot that goes meanwhile, or comes back as another, is no short volume', async () => {
      const volume = await make('a', 32 * MIB);
      await write(volume, 0, pattern(32 * MIB, 1));
      for (const isTakenAgain of [false, true]) {
        const taken = await snapshotOne(array, volume, 'goes');
        await using source = await array.open(taken, {}, call);
        if (source.access !== 'sequential') expect.fail('not a stream');
        const read = async (): Promise<void> => {
          let isFirst = true;
          for await (const { offset } of source.blocks(call)) {
            if (!isFirst) continue;
            expect(offset).toBe(0);
            isFirst = false;
            await array.remove(taken, call);
            if (isTakenAgain) await snapshotOne(array, volume, 'goes');
          }
        };
        await expect(read()).rejects.toMatchObject({ code: expect.stringMatching('UNAVAILABLE|NOT_FOUND') });
      }
    });

    test('is read once, and not after it was closed', async () => {
      const volume = await make('a', 16 * MIB);
      await write(volume, 0, pattern(16 * MIB, 1));
      const taken = await snapshotOne(array, volume, 'snap');
      const source = (await array.open(taken, {}, call)) as SequentialSource;
      const read = async (): Promise<void> => {
        for await (const { kind } of source.blocks(call)) {
          expect(kind).toBe('data');
          await source.close();
        }
      };
      await expect(read()).rejects.toMatchObject(refused('CLOSED'));
      await expect(read()).rejects.toMatchObject(refused('CLOSED'));
      await source.close();
    });
  });

  describe('a target', () => {
    async function* blocksOf(bytes: Uint8Array, failure?: Error): AsyncGenerator<Block> {
      yield { offset: 0, data: bytes.subarray(0, 3 * MIB), kind: 'data' };
      yield { offset: 3 * MIB, length: MIB + 7, kind: 'zero' };
      if (failure !== undefined) throw failure;
      yield { offset: 4 * MIB + 7, data: bytes.subarray(4 * MIB + 7), kind: 'data' };
    }
    const held = async (target: VolumeTarget): Promise<Uint8Array> => {
      const into = new Uint8Array(target.size);
      await target.readInto(0, into, call);
      return into;
    };

    test('takes a stream, again and again, also of what was written before', async () => {
      const volume = await make('a', 8 * MIB);
      await using target = await targetOf(array).openForWrite(volume, call);
      expect(target.blank).toBe(true);
      for (const round of [1, 2]) {
        const bytes = pattern(8 * MIB, round);
        await target.receive?.(blocksOf(bytes), call);
        expect(target.blank).toBe(false);
        bytes.fill(0, 3 * MIB, 4 * MIB + 7);
        expect(Buffer.compare(await held(target), bytes)).toBe(0);
        await target.write(3 * MIB, pattern(MIB, 9), call);
        await target.flush(call);
      }
      const failure = new Error('the source is gone');
      await expect(target.receive?.(blocksOf(pattern(8 * MIB, 3), failure), call)).rejects.toBe(failure);
      expect((await held(target))[5 * MIB]).toBe(pattern(8 * MIB, 2)[5 * MIB]);
    });

    test('is refused where QEMU would make the image larger', async () => {
      const odd = named('a', MIB + 100);
      await expect(make('b', MIB + 100)).rejects.toMatchObject(refused('UNSUPPORTED'));
      await raw('create', '--size', `${odd.size}B`, at(odd));
      await expect(targetOf(array).openForWrite(odd, call)).rejects.toMatchObject(refused('UNSUPPORTED'));
      expect(await left(lab, prefix)).toEqual([odd.id]);
    });

    test('leaves no process behind that keeps the image', async () => {
      const volume = await make('a');
      const target = await targetOf(array).openForWrite(volume, call);
      await target.write(0, pattern(512, 1), call);
      await target.close();
      await target.close();
      await expect(target.readInto(0, new Uint8Array(1), call)).rejects.toMatchObject(refused('CLOSED'));
      expect(JSON.parse(await raw('status', at(volume), '--format', 'json'))).toEqual({ watchers: [] });
    });
  });

  describe('what clones need', () => {
    test('is named when its volume cannot be removed, and hides until they are gone', async () => {
      const volume = await make('a');
      const taken = await snapshotOne(array, volume, 'snap');
      const error = await targetOf(array)
        .remove(volume, call)
        .then(
          () => expect.fail('it was removed'),
          (reason: unknown) => reason,
        );
      expect(error).toMatchObject({ code: 'BUSY', retryable: false });
      expect(String(error)).toContain('snapshot snap');
      const child = named('child');
      await raw('clone', '--rbd-default-clone-format', '2', `${at(volume)}@snap`, at(child));
      await array.remove(taken, call);
      expect(await array.find('snap', call)).toEqual([]);
      expect(await collect(prefixed(array, prefix).list('', call))).toEqual([]);
      await expect(targetOf(array).remove(volume, call)).rejects.toMatchObject({
        code: 'BUSY',
        message: expect.stringMatching(`snapshot snap .*kept for clones.*clone ${at(child)}`),
      });
      await targetOf(array).remove(child, call);
      await targetOf(array).remove(volume, call);
      expect(await left(lab, prefix)).toEqual([]);
    });

    test('is not needed by clones of ours, also of one who died before it had its own bytes', async () => {
      const volume = await make('a', 8 * MIB);
      await write(volume, 0, pattern(MIB, 1));
      const taken = await snapshotOne(array, volume, 'snap');
      await raw('clone', '--rbd-default-clone-format', '2', `${at(volume)}@snap`, at(named('child')));
      const child = (await array.clone?.(taken, named('child').id, call)) ?? expect.fail();
      await array.remove(taken, call);
      await targetOf(array).remove(volume, call);
      const again = await snapshotOne(array, child, 'snap');
      expect(Buffer.compare((await readAll(array, again)).subarray(0, MIB), pattern(MIB, 1))).toBe(0);
    });

    test('that were made of protected snapshots is refused, and they are named', async () => {
      const volume = await make('a');
      const taken = await snapshotOne(array, volume, 'snap');
      await raw('snap', 'protect', `${at(volume)}@snap`);
      await expect(array.remove(taken, call)).rejects.toMatchObject({
        code: 'BUSY',
        message: expect.stringContaining('protected'),
      });
      await raw('snap', 'unprotect', `${at(volume)}@snap`);
    });

    test('and what others made is listed beside ours', async () => {
      const volume = await make('a');
      for (const name of ['Backup_1', 'b.c', '.hidden']) await raw('snap', 'create', `${at(volume)}@${name}`);
      await snapshotOne(array, volume, 'ours');
      const listed = await collect(prefixed(array, prefix).list('', call));
      expect(listed.map(({ name }) => name)).toEqual(['.hidden', 'Backup_1', 'b.c', 'ours']);
    });
  });
}
