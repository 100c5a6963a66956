import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkedArray } from '../../../../src/core/operations/checked/array.ts';
import type {
  ArraySnapshot,
  Block,
  Extent,
  SequentialSource,
  StorageArray,
  VolumeRef,
  VolumeSource,
} from '../../../../src/index.ts';
import { FafnirError } from '../../../../src/index.ts';
import { storageArraySuite } from '../../../../src/testing/storage-array-suite.ts';
import { runSuite } from '../../../../src/testing/suite.ts';
import { memoryArray } from '../../../testing/broken-arrays.ts';
import { all, failure } from '../../engine/world.ts';

const call = { signal: new AbortController().signal };
const SIZE = 8_192;
const NAME = 'faf-1';

/** A sound array with two volumes, some of whose methods answer otherwise. */
async function arrayWith(change: (array: StorageArray) => Partial<StorageArray>) {
  const { array, createVolume } = memoryArray();
  const volumes = [await createVolume(SIZE), await createVolume(SIZE)];
  const [volume = expect.fail()] = volumes;
  return { array: checkedArray({ ...array, ...change(array) }), volume, volumes };
}

const refused = async (work: () => unknown, words: RegExp): Promise<void> => {
  const error = await failure(work);
  expect(error).toMatchObject({ code: 'WRONG_ANSWER', retryable: false });
  expect(error.message).toMatch(/array memory/);
  expect(error.message).toMatch(words);
};

