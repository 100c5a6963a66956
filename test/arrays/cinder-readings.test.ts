import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CinderPath, cinderArray } from '../../src/arrays/cinder.ts';
import type { ArraySnapshot, CallOptions, StorageArray } from '../../src/core/contracts/index.ts';
import { SmallCinder } from './small-cinder.ts';

const call: CallOptions = { signal: new AbortController().signal };
const KINDS = ['attached', 'image', 'backup'] as const;
type Kind = (typeof KINDS)[number];

let folder: string;
let cloud: SmallCinder;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fafnir-readings-'));
  cloud = new SmallCinder(folder);
});
afterEach(() => rm(folder, { recursive: true }));

/** An array of a process of its own. */
const arrayBy = (paths: readonly CinderPath[]): StorageArray =>
  cinderArray({ name: 'cinder', client: cloud.client, volumeType: 'fast', paths });
const pathOf = (kind: Kind): CinderPath =>
  kind === 'attached' ? { kind, connector: { host: 'mover' } } : { kind };
const by = (kind: Kind): StorageArray => arrayBy([pathOf(kind)]);
const idOf = ({ reference }: ArraySnapshot): string => String(reference.id);

/** What is there to be read by a name. */
const madeFor = (kind: Kind, reader: string): readonly string[] =>
  ({
    attached: ['attachments/unnamed', `volumes/fafnir-temporary-${reader}`],
    image: [`images/fafnir-${reader}`],
    backup: [`backups/fafnir-${reader}`, `containers/fafnir-${reader}`],
  })[kind];

const ID = '[0-9a-f-]{36}';
const TOLD: Readonly<Record<Kind, readonly string[]>> = {
  attached: [`volume ${ID}`],
  image: [`image ${ID}`],
  backup: [`backup ${ID}`, 'container fafnir-by-reader-1'],
};
const toldOf = (kind: Kind) => TOLD[kind].map((one) => expect.stringMatching(new RegExp(`^${one}$`)));

describe.each(KINDS)('by the path %s', (kind) => {
  test('what a reader has made is named by his token, beside that of others, and goes by it', async () => {
    const taken = cloud.snapshot();
    const before = cloud.left();
    const unnamed = await by(kind).open(taken, {}, call);
    const named = await by(kind).open(taken, { token: 'reader-1' }, call);
    const other = await by(kind).open(taken, { token: 'reader-10' }, call);
    const readers = [idOf(taken), 'by-reader-1', 'by-reader-10'];
    const made = (of: readonly string[]) =>
      [...before, ...of.flatMap((reader) => madeFor(kind, reader))].toSorted();
    expect(cloud.left()).toEqual(made(readers));
    expect(await by(kind).endReading?.('reader-1', call)).toEqual(toldOf(kind));
    expect(await by(kind).endReading?.('reader-1', call)).toEqual([]);
    expect(cloud.left()).toEqual(made([idOf(taken), 'by-reader-10']));
    for (const source of [named, unnamed, other]) await source.close();
    expect(cloud.left()).toEqual(before);
  });

  test('a process that ends its own reading reads anew, and closes both', async () => {
    const [taken, array] = [cloud.snapshot(), by(kind)];
    const before = cloud.left();
    const first = await array.open(taken, { token: 'reader-1' }, call);
    expect(await array.endReading?.('reader-1', call)).toEqual(toldOf(kind));
    expect(cloud.left()).toEqual(before);
    const again = await array.open(taken, { token: 'reader-1' }, call);
    expect(cloud.left()).toEqual([...before, ...madeFor(kind, 'by-reader-1')].toSorted());
    await first.close();
    expect(cloud.left()).toEqual([...before, ...madeFor(kind, 'by-reader-1')].toSorted());
    await again.close();
    expect(cloud.left()).toEqual(before);
  });

  test('a bad token is INVALID_ID, and nothing is sent', async () => {
    const [taken, array] = [cloud.snapshot(), by(kind)];
    for (const token of ['', 'Reader', 'a/b', '../a', 'a b', 'a\n', 'a'.repeat(65)]) {
      await expect(array.open(taken, { token }, call)).rejects.toMatchObject({ code: 'INVALID_ID' });
      await expect(array.endReading?.(token, call)).rejects.toMatchObject({ code: 'INVALID_ID' });
    }
    expect(cloud.requests).toBe(0);
  });
});

test('an array ends what dead processes were reading by any of its paths', async () => {
  const taken = cloud.snapshot();
  const before = cloud.left();
  for (const kind of ['image', 'backup', 'attached'] as const) {
    await by(kind).open(taken, { token: 'reader-1' }, call);
  }
  const array = arrayBy(KINDS.map(pathOf));
  expect(await array.endReading?.('reader-1', call)).toEqual(KINDS.flatMap(toldOf));
  expect(cloud.left()).toEqual(before);
});

test('only arrays that make something to read have readings to end', async () => {
  const [rbd, files] = [{ kind: 'rbd', pool: 'volumes' } as const, { kind: 'files', folder } as const];
  expect(arrayBy([rbd, files]).endReading).toBeUndefined();
  for (const kind of KINDS) expect(arrayBy([files, pathOf(kind)]).endReading).toBeDefined();
  const opening = arrayBy([files]).open(cloud.snapshot(), { token: 'A' }, call);
  await expect(opening).rejects.toMatchObject({ code: 'INVALID_ID' });
});

test('a snapshot takes along the volumes that it is read by, and nothing else that is marked so', async () => {
  const [taken, other] = [cloud.snapshot(), cloud.snapshot()];
  await by('attached').open(other, {}, call);
  for (const reader of [idOf(other), 'by-', 'mine']) {
    cloud.volume('mine', { 'fafnir-snapshot': idOf(taken), 'fafnir-temporary': reader });
  }
  cloud.volume('mine', { 'fafnir-snapshot': idOf(taken) });
  const before = cloud.left();
  const array = by('attached');
  for (const token of ['reader-1', 'reader-2']) await by('attached').open(taken, { token }, call);
  await by('attached').open(taken, {}, call);
  const own = await array.open(taken, { token: 'reader-3' }, call);
  expect(cloud.metadataOf('fafnir-temporary-by-reader-1')).toMatchObject({
    'fafnir-temporary': 'by-reader-1',
    'fafnir-snapshot': idOf(taken),
  });
  await array.remove(taken, call);
  await own.close();
  const rest = [...before];
  rest.splice(rest.indexOf('snapshots/snap'), 1);
  expect(cloud.left()).toEqual(rest);
});

test('a volume of almost the name is not taken for what a reader made, whatever its metadata says', async () => {
  cloud.volume('Fafnir-temporary-by-reader-1', { 'fafnir-temporary': 'by-reader-1' });
  const before = cloud.left();
  expect(await by('attached').endReading?.('reader-1', call)).toEqual([]);
  expect(cloud.left()).toEqual(before);
});
