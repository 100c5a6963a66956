import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type {
  ExternalCopies,
  ExternalSource,
  Proof,
  SnapshotCopy,
  StorageArray,
} from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import {
  type CinderBackupsOptions,
  cinderBackup,
  cinderBackups,
} from '../../src/strategies/cinder-backup.ts';
import { collect } from '../../src/testing/storage-array/helpers.ts';
import { CinderService } from './cinder-service.ts';
import { request } from './requests.ts';

const call = { signal: new AbortController().signal, progress: (): void => undefined };
const reading = { ...call, token: 'faf-reading' };
const volume = { array: 'cinder', id: randomUUID(), size: 2 ** 30 };
const verified = { level: 'deep', sample: 1 } as const;

describe('the strategy cinderBackup', () => {
  const strategy = cinderBackup({ store: 'backups', array: 'left' });

  it('wants a backup that was compared before the snapshot goes', () => {
    expect(strategy.plan(request(true, { keep: 2 }))).toEqual({
      required: ['array', 'external'],
      background: [],
      store: 'backups',
      proof: 'source-compared',
      keep: 2,
    });
  });

  it('keeps all snapshots where backups are proven later', () => {
    const later = cinderBackup({ store: 'backups', array: 'left', proof: 'later' });
    expect(later.plan(request(true))).toMatchObject({ proof: 'stored', keep: 'all' });
  });

  it('leaves other arrays, and archives, to others', () => {
    expect(strategy.canHandle(request(true)).canHandle).toBe(true);
    expect(strategy.canHandle(request(true, { archive: true })).canHandle).toBe(false);
    expect(cinderBackup({ store: 'backups', array: 'right' }).canHandle(request(true))).toEqual({
      canHandle: false,
      reason: 'array left is not right, which Cinder backs up',
    });
  });
});