describe('a checked array', () => {
  it('is as good as the array, where that is sound', async () => {
    const create = async () => {
      const fixture = memoryArray();
      return { ...fixture, array: checkedArray(fixture.array) };
    };
    const { failed, passed } = await runSuite(await storageArraySuite({ name: 'checked', create }));
    expect(failed).toEqual([]);
    expect(passed.length).toBeGreaterThan(18);
  });

  it.each<[string, object, RegExp]>([
    ['no call at once', { concurrency: 0 }, /concurrency/],
    ['one and a half calls', { concurrency: 1.5 }, /concurrency/],
    ['no number of calls', { concurrency: Number.NaN }, /concurrency/],
    ['short names', { nameLength: 12 }, /nameLength/],
    ['an unknown change base', { changeBase: 'guess' }, /changeBase/],
    ['a text for a truth', { group: 'yes' }, /group/],
  ])('that tells of %s is refused', async (_, wrong, words) => {
    const { array } = await arrayWith((sound) => ({
      capabilities: async () => ({ ...(await sound.capabilities(call)), ...wrong }),
    }));
    await refused(() => array.capabilities(call), words);
  });

  const changed =
    (change: (snapshot: ArraySnapshot, at: number) => object) =>
    (sound: StorageArray): Partial<StorageArray> => ({
      snapshot: async (...of) => (await sound.snapshot(...of)).map(change) as ArraySnapshot[],
      find: async (...of) => (await sound.find(...of)).map(change) as ArraySnapshot[],
    });

  it.each<[string, (array: StorageArray) => Partial<StorageArray>, RegExp]>([
    ['no list', () => ({ snapshot: async () => null as never }), /its snapshots faf-1/],
    [
      'fewer',
      (of) => ({ snapshot: async (...a) => (await of.snapshot(...a)).slice(1) }),
      /1 snapshots where 2/,
    ],
    [
      'another order',
      (of) => ({ snapshot: async (...a) => (await of.snapshot(...a)).toReversed() }),
      /stands for/,
    ],
    ['one twice', changed((one) => ({ ...one, volume: { ...one.volume, id: 'x' } })), /of x twice/],
    ['another name', changed((one) => ({ ...one, name: 'faf-2' })), /asked for faf-1, it tells of faf-2/],
    ['another array', changed((one) => ({ ...one, volume: { ...one.volume, array: 'x' } })), /on array x/],
    ['another size', changed((one) => ({ ...one, volume: { ...one.volume, size: 1 } })), /1 bytes/],
    ['a broken size', changed((one) => ({ ...one, volume: { ...one.volume, size: 0.5 } })), /size/],
    [
      'two instants',
      changed((one, at) => ({ ...one, takenAt: new Date(at).toISOString() })),
      /one group is of/,
    ],
    ['no instant', changed((one) => ({ ...one, takenAt: 'yesterday' })), /takenAt/],
    ['a large reference', changed((one) => ({ ...one, reference: { a: 'x'.repeat(5_000) } })), /reference/],
    ['a reference that is no JSON', changed((one) => ({ ...one, reference: new Date() })), /reference/],
    [
      'a getter that throws',
      changed((one) => ({
        ...one,
        get name() {
          throw new Error('no');
        },
      })),
      /cannot be read/,
    ],
  ])('that answers a snapshot with %s is refused', async (_, change, words) => {
    const { array, volumes } = await arrayWith(change);
    await refused(() => array.snapshot(volumes, NAME, call), words);
  });

  describe('whose volumes are put into groups', () => {
    const grouped = (change: (array: StorageArray) => Partial<StorageArray>) => {
      const { array, createVolume } = memoryArray({ groups: 'unheeded' });
      return { array: checkedArray({ ...array, ...change(array) }), createVolume };
    };
    const asGroup = { ...call, group: true };

    it('has one instant where it was asked for, and is not held to it otherwise', async () => {
      const { array, createVolume } = grouped(
        changed((one, at) => ({ ...one, takenAt: new Date(at).toISOString() })),
      );
      const volumes = [await createVolume(SIZE), await createVolume(SIZE)];
      await refused(() => array.snapshot(volumes, NAME, asGroup), /one group is of/);
      expect(await array.snapshot(volumes, NAME, call)).toHaveLength(2);
    });

    it('must answer whether they are with a truth', async () => {
      const { array } = grouped(() => ({ isGroup: async () => 'yes' as never }));
      await refused(() => array.isGroup?.([], call), /whether volumes are a group/);
    });

    it('is not asked for what it has no role for', async () => {
      const { array, volumes } = await arrayWith((sound) => ({
        capabilities: async () => ({ ...(await sound.capabilities(call)), group: false }),
      }));
      expect(array.isGroup).toBeUndefined();
      const error = await failure(() => array.snapshot(volumes, NAME, asGroup));
      expect(error).toMatchObject({ code: 'UNSUPPORTED' });
      expect(await array.find(NAME, call)).toEqual([]);
    });
  });

  it('drops what the contract does not know', async () => {
    const { array, volume } = await arrayWith(
      changed((one) => ({ ...one, secret: 'x', volume: { ...one.volume, pool: 'y' } })),
    );
    const [taken] = await array.snapshot([volume], NAME, call);
    expect(Object.keys(taken ?? {}).sort()).toEqual(['name', 'reference', 'takenAt', 'volume']);
    expect(taken?.volume).toEqual(volume);
  });

  it('that lists out of order, or what was not asked for, is refused', async () => {
    const { array, volume } = await arrayWith((sound) => ({
      list: async function* () {
        yield* (await all(sound.list('', call))).toReversed();
      },
    }));
    for (const name of ['a-1', 'b-1']) await array.snapshot([volume], name, call);
    await refused(() => all(array.list('', call)), /lists a-1 after b-1/);
    await refused(() => all(array.list('a', call)), /a list of a has b-1/);
  });

  const source = (volume: VolumeRef, change: object): VolumeSource => ({
    access: 'random',
    size: volume.size,
    async *extents() {
      yield { offset: 0, length: volume.size, kind: 'data' };
    },
    readInto: async () => undefined,
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
    ...change,
  });

  it.each<[string, object, RegExp]>([
    ['another size', { size: 1 }, /8192 bytes opens with 1/],
    ['no access', { access: 'none' }, /access/],
    ['no way to read', { readInto: undefined }, /readInto/],
    ['a way to read that leads nowhere', { threadSource: { kind: 'file' } }, /threadSource/],
  ])('that opens a snapshot with %s is refused, and the snapshot closed', async (_, wrong, words) => {
    let closed = 0;
    const close = async (): Promise<void> => {
      closed += 1;
    };
    const { array, volume } = await arrayWith(() => ({
      open: async ({ volume }) => source(volume, { close, ...wrong }),
    }));
    const [taken = expect.fail()] = await array.snapshot([volume], NAME, call);
    await refused(() => array.open(taken, {}, call), words);
    expect(closed).toBe(1);
  });

  const HALF = SIZE / 2;
  const maps: [string, readonly unknown[], RegExp][] = [
    ['has a gap', [run(0, 1), run(2, SIZE - 2)], /wrong at byte 1 /],
    ['overlaps', [run(0, HALF), run(HALF - 1, HALF + 1)], /wrong at byte 4096/],
    ['ends early', [run(0, HALF)], /ends at byte 4096 of 8192/],
    ['goes on', [run(0, SIZE), run(SIZE, 1)], /wrong at byte 8192/],
    ['has an empty run', [run(0, 0), run(0, SIZE)], /wrong at byte 0/],
    ['has half a byte', [run(0, 0.5), run(0.5, SIZE - 0.5)], /wrong at byte 0/],
    ['has an unknown kind', [run(0, SIZE, 'old')], /byte 0 old/],
    ['calls unchanged what was compared with nothing', [run(0, SIZE, 'same')], /byte 0 same/],
    ['has something else', [null], /another form/],
  ];

  it.each(maps)('whose map %s is refused', async (_, extents, words) => {
    const { array, volume } = await arrayWith(() => ({
      open: async ({ volume }) => source(volume, { extents: () => iterate(extents) }),
    }));
    const [taken = expect.fail()] = await array.snapshot([volume], NAME, call);
    const opened = (await array.open(taken, {}, call)) as VolumeSource;
    await refused(() => all(opened.extents(call)), words);
  });

  it.each(maps)('whose stream %s is refused', async (_, extents, words) => {
    const blocks = (extents as (Extent | null)[]).map((one) =>
      one?.kind === 'data' ? { offset: one.offset, kind: 'data', data: bytesOf(one.length) } : one,
    );
    const { array, volume } = await arrayWith(() => ({
      open: async ({ volume }) =>
        source(volume, {
          access: 'sequential',
          blocks: () => iterate(blocks),
        }) as unknown as SequentialSource,
    }));
    const [taken = expect.fail()] = await array.snapshot([volume], NAME, call);
    const opened = (await array.open(taken, {}, call)) as SequentialSource;
    // A stream has whole bytes anyway.
    if (extents.some((one) => (one as Extent | null)?.length === 0.5)) return;
    await refused(() => all<Block>(opened.blocks(call)), words);
  });

  it('whatever is garbled, answers as the contract says or not at all', async () => {
    const { array: sound, createVolume } = memoryArray();
    const volumes = [await createVolume(SIZE), await createVolume(SIZE)];
    await sound.snapshot(volumes, NAME, call);
    const garbage = fc.oneof(
      fc.anything({ withDate: true, withMap: true, withTypedArray: true, withBigInt: true }),
      fc.constantFrom(-1, 2 ** 60, Number.NaN, 'files', '', null, undefined),
    );
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(), garbage, async (where, value) => {
        const array = checkedArray({
          ...sound,
          find: async () => garbled(await sound.find(NAME, call), where, value) as ArraySnapshot[],
        });
        let found: readonly ArraySnapshot[];
        try {
          found = await array.find(NAME, call);
        } catch (error) {
          expect(FafnirError.is(error, 'WRONG_ANSWER')).toBe(true);
          return;
        }
        answered += 1;
        for (const { name, volume, reference, takenAt } of found) {
          expect([name, volume.array]).toEqual([NAME, 'memory']);
          expect(Number.isSafeInteger(volume.size) && volume.size >= 0 && volume.id !== '').toBe(true);
          expect(Date.parse(takenAt)).not.toBeNaN();
          expect(JSON.stringify(reference).length).toBeLessThan(100_000);
        }
      }),
      { numRuns: 1_000 },
    );
    expect(answered).toBeLessThan(1_000);
  });
});

