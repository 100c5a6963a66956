import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { filefragExtents, parseFilefrag } from '../../../src/clients/host/filefrag.ts';
import { findProgram } from '../../../src/clients/host/run.ts';

const HEAD = [
  'Filesystem type is: 58465342',
  'File size of /dev/fd/3 is 1048576 (1048576 blocks of 1 bytes)',
  ' ext:     logical_offset:        physical_offset: length:   expected: flags:',
];
const EXTENTS = [
  '   0:    40960..   49151:      40960..     49151:   8192:             shared',
  '   1:    49152..   53247:     217088..    221183:   4096:      49152:',
  '   2:    53248..   57343:      53248..     57343:   4096:     221184: shared',
  '   3:   524288..  589823:      98304..    163839:  65536:     524288: unwritten',
  '   4:  1044480.. 1048575:          0..         0:   4096:             last,unknown_loc,delalloc,eof',
];
const END = '/dev/fd/3: 4 extents found';

async function parse(...lines: string[]) {
  const extents = [];
  for await (const { flags, ...extent } of parseFilefrag(lines))
    extents.push({ ...extent, flags: [...flags] });
  return extents;
}

const notUnderstood = { code: 'WRONG_ANSWER' };

describe('what filefrag prints', () => {
  test('of an XFS file with shared, own, unwritten and delayed extents', async () => {
    expect(await parse(...HEAD, ...EXTENTS, END)).toEqual([
      { offset: 40960, length: 8192, physical: 40960, flags: ['shared'] },
      { offset: 49152, length: 4096, physical: 217088, flags: [] },
      { offset: 53248, length: 4096, physical: 53248, flags: ['shared'] },
      { offset: 524288, length: 65536, physical: 98304, flags: ['unwritten'] },
      { offset: 1044480, length: 4096, physical: 0, flags: ['last', 'unknown_loc', 'delalloc', 'eof'] },
    ]);
  });

  test('of numbers that fill their columns, and of a file without extents', async () => {
    const wide = '   0:     4096..    8191: 24379396096..24379400191:   4096:       4096: last';
    expect(await parse(...HEAD, wide, '/dev/fd/3: 1 extent found')).toEqual([
      { offset: 4096, length: 4096, physical: 24379396096, flags: ['last'] },
    ]);
    expect(await parse(...HEAD.slice(0, 2), '/dev/fd/3: 0 extents found')).toEqual([]);
  });

  test.each([
    ['an unknown flag', [...HEAD, '   0:  0..  4095:  0..  4095:  4096:  : haunted', END]],
    ['a flag as a number', [...HEAD, '   0:  0..  4095:  0..  4095:  4096:   0x4000', END]],
    ['another unit', [HEAD[0], 'File size of /dev/fd/3 is 8192 (2 blocks of 4096 bytes)', END]],
    ['a length that does not fit its ends', [...HEAD, '   0:  0..  4095:  0..  4095:  8192:', END]],
    ['extents out of order', [...HEAD, EXTENTS[1], EXTENTS[0], END]],
    ['a line of something else', [...HEAD, 'warning: the moon is full', END]],
    ['an extent after the end', [...HEAD, END, EXTENTS[0]]],
    ['no end', [...HEAD, ...EXTENTS]],
    ['nothing', []],
  ])('is refused with %s', async (_, lines) => {
    await expect(parse(...lines.map(String))).rejects.toMatchObject(notUnderstood);
  });

  test('is never held: a million extents are parsed as they come', async () => {
    async function* endless() {
      yield* HEAD;
      for (let at = 0; at < 1_000_000; at += 1) {
        yield `   ${at}: ${at * 8192}..${at * 8192 + 4095}: ${at * 8192}..${at * 8192 + 4095}: 4096:`;
      }
      throw new Error('asked for more than was wanted');
    }
    let seen = 0;
    for await (const { offset } of parseFilefrag(endless())) {
      expect(offset).toBe(seen * 8192);
      seen += 1;
      if (seen === 1000) break;
    }
  });
});

const installed = await findProgram({ name: 'filefrag', package: 'e2fsprogs' }).catch(() => undefined);

describe.skipIf(installed === undefined)(`filefrag itself${installed ? '' : ' (not installed)'}`, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'filefrag-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('answers about an open file, and ends with the signal', async () => {
    await using file = await open(join(folder, 'file'), 'wx+');
    await file.truncate(1_000_001);
    await file.write('data', 300_000);
    const { signal } = new AbortController();
    const extents = [];
    for await (const { offset, length } of filefragExtents(file, { signal }))
      extents.push({ offset, length });
    expect(extents).toHaveLength(1);
    expect(extents[0]?.offset).toBeLessThanOrEqual(300_000);
    expect((extents[0]?.offset ?? 0) + (extents[0]?.length ?? 0)).toBeGreaterThanOrEqual(300_004);

    const reason = new Error('no longer wanted');
    const aborted = filefragExtents(file, { signal: AbortSignal.abort(reason) });
    await expect(aborted[Symbol.asyncIterator]().next()).rejects.toBe(reason);
  });

  test('does not map another file when the handle was closed', async () => {
    const file = await open(join(folder, 'closed'), 'wx+');
    const extents = filefragExtents(file, { signal: new AbortController().signal });
    await file.close();
    await expect(extents[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