describe('the store cinderBackups', () => {
  let minute = 0;
  const world = (
    more: Partial<CinderBackupsOptions> = {},
  ): { cinder: CinderService; store: ExternalCopies } => {
    const cinder = new CinderService();
    const { client, array } = cinder;
    return { cinder, store: cinderBackups({ name: 'backups', client, array, volumeType: 'fast', ...more }) };
  };
  const sourceOf = (
    cinder: CinderService,
    text: string,
    proof: Proof = 'source-compared',
  ): ExternalSource => {
    const id = randomUUID();
    const bytes = Buffer.from(text);
    cinder.snapshots.set(id, bytes);
    minute += 1;
    // Later than all that Cinder has by its own clock.
    const takenAt = new Date(Date.UTC(2027, 0, 1, 0, minute)).toISOString();
    return {
      volume,
      snapshot: { name: 'snapshot', volume, takenAt, reference: { id, path: 'files' } },
      proof,
      open: async () => ({
        access: 'random',
        size: bytes.length,
        async *extents() {
          yield { offset: 0, length: bytes.length, kind: 'data' };
        },
        readInto: async (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
        close: async () => undefined,
        [Symbol.asyncDispose]: async () => undefined,
      }),
    };
  };
  const isIncremental = ({ backups }: CinderService): readonly unknown[] =>
    [...backups.values()].map(({ incremental }) => incremental);

  it('finds out a backup that is called available and holds something else, and removes it', async () => {
    const { cinder, store } = world();
    cinder.spoil = () => Buffer.from('QFI\u00fb');
    const refused = store.create(sourceOf(cinder, 'good'), 'faf-one', call);
    await expect(refused).rejects.toMatchObject({ code: 'NOT_PROVEN', retryable: false });
    expect([cinder.backups.size, cinder.volumes.size]).toEqual([0, 0]);
  });

  it('calls no copy what the array does not take for a volume', async () => {
    const { cinder } = world();
    const openForWrite = (): Promise<never> =>
      Promise.reject(new FafnirError('UNSUPPORTED', 'volume x is an overlay'));
    const array = { ...cinder.array, target: { ...cinder.array.target, openForWrite } } as StorageArray;
    const store = cinderBackups({ name: 'backups', client: cinder.client, array, volumeType: 'fast' });
    await expect(store.create(sourceOf(cinder, 'a'), 'faf-a', call)).rejects.toMatchObject({
      code: 'NOT_PROVEN',
      message: expect.stringContaining('restores no volume: volume x is an overlay'),
    });
    expect([cinder.backups.size, cinder.volumes.size]).toEqual([0, 0]);
  });

  it('finds out later what was not compared at once, and writes none of it', async () => {
    const { cinder, store } = world();
    const copy = await store.create(sourceOf(cinder, 'good', 'stored'), 'faf-one', call);
    expect(copy.proof).toBe('stored');
    await expect(store.open({ ...copy, reference: {} }, call)).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(await store.verify(copy, verified, reading)).toMatchObject({ proof: 'source-compared' });
    expect(await store.verify(copy, { ...verified, sample: 0.5 }, reading)).toMatchObject({
      proof: 'stored',
    });
    cinder.spoil = () => Buffer.from('evil');
    await expect(store.verify(copy, verified, reading)).rejects.toMatchObject({ code: 'CORRUPT' });
    cinder.volumes.set(volume.id, { name: 'target', bytes: Buffer.from('free') });
    const target = await cinder.array.target?.openForWrite(volume, call);
    if (target === undefined) expect.fail();
    await expect(store.restoreInto(copy, target, reading)).rejects.toMatchObject({ code: 'CORRUPT' });
    expect([...cinder.volumes.values()]).toMatchObject([{ bytes: Buffer.from('free') }]);
  });

  it('ends chains, and builds on nothing that was given up', async () => {
    const { cinder, store } = world({ chain: 2 });
    const copies: SnapshotCopy[] = [];
    for (const name of ['a', 'b', 'c', 'd'])
      copies.push(await store.create(sourceOf(cinder, name), `faf-${name}`, call));
    expect(isIncremental(cinder)).toEqual([false, true, false, true]);
    for (const copy of copies.slice(2)) await store.remove(copy, call);
    await store.create(sourceOf(cinder, 'e'), 'faf-e', call);
    expect(isIncremental(cinder)).toEqual([false, true, false]);
  });

  it('keeps a backup that others are built on until the last of them goes', async () => {
    const { cinder, store } = world();
    const copies: SnapshotCopy[] = [];
    for (const name of ['a', 'b', 'c'])
      copies.push(await store.create(sourceOf(cinder, name), `faf-${name}`, call));
    const [a, b, c] = copies;
    if (a === undefined || b === undefined || c === undefined) expect.fail();
    await store.remove(b, call);
    await store.remove(a, call);
    await store.remove(a, call);
    expect(cinder.backups.size).toBe(3);
    await store.remove(c, call);
    expect(cinder.backups.size).toBe(0);
  });

  it('makes a full one where what an incremental one is built on is bad', async () => {
    const { cinder, store } = world();
    await store.create(sourceOf(cinder, 'a'), 'faf-a', call);
    cinder.spoil = ({ parent }, bytes) => (parent === null ? bytes : Buffer.from('!'));
    const copy = await store.create(sourceOf(cinder, 'b'), 'faf-b', call);
    expect(copy.proof).toBe('source-compared');
    expect(isIncremental(cinder)).toEqual([false, false]);
  });

  it('finds what a dead caller made, and what it left beside it', async () => {
    const { cinder, store } = world();
    const source = sourceOf(cinder, 'a');
    const first = await store.create(source, 'faf-a', call);
    cinder.volumes.set('left', { name: 'faf-a-restored', bytes: Buffer.alloc(1) });
    expect(await store.create(source, 'faf-a', call)).toEqual(first);
    expect([cinder.backups.size, cinder.volumes.size]).toEqual([1, 0]);
    const other = store.create(sourceOf(cinder, 'b'), 'faf-a', call);
    await expect(other).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(await store.removeMade('faf-a', call)).toHaveLength(1);
    expect(await store.removeMade('faf-a', call)).toEqual([]);
  });

  it('shows and removes what a dead caller was reading, and what another reads it leaves alone', async () => {
    const { cinder, store } = world();
    const copy = await store.create(sourceOf(cinder, 'good'), 'faf-a', call);
    const left = (name: string): void =>
      void cinder.volumes.set(`left-${name}`, { name: `${name}-restored`, bytes: Buffer.alloc(1) });
    const listed = () => collect(store.list('faf-', call));
    for (const name of ['faf-a', 'faf-reading', 'faf-other']) left(name);
    // What is read without a name goes with the copy, which must not be taken for nobody's.
    expect(await listed()).toEqual([
      { token: 'faf-a', volume: volume.id },
      { token: 'faf-reading', volume: 'left-faf-reading' },
      { token: 'faf-other', volume: 'left-faf-other' },
    ]);
    await store.verify(copy, verified, reading);
    expect([...cinder.volumes.keys()]).toEqual(['left-faf-a', 'left-faf-other']);
    left('faf-reading');
    expect(await store.removeMade('faf-reading', call)).toEqual([
      'volume left-faf-reading, which a backup was restored to,',
    ]);
    expect(await listed()).toHaveLength(2);
    await store.remove(copy, call);
    expect([...cinder.volumes.keys()]).toEqual(['left-faf-other']);
  });

  it('leaves alone what others made under such a name', async () => {
    const { cinder, store } = world();
    const copy = await store.create(sourceOf(cinder, 'a'), 'faf-a', call);
    const [mine] = cinder.backups.values();
    if (mine === undefined) expect.fail();
    cinder.backups.set('theirs', { ...mine, id: 'theirs', metadata: {} });
    await store.remove(copy, call);
    expect([...cinder.backups.keys()]).toEqual(['theirs']);
  });

  it('keeps the records of a whole chain, the oldest first', async () => {
    const { cinder, store } = world();
    const { array } = cinder;
    const options = { name: 'backups', client: cinder.client, array, volumeType: 'fast' };
    const exporting = cinderBackups({ ...options, administrator: cinder.client });
    const first = await store.create(sourceOf(cinder, 'a'), 'faf-a', call);
    const second = await exporting.create(sourceOf(cinder, 'b'), 'faf-b', call);
    expect(first.reference.records).toBeUndefined();
    const ids = [first.reference.id, second.reference.id];
    expect(second.reference.records).toMatchObject(ids.map((id) => ({ id, service: 'swift' })));
  });

  it('takes snapshots of its array alone', async () => {
    const { cinder, store } = world();
    const source = sourceOf(cinder, 'a');
    const other = { ...source.snapshot, volume: { ...volume, array: 'other' } };
    const refused = { code: 'UNSUPPORTED' };
    await expect(store.create({ ...source, snapshot: other }, 'faf-a', call)).rejects.toMatchObject(refused);
    const odd = { ...source.snapshot, reference: {} };
    await expect(store.create({ ...source, snapshot: odd }, 'faf-a', call)).rejects.toMatchObject(refused);
  });

  it.each([
    ['no name', { name: '' }],
    ['no chain', { chain: 0 }],
    ['a timeout that a timer cannot hold', { timeout: 2 ** 31 }],
  ])('refuses %s', (_, wrong) => {
    expect(() => world(wrong)).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
  });
});