describe('a checked target', () => {
  const made = (change: object) => (): Partial<StorageArray> => ({
    target: {
      create: async ({ name, size }) => ({ array: 'memory', id: name, size, ...change }),
      openForWrite: async () => ({ size: 'large', close: async () => undefined }) as never,
      remove: async () => undefined,
    },
    clone: async ({ volume }, name) => ({ array: 'memory', id: name, size: volume.size, ...change }),
  });

  it.each<[object, RegExp]>([
    [{ array: 'x' }, /on array x/],
    [{ size: 2 * SIZE }, /of 8192 bytes has 16384/],
    [{ id: 7 }, /id/],
  ])('that makes %j is refused', async (change, words) => {
    const { array, volume } = await arrayWith(made(change));
    const { target = expect.fail(), clone = expect.fail() } = array;
    await refused(() => target.create({ name: NAME, size: SIZE }, call), words);
    const [taken = expect.fail()] = await array.snapshot([volume], NAME, call);
    await refused(() => clone(taken, NAME, call), words);
  });

  it('that opens something else is refused', async () => {
    const { array, volume } = await arrayWith(made({}));
    await refused(() => array.target?.openForWrite(volume, call), /opened for writing: size/);
  });
});

function run(offset: number, length: number, kind = 'data') {
  return { offset, length, kind };
}

const bytesOf = (length: number): Uint8Array => new Uint8Array(Math.max(0, Math.floor(length)));

async function* iterate(items: readonly unknown[]): AsyncGenerator<unknown> {
  yield* items;
}

/** A copy with one place in it changed, or all of it. */
function garbled(answer: unknown, where: number, value: unknown): unknown {
  const copy = { answer: structuredClone(answer) } as Record<string, unknown>;
  const places: [Record<string, unknown>, string][] = [];
  const visit = (holder: Record<string, unknown>): void => {
    for (const [name, member] of Object.entries(holder)) {
      places.push([holder, name]);
      if (typeof member === 'object' && member !== null) visit(member as Record<string, unknown>);
    }
  };
  visit(copy);
  const [holder = copy, name = 'answer'] = places[where % places.length] ?? [];
  holder[name] = value;
  return copy.answer;
}
