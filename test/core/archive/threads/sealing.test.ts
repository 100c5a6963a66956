import { createHmac, randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { PackHeader } from '../../../../src/core/archive/pack.ts';
import type { SealedPack } from '../../../../src/core/archive/pack-builder.ts';
import { inlineThreads } from '../../../../src/core/archive/threads/inline.ts';
import { ThreadPool } from '../../../../src/core/archive/threads/pool.ts';
import type { SealingOptions } from '../../../../src/core/archive/threads/sealing-lane.ts';
import type { Threads } from '../../../../src/core/archive/threads/threads.ts';
import { ChunkTable } from '../../../../src/core/archive/volume/chunk-table.ts';
import { newDataKey } from '../data-keys.ts';

const CHUNK = 256 * 1024;
const ID_KEY = randomBytes(32);
const pool = new ThreadPool({ workers: 2 });

afterAll(() => pool.close());

const optionsOf = (capacity = 100): SealingOptions => ({
  key: newDataKey(),
  idKey: ID_KEY,
  known: new ChunkTable({ capacity }).shared,
  packBytes: 1024 * 1024,
});

const stripeOf = (chunks: readonly Uint8Array[]) => ({
  buffer: new Uint8Array(Buffer.concat(chunks)).buffer,
  lengths: Uint32Array.from(chunks.map(({ length }) => length)),
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const idOf = (chunk: Uint8Array): string => createHmac('sha256', ID_KEY).update(chunk).digest('hex');
const idsIn = ({ entries }: SealedPack): string[] =>
  Array.from(new PackHeader(entries).chunks(), ({ id }) => hex(id));
const idsOf = (ids: Uint8Array): string[] => hex(ids).match(/.{64}/g) ?? [];

describe.each<[string, () => Threads]>([
  ['on the host thread', inlineThreads],
  ['on threads', () => pool],
])('sealing %s', (_where, threadsOf) => {
  it('names every chunk, and packs each once', async () => {
    const chunks = Array.from({ length: 4 }, () => randomBytes(CHUNK));
    const zeros = new Uint8Array(CHUNK);
    const [one = zeros, two = zeros, three = zeros, short = zeros] = chunks;
    const lane = threadsOf().sealing(optionsOf());
    const first = await lane.seal(stripeOf([one, zeros, two, one]));
    expect(idsOf(first.ids)).toEqual([idOf(one), '0'.repeat(64), idOf(two), idOf(one)]);
    expect([...first.numbers]).toEqual([-1, -1, -1, 0]);
    const second = await lane.seal(stripeOf([two, three, short.subarray(0, 100)]));
    expect([...second.numbers]).toEqual([1, -1, -1]);
    const last = await lane.finish();
    const packed = [...first.packs, ...second.packs, ...(last === undefined ? [] : [last])].flatMap(idsIn);
    expect(packed).toEqual([idOf(one), idOf(two), idOf(three), idOf(short.subarray(0, 100))]);
    lane.close();
  });

  it('gives back a pack as soon as it is full, and buffers with it', async () => {
    const lane = threadsOf().sealing(optionsOf());
    const chunks = Array.from({ length: 5 }, () => randomBytes(CHUNK));
    const { packs, buffer } = await lane.seal(stripeOf(chunks));
    expect(buffer?.byteLength).toBe(5 * CHUNK);
    expect(packs).toHaveLength(1);
    const [full] = packs;
    expect(full && idsIn(full)).toEqual(chunks.slice(0, 3).map(idOf));
    const again = await lane.seal(
      stripeOf(Array.from({ length: 4 }, () => randomBytes(CHUNK))),
      full?.body.buffer,
    );
    expect(again.packs.map((pack) => idsIn(pack).length)).toEqual([3]);
    lane.close();
  });

  it('shares what is known between lanes', async () => {
    const options = optionsOf();
    const lanes = [threadsOf().sealing(options), threadsOf().sealing(options)];
    const chunk = randomBytes(CHUNK);
    const numbers: number[] = [];
    for (const lane of lanes) numbers.push(...(await lane.seal(stripeOf([chunk]))).numbers);
    expect(numbers).toEqual([-1, 0]);
    for (const lane of lanes) lane.close();
  });
});

describe('a pool of threads', () => {
  it('says that a thread ended, and starts another', async () => {
    let started = 0;
    const fragile = new ThreadPool({
      workers: 1,
      createWorker: () => {
        started += 1;
        if (started > 1) return new Worker(new URL('../../../../src/worker.ts', import.meta.url));
        return new Worker('process.exit(0)', { eval: true });
      },
    });
    const chunk = randomBytes(CHUNK);
    const doomed = fragile.sealing(optionsOf()).seal(stripeOf([chunk]));
    await expect(doomed).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    const { numbers } = await fragile.sealing(optionsOf()).seal(stripeOf([chunk]));
    expect([...numbers]).toEqual([-1]);
    expect(started).toBe(2);
    await fragile.close();
  });

  it('refuses work when it is closed, and ends what is under way', async () => {
    const closed = new ThreadPool({ workers: 1 });
    const lane = closed.sealing(optionsOf());
    const underWay = lane.seal(stripeOf(Array.from({ length: 16 }, () => randomBytes(CHUNK))));
    const refused = expect(underWay).rejects.toMatchObject({ code: 'CLOSED' });
    await closed.close();
    await refused;
    expect(() => closed.sealing(optionsOf())).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });

  it('starts no more threads than it may, and none without work', async () => {
    let started = 0;
    const counted = new ThreadPool({
      workers: 2,
      createWorker: () => {
        started += 1;
        return new Worker(new URL('../../../../src/worker.ts', import.meta.url));
      },
    });
    expect(started).toBe(0);
    const lanes = Array.from({ length: 4 }, () => counted.sealing(optionsOf()));
    await Promise.all(lanes.map((lane) => lane.seal(stripeOf([randomBytes(CHUNK)]))));
    expect(started).toBe(2);
    await counted.close();
  });
});
