import assert from 'node:assert/strict';
import {
  assertBytes,
  BLOCK,
  call,
  checkedExtents,
  MIB,
  pattern,
  readSource,
  rejectsWith,
  sizeIn,
  snapshotOne,
  volumeWith,
  openSource,
} from './helpers.ts';
import type { Obligation } from './obligation.ts';

/** Reading a snapshot: extents and bytes. */
export const READS: readonly Obligation[] = [
  {
    name: 'extents cover the volume in order, and nothing but zeros is outside data',
    async run(fixture) {
      const size = sizeIn(fixture, 4 * MIB + 1000);
      const volume = await volumeWith(fixture, size, [
        [BLOCK - 1, pattern(2, 1)],
        [MIB, pattern(300_000, 2)],
        [size - 1, pattern(1, 3)],
      ]);
      const taken = await snapshotOne(fixture.array, volume, 'snap');
      await using source = await openSource(fixture.array, taken);
      const bytes = await readSource(source);
      let data = 0;
      for (const { offset, length, kind } of await checkedExtents(source)) {
        assert.notEqual(kind, 'same');
        if (kind === 'data') data += length;
        else
          assert.ok(
            bytes.subarray(offset, offset + length).every((byte) => byte === 0),
            `zero at ${offset}`,
          );
      }
      assert.ok(data < size / 2, 'most of a sparse volume is known to be zero');
    },
  },
  {
    name: 'reads are exact at any offset and up to the end',
    async run(fixture) {
      const size = sizeIn(fixture, MIB + 777);
      const contents = pattern(size, 5);
      const volume = await volumeWith(fixture, size, [[0, contents]]);
      const taken = await snapshotOne(fixture.array, volume, 'snap');
      await using source = await openSource(fixture.array, taken);
      assert.equal(source.size, size);
      const ranges = [
        [0, 1],
        [1, 4097],
        [4095, 2],
        [65_535, 65_538],
        [size - 1, 1],
        [size - 5000, 5000],
        [size, 0],
      ];
      await Promise.all(
        ranges.map(async ([offset = 0, length = 0]) => {
          const into = new Uint8Array(length);
          await source.readInto(offset, into, call);
          assertBytes(into, contents.subarray(offset, offset + length));
        }),
      );
    },
  },
  {
    name: 'a read beyond the size is OUT_OF_RANGE',
    async run(fixture) {
      const taken = await snapshotOne(fixture.array, await fixture.createVolume(MIB), 'snap');
      await using source = await openSource(fixture.array, taken);
      await rejectsWith('OUT_OF_RANGE', source.readInto(MIB - 1, new Uint8Array(2), call));
      await rejectsWith('OUT_OF_RANGE', source.readInto(MIB + 1, new Uint8Array(0), call));
      await rejectsWith('OUT_OF_RANGE', source.readInto(-1, new Uint8Array(1), call));
      await source.close();
      await source.close();
    },
  },
];
