import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { inlineThreads } from '../../../../src/core/archive/threads/inline.ts';
import { ThreadPool } from '../../../../src/core/archive/threads/pool.ts';
import type { Threads } from '../../../../src/core/archive/threads/threads.ts';
import { CHUNK_SIZE } from '../../../../src/core/archive/volume/geometry.ts';
import { writeArchive } from '../../../../src/core/archive/volume/write-archive.ts';
import type { Extent, ThreadSource, VolumeSource } from '../../../../src/core/contracts/index.ts';
import { countingCall, patterned, sourceOf, targetOf } from '../volumes.ts';
import { vaultOf } from '../vaults.ts';
import { openArchive } from './archives.ts';

const SIZE = 11 * CHUNK_SIZE + 100;
const MODULE = new URL('./fixtures/reader.ts', import.meta.url).href;
const BYTES = patterned(SIZE, 7);
// A chunk that only holds zeros, and one of which only a part does.
const MAP: readonly Extent[] = [
  { offset: 0, length: 2 * CHUNK_SIZE, kind: 'data' },
  { offset: 2 * CHUNK_SIZE, length: CHUNK_SIZE + 1_000, kind: 'zero' },
  { offset: 3 * CHUNK_SIZE + 1_000, length: SIZE - 3 * CHUNK_SIZE - 1_000, kind: 'data' },
];
const HELD = Uint8Array.from(BYTES).fill(0, 2 * CHUNK_SIZE, 3 * CHUNK_SIZE + 1_000);

const pool = new ThreadPool({ workers: 2 });
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fafnir-thread-'));
  path = join(folder, 'volume.raw');
  await writeFile(path, HELD);
});
afterEach(() => rm(folder, { recursive: true }));
afterAll(() => pool.close());

/** A source that the host's thread must not read, unless it has the bytes. */
const sourceWith = (threadSource: ThreadSource, hostReads = false): VolumeSource => {
  const source = sourceOf(HELD, MAP, { threadSource });
  if (hostReads) return source;
  return { ...source, readInto: () => Promise.reject(new Error('the host has read')) };
};

async function archived(source: VolumeSource, threads: Threads, signal?: AbortSignal): Promise<Uint8Array> {
  const vault = vaultOf(memoryBank({ name: 'bank' }));
  const call = countingCall(signal);
  const manifest = await writeArchive({ vault, token: 'volume', source, threads }, call);
  expect(call.bytes()).toBe(SIZE);
  await using reader = await openArchive(vault, manifest);
  const restored = new Uint8Array(SIZE);
  await reader.restoreInto(targetOf(restored, true), countingCall());
  return restored;
}

describe('a source that threads can read', () => {
  it('is read by them where it is a file', async () => {
    expect(await archived(sourceWith({ kind: 'file', path }), pool)).toEqual(HELD);
  });

  it('is read by them where a module reads it', async () => {
    const one = sourceWith({ kind: 'module', url: MODULE, options: { path, hangs: false } });
    const turned = HELD.map((byte) => 255 - byte).fill(0, 2 * CHUNK_SIZE, 3 * CHUNK_SIZE);
    expect(await archived(one, pool)).toEqual(turned);
  });

  it('is read by the host where there are no threads', async () => {
    expect(await archived(sourceWith({ kind: 'file', path: 'nowhere' }, true), inlineThreads())).toEqual(
      HELD,
    );
  });

  it('fails the archive where it is not there, or ends early', async () => {
    const missing = sourceWith({ kind: 'file', path: join(folder, 'other') });
    await expect(archived(missing, pool)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await truncate(path, SIZE - 1);
    const short = sourceWith({ kind: 'file', path });
    await expect(archived(short, pool)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('fails the archive where its module has no reader', async () => {
    const url = new URL('../volumes.ts', import.meta.url).href;
    const one = sourceWith({ kind: 'module', url, options: {} });
    await expect(archived(one, pool)).rejects.toMatchObject({ code: 'PLUGIN_FAILED' });
  });

  it('keeps nobody who stops waiting for it', async () => {
    const stop = new AbortController();
    const hanging = sourceWith({ kind: 'module', url: MODULE, options: { path, hangs: true } });
    const ended = expect(archived(hanging, pool, stop.signal)).rejects.toThrow('enough');
    await delay(50);
    stop.abort(new Error('enough'));
    await ended;
    expect(await archived(sourceWith({ kind: 'file', path }), pool)).toEqual(HELD);
  });
});
