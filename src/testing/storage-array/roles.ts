import assert from 'node:assert/strict';
import type { Block } from '../../core/contracts/index.ts';
import {
  assertBytes,
  BLOCK,
  call,
  MIB,
  pattern,
  readAll,
  rejectsWith,
  sizeIn,
  snapshotOne,
  targetOf,
  volumeWith,
} from './helpers.ts';
import type { Obligation } from './obligation.ts';

/** Bytes as a stream, of which those from `start` to `end` are zeros. */
async function* streamOf(bytes: Uint8Array, start: number, end: number): AsyncGenerator<Block> {
  yield { offset: 0, data: bytes.slice(0, start), kind: 'data' };
  yield { offset: start, length: end - start, kind: 'zero' };
  yield { offset: end, data: bytes.slice(end), kind: 'data' };
}

/** The optional roles. */
export const ROLES: readonly Obligation[] = [
  {
    name: 'target: create finds what it created; another size is ALREADY_EXISTS',
    needs: 'target',
    async run({ array }) {
      const made = await targetOf(array).create({ name: 'made', size: MIB }, call);
      assert.equal(made.array, array.name);
      assert.equal(made.size, MIB);
      await using opened = await targetOf(array).openForWrite(made, call);
      await opened.write(0, pattern(BLOCK, 1), call);
      assert.deepEqual(await targetOf(array).create({ name: 'made', size: MIB }, call), made);
      await rejectsWith('ALREADY_EXISTS', targetOf(array).create({ name: 'made', size: 2 * MIB }, call));
      const back = new Uint8Array(BLOCK);
      await opened.readInto(0, back, call);
      assertBytes(back, pattern(BLOCK, 1));
    },
  },
  {
    name: 'target: what is written or zeroed reads back, also when opened again',
    needs: 'target',
    async run(fixture) {
      const { array } = fixture;
      const size = sizeIn(fixture, MIB + 100);
      const made = await targetOf(array).create({ name: 'made', size }, call);
      const expected = new Uint8Array(size);
      {
        await using opened = await targetOf(array).openForWrite(made, call);
        assert.equal(opened.size, size);
        const contents = pattern(300_001, 7);
        await opened.write(99, contents, call);
        await opened.write(size - 1, pattern(1, 8), call);
        await opened.zero(4095, 200_000, call);
        expected.set(contents, 99);
        expected.set(pattern(1, 8), size - 1);
        expected.fill(0, 4095, 204_095);
        const back = new Uint8Array(size);
        await opened.readInto(0, back, call);
        assertBytes(back, expected);
        await opened.flush(call);
        await opened.close();
      }
      const taken = await snapshotOne(array, made, 'snap');
      assertBytes(await readAll(array, taken), expected);
    },
  },
  {
    name: 'target: blank is never claimed of a volume that has data',
    needs: 'target',
    async run({ array }) {
      const made = await targetOf(array).create({ name: 'made', size: MIB }, call);
      {
        await using opened = await targetOf(array).openForWrite(made, call);
        if (opened.blank) {
          const bytes = new Uint8Array(MIB);
          await opened.readInto(0, bytes, call);
          assert.ok(bytes.every((byte) => byte === 0));
        }
        await opened.write(MIB - 1, pattern(1, 1), call);
        assert.equal(opened.blank, false);
      }
      await using again = await targetOf(array).openForWrite(made, call);
      assert.equal(again.blank, false);
    },
  },
  {
    name: 'target: what its map calls zero reads as zeros, and the map has no gaps',
    needs: 'target',
    async run({ array }) {
      const made = await targetOf(array).create({ name: 'made', size: 4 * MIB }, call);
      await using opened = await targetOf(array).openForWrite(made, call);
      if (opened.extents === undefined) return;
      await opened.write(MIB + 5, pattern(BLOCK, 1), call);
      await opened.write(3 * MIB, pattern(MIB, 2), call);
      await opened.flush(call);
      let covered = 0;
      for await (const { offset, length, kind } of opened.extents(call)) {
        assert.equal(offset, covered);
        assert.notEqual(kind, 'same');
        covered += length;
        if (kind === 'data') continue;
        const bytes = new Uint8Array(length);
        await opened.readInto(offset, bytes, call);
        assert.ok(bytes.every((byte) => byte === 0));
      }
      assert.equal(covered, 4 * MIB);
    },
  },
  {
    name: 'target: a stream becomes the whole volume, whatever was written before',
    needs: 'target',
    async run({ array }) {
      const made = await targetOf(array).create({ name: 'made', size: 3 * MIB }, call);
      await using opened = await targetOf(array).openForWrite(made, call);
      if (opened.receive === undefined) return;
      for (const seed of [1, 2]) {
        const expected = pattern(3 * MIB, seed);
        expected.fill(0, MIB + 7, 2 * MIB);
        await opened.receive(streamOf(expected, MIB + 7, 2 * MIB), call);
        assert.equal(opened.blank, false);
        const back = new Uint8Array(3 * MIB);
        await opened.readInto(0, back, call);
        assertBytes(back, expected);
        await opened.write(MIB + 7, pattern(BLOCK, 3), call);
        await opened.flush(call);
      }
    },
  },
  {
    name: 'target: what was cleared is blank, and reads as zeros but for what is written then',
    needs: 'target',
    async run({ array }) {
      const made = await targetOf(array).create({ name: 'made', size: MIB }, call);
      {
        await using opened = await targetOf(array).openForWrite(made, call);
        if (opened.clear === undefined) return;
        await opened.write(0, pattern(MIB, 1), call);
        await opened.flush(call);
        await opened.clear(call);
        assert.equal(opened.blank, true);
        await opened.write(7, pattern(BLOCK, 2), call);
        await opened.flush(call);
      }
      await using again = await targetOf(array).openForWrite(made, call);
      const back = new Uint8Array(MIB);
      await again.readInto(0, back, call);
      const expected = new Uint8Array(MIB);
      expected.set(pattern(BLOCK, 2), 7);
      assertBytes(back, expected);
    },
  },
  {
    name: 'target: writes and reads beyond the size are OUT_OF_RANGE',
    needs: 'target',
    async run({ array }) {
      const made = await targetOf(array).create({ name: 'made', size: MIB }, call);
      await using opened = await targetOf(array).openForWrite(made, call);
      await rejectsWith('OUT_OF_RANGE', opened.write(MIB - 1, new Uint8Array(2), call));
      await rejectsWith('OUT_OF_RANGE', opened.zero(MIB, 1, call));
      await rejectsWith('OUT_OF_RANGE', opened.readInto(MIB, new Uint8Array(1), call));
    },
  },
  {
    name: 'target: remove may be repeated; a missing volume is NOT_FOUND to open',
    needs: 'target',
    async run({ array }) {
      const made = await targetOf(array).create({ name: 'made', size: MIB }, call);
      await targetOf(array).remove(made, call);
      await targetOf(array).remove(made, call);
      await rejectsWith('NOT_FOUND', targetOf(array).openForWrite(made, call));
    },
  },
  {
    name: 'clone: is found again, and needs neither source nor snapshot',
    needs: 'clone',
    async run(fixture) {
      const { array } = fixture;
      const volume = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]);
      const taken = await snapshotOne(array, volume, 'snap');
      const made = await array.clone?.(taken, 'made', call);
      assert.ok(made !== undefined);
      assert.equal(made.size, MIB);
      await fixture.write(volume, 0, pattern(BLOCK, 2));
      await fixture.write(made, BLOCK, pattern(BLOCK, 3));
      assert.deepEqual(await array.clone?.(taken, 'made', call), made);
      const intact = await readAll(array, taken);
      assert.ok(intact.subarray(BLOCK).every((byte) => byte === 0));
      await array.remove(taken, call);
      const seen = (await readAll(array, await snapshotOne(array, made, 'other'))).subarray(0, 2 * BLOCK);
      assertBytes(seen, Uint8Array.from([...pattern(BLOCK, 1), ...pattern(BLOCK, 3)]));
    },
  },
  {
    name: 'clone: a snapshot that is gone is NOT_FOUND',
    needs: 'clone',
    async run(fixture) {
      const { array } = fixture;
      const taken = await snapshotOne(
        array,
        await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]),
        'snap',
      );
      await array.remove(taken, call);
      await rejectsWith('NOT_FOUND', Promise.resolve(array.clone?.(taken, 'made', call)));
    },
  },
  {
    name: 'revert: a snapshot that is gone is NOT_FOUND, and the volume stays as it is',
    needs: 'revert',
    async run(fixture) {
      const { array } = fixture;
      const volume = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]);
      const gone = await snapshotOne(array, volume, 'gone');
      await fixture.write(volume, 0, pattern(BLOCK, 2));
      const expected = await readAll(array, await snapshotOne(array, volume, 'later'));
      await array.remove(gone, call);
      await rejectsWith('NOT_FOUND', Promise.resolve(array.revert?.(gone, call)));
      assertBytes(await readAll(array, await snapshotOne(array, volume, 'same')), expected);
    },
  },
  {
    name: 'revert: a later snapshot survives',
    needs: 'revert-any',
    async run(fixture) {
      const { array } = fixture;
      const volume = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]);
      const first = await snapshotOne(array, volume, 'snap');
      await fixture.write(volume, 0, pattern(BLOCK, 2));
      const later = await snapshotOne(array, volume, 'later');
      const expected = await readAll(array, later);
      await array.revert?.(first, call);
      assertBytes(await readAll(array, later), expected);
    },
  },
  {
    name: 'revert: one that is not the latest is UNSUPPORTED, and the volume stays as it is',
    needs: 'revert-latest',
    async run(fixture) {
      const { array } = fixture;
      const volume = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]);
      const first = await snapshotOne(array, volume, 'snap');
      await fixture.write(volume, 0, pattern(BLOCK, 2));
      const expected = await readAll(array, await snapshotOne(array, volume, 'later'));
      await rejectsWith('UNSUPPORTED', Promise.resolve(array.revert?.(first, call)));
      assertBytes(await readAll(array, await snapshotOne(array, volume, 'same')), expected);
    },
  },
  {
    name: 'revert: restores all bytes, may be repeated, and the snapshot survives',
    needs: 'revert',
    async run(fixture) {
      const { array } = fixture;
      const volume = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]);
      const taken = await snapshotOne(array, volume, 'snap');
      const expected = await readAll(array, taken);
      await fixture.write(volume, 0, pattern(300_000, 2));
      await array.revert?.(taken, call);
      await array.revert?.(taken, call);
      assertBytes(await readAll(array, await snapshotOne(array, volume, 'reverted')), expected);
      await fixture.write(volume, 10, pattern(BLOCK, 3));
      assertBytes(await readAll(array, taken), expected);
    },
  },
];
