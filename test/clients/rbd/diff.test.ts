import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DiffHead, type DiffRun, parseDiff, writeDiff } from '../../../src/clients/rbd/diff.ts';

const SIZE = 5_000_000;
const HEAD = { from: 'older', to: 'newer', size: SIZE };

async function* inChunks(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

async function written(head: DiffHead, runs: readonly DiffRun[]): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of writeDiff(head, each(runs))) parts.push(part);
  return Buffer.concat(parts);
}

/** What a diff says, data that follows data being one run. */
async function parsed(bytes: Uint8Array, head: DiffHead = HEAD, length = 65_536): Promise<DiffRun[]> {
  const runs: DiffRun[] = [];
  for await (const run of parseDiff(inChunks(bytes, length), head)) runs.push(run);
  return runs;
}

function joined(runs: readonly DiffRun[]): readonly DiffRun[] {
  const list: DiffRun[] = [];
  for (const run of runs) {
    const last = list.at(-1);
    const follows = last?.kind === 'data' && last.offset + last.data.length === run.offset;
    if (run.kind === 'data' && follows) {
      list[list.length - 1] = { ...last, data: Buffer.concat([last.data, run.data]) };
    } else list.push(run.kind === 'data' ? { ...run, data: Buffer.from(run.data) } : run);
  }
  return list;
}

const step = fc.record({
  gap: fc.nat(10_000),
  length: fc.integer({ min: 1, max: 30_000 }),
  fill: fc.option(fc.nat(255)),
});

function runsOf(steps: readonly { gap: number; length: number; fill: number | null }[]): DiffRun[] {
  const runs: DiffRun[] = [];
  let offset = 0;
  for (const { gap, length, fill } of steps) {
    offset += gap;
    if (fill === null) runs.push({ offset, length, kind: 'zero' });
    else runs.push({ offset, kind: 'data', data: Buffer.alloc(length, fill) });
    offset += length;
  }
  return runs;
}

const record = (tag: string, ...numbers: bigint[]): Buffer => {
  const bytes = Buffer.alloc(1 + 8 * numbers.length, tag);
  for (const [at, number] of numbers.entries()) bytes.writeBigUInt64LE(number, 1 + 8 * at);
  return bytes;
};

describe('a diff of RBD', () => {
  test('reads as it was written, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 70_000 }),
        fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
        async (steps, length, from) => {
          const head = { to: 'newer', size: SIZE, ...(from !== undefined && { from }) };
          const runs = runsOf(steps);
          const found = await parsed(await written(head, runs), head, length);
          expect(joined(found)).toEqual(joined(runs));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('is as Ceph writes it', async () => {
    // rbd export-diff --from-snap a g@b -, of an image of 8 MiB that was made smaller and larger again.
    const bytes = Buffer.from(
      '7262642064696666' +
        '2076310a' +
        '660100000061' +
        '740100000062' +
        '730000800000000000' +
        '7a64001000000000009cff2f0000000000' +
        '7a00004000000000000000400000000000' +
        '65',
      'hex',
    );
    const head = { from: 'a', to: 'b', size: 8 * 2 ** 20 };
    const runs: DiffRun[] = [
      { offset: 1_048_676, length: 3_145_628, kind: 'zero' },
      { offset: 4_194_304, length: 4_194_304, kind: 'zero' },
    ];
    expect(await parsed(bytes, head)).toEqual(runs);
    expect(await written(head, runs)).toEqual(bytes);
  });

  test('comes in pieces of at most 1 MiB that nobody else holds', async () => {
    const data = Buffer.alloc(3_000_000, 7);
    const [one, two, ...others] = await parsed(await written(HEAD, [{ offset: 9, kind: 'data', data }]));
    expect(others).toHaveLength(1);
    if (one?.kind !== 'data' || two?.kind !== 'data') expect.fail('not data');
    expect(one.data).toHaveLength(2 ** 20);
    expect(two.offset).toBe(9 + 2 ** 20);
    structuredClone(one.data.buffer, { transfer: [one.data.buffer as ArrayBuffer] });
    expect(two.data.every((byte) => byte === 7)).toBe(true);
  });

  test('that is cut anywhere is UNAVAILABLE and not a short volume', async () => {
    const whole = await written(
      HEAD,
      runsOf([
        { gap: 5, length: 40, fill: 1 },
        { gap: 0, length: 7, fill: null },
      ]),
    );
    for (let length = 0; length < whole.length; length += 1) {
      await expect(parsed(whole.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      });
    }
  });

  const start = Buffer.concat([
    Buffer.from('rbd diff v1\nf'),
    Buffer.from('050000006f6c646572', 'hex'),
    Buffer.from('t'),
    Buffer.from('050000006e65776572', 'hex'),
    record('s', BigInt(SIZE)),
  ]);
  const end = Buffer.from('e');
  const zero = (offset: bigint, length: bigint): Buffer => record('z', offset, length);

  test('the hand-made beginning is right', async () => {
    expect(await parsed(Buffer.concat([start, end]))).toEqual([]);
  });

  test.each<[string, readonly Buffer[]]>([
    ['another format', [Buffer.from('rbd diff v2\n'), start, end]],
    ['an unknown record', [start, Buffer.from('q'), end]],
    ['the size twice', [start, record('s', 1n), end]],
    ['a name after data', [start, zero(0n, 1n), Buffer.from('t'), end]],
    ['a run of nothing', [start, zero(0n, 0n), end]],
    ['runs that overlap', [start, zero(0n, 10n), zero(9n, 1n), end]],
    ['runs out of order', [start, zero(10n, 10n), zero(0n, 1n), end]],
    ['a run beyond the size', [start, zero(BigInt(SIZE), 1n), end]],
    ['a run across the end', [start, record('w', BigInt(SIZE) - 1n, 2n), Buffer.alloc(2), end]],
    ['a number beyond reason', [start, zero(2n ** 63n, 1n), end]],
    ['a length beyond reason', [start, record('w', 0n, 2n ** 64n - 1n), end]],
    ['a name beyond reason', [Buffer.from('rbd diff v1\nf'), Buffer.from('ffffffff', 'hex')]],
    ['bytes after its end', [start, end, end]],
    ['no size', [start.subarray(0, -9), end]],
  ])('with %s is WRONG_ANSWER', async (_, parts) => {
    await expect(parsed(Buffer.concat(parts))).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
  });

  test.each<[string, DiffHead]>([
    ['another snapshot', { ...HEAD, to: 'other' }],
    ['another older snapshot', { ...HEAD, from: 'other' }],
    ['no older snapshot', { to: 'newer', size: SIZE }],
    ['another size', { ...HEAD, size: SIZE + 512 }],
  ])('when one of %s was asked for is WRONG_ANSWER', async (_, head) => {
    await expect(parsed(await written(HEAD, []), head)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
  });

  test('is closed when its reader leaves', async () => {
    let isClosed = false;
    const whole = await written(HEAD, runsOf([{ gap: 0, length: 9, fill: 1 }]));
    async function* bytes(): AsyncGenerator<Uint8Array> {
      try {
        yield whole;
      } finally {
        isClosed = true;
      }
    }
    for await (const { offset } of parseDiff(bytes(), HEAD)) {
      expect(offset).toBe(0);
      break;
    }
    expect(isClosed).toBe(true);
  });
});
