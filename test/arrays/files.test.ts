import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { createFilesArray } from '../../src/arrays/files/array.ts';
import { discardFolder } from '../../src/arrays/files/durable.ts';
import { cloneAtOneInstant } from '../../src/arrays/files/instant.ts';
import { createLayout } from '../../src/arrays/files/layout.ts';
import { openUnlinked } from '../../src/arrays/files/nameless.ts';
import { hostMapReaders, type MapReaders } from '../../src/arrays/files/powers.ts';
import { scanRuns } from '../../src/arrays/files/run-readers.ts';
import { createVolumes } from '../../src/arrays/files/volumes.ts';
import { filesArray } from '../../src/arrays/files.ts';
import type { ArraySnapshot, StorageArray, VolumeRef } from '../../src/core/contracts/index.ts';
import { collect, openSource } from '../../src/testing/storage-array/helpers.ts';
import { xfsLab } from '../lab/xfs/xfs.ts';

const MIB = 1024 * 1024;
const call = { signal: new AbortController().signal };
const lab = xfsLab();
const onXfs = lab.path ?? '';
const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function freshRoot(folder: string): Promise<string> {
  const root = await mkdtemp(join(folder, 'files-array-'));
  cleanUps.push(() => rm(root, { recursive: true, force: true }));
  return root;
}

async function setUp(folder: string, readers: MapReaders = hostMapReaders) {
  const root = await freshRoot(folder);
  const array = createFilesArray({ name: 'files', root }, readers);
  const volume = async (id: string, text = '', size = MIB): Promise<VolumeRef> => {
    await mkdir(join(root, 'volumes'), { recursive: true });
    await writeFile(join(root, 'volumes', `${id}.raw`), text);
    await truncate(join(root, 'volumes', `${id}.raw`), size);
    return { array: 'files', id, size };
  };
  return { root, array, volume };
}

async function textOf(array: StorageArray, snapshot: ArraySnapshot | undefined): Promise<string> {
  if (snapshot === undefined) return 'no snapshot';
  await using source = await openSource(array, snapshot);
  const into = new Uint8Array(16);
  await source.readInto(0, into, call);
  return Buffer.from(into).toString().replaceAll('\0', '');
}

async function extentsOf(array: StorageArray, snapshot: ArraySnapshot, since?: ArraySnapshot) {
  await using source = await openSource(array, snapshot, since === undefined ? {} : { since });
  const extents = [];
  for await (const extent of source.extents(call)) extents.push(extent);
  return extents;
}

async function takeOne(array: StorageArray, volume: VolumeRef, name: string): Promise<ArraySnapshot> {
  const [taken] = await array.snapshot([volume], name, call);
  if (taken === undefined) throw new Error('no snapshot was taken');
  return taken;
}

/** Runs a script beside the tests and resolves once it has said that it is at work. */
async function beside(script: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  cleanUps.push(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await once(child.stdout ?? child, 'data');
  return child;
}

describe('ids and links', () => {
  const unsafe = ['', '.', '..', '../up', 'a/b', '-first', '.hidden', 'a\0b', 'ä', 'a'.repeat(129)];

  test.each(unsafe)('%j is no volume id', async (id) => {
    const { array, root } = await setUp(tmpdir());
    const volume = { array: 'files', id, size: MIB };
    const refused = { code: 'INVALID_ID' };
    await expect(array.snapshot([volume], 'snap', call)).rejects.toMatchObject(refused);
    await expect(array.target?.create({ name: id, size: MIB }, call)).rejects.toMatchObject(refused);
    await expect(array.target?.openForWrite(volume, call)).rejects.toMatchObject(refused);
    await expect(array.target?.remove(volume, call)).rejects.toMatchObject(refused);
    const made = await readdir(root, { recursive: true });
    expect(made.filter((path) => path !== 'volumes' && path !== 'snapshots')).toEqual([]);
  });

  test.each(['', '..', '.hidden', 'a/b', 'A.partial', 'a\u0085b', '\ud800', 'ä'.repeat(124)])(
    '%j is no snapshot name, whoever gave it',
    async (name) => {
      const { array, volume } = await setUp(tmpdir());
      const one = await volume('one');
      await expect(array.snapshot([one], name, call)).rejects.toMatchObject({ code: 'INVALID_ID' });
      await expect(array.find(name, call)).rejects.toMatchObject({ code: 'INVALID_ID' });
    },
  );

  test.each(['Upper', 'a_b', 'ä', 'a'.repeat(129)])(
    '%j is no name that a snapshot is taken under, but may be that of others',
    async (name) => {
      const { array, volume } = await setUp(tmpdir());
      const one = await volume('one');
      await expect(array.snapshot([one], name, call)).rejects.toMatchObject({ code: 'INVALID_ID' });
      expect(await array.find(name, call)).toEqual([]);
    },
  );

  test('what is no folder among the snapshots is none of them', async () => {
    const { array, root, volume } = await setUp(tmpdir());
    const taken = await array.snapshot([await volume('one')], 'snap', call);
    await writeFile(join(root, 'snapshots', 'README.txt'), 'snapshots');
    await symlink(tmpdir(), join(root, 'snapshots', 'Elsewhere'));
    expect(await collect(array.list('', call))).toEqual(taken);
    await expect(array.find('Elsewhere', call)).rejects.toMatchObject({ code: 'INVALID_ID' });
  });

  test('no link is followed: not a file, not a folder', async () => {
    const { array, root, volume } = await setUp(tmpdir());
    const outside = await freshRoot(tmpdir());
    await writeFile(join(outside, 'secret.raw'), 'secret');
    await volume('one');
    await symlink(join(outside, 'secret.raw'), join(root, 'volumes', 'secret.raw'));
    const linked = { array: 'files', id: 'secret', size: 6 };
    const refused = { code: 'INVALID_ID' };
    await expect(array.snapshot([linked], 'snap', call)).rejects.toMatchObject(refused);
    await expect(array.target?.openForWrite(linked, call)).rejects.toMatchObject(refused);
    await rm(join(root, 'volumes'), { recursive: true });
    await symlink(outside, join(root, 'volumes'));
    await expect(array.snapshot([linked], 'snap', call)).rejects.toMatchObject(refused);
    await expect(array.target?.openForWrite(linked, call)).rejects.toMatchObject(refused);
    expect(await readdir(outside)).toEqual(['secret.raw']);
  });

  test('a volume or snapshot of another array is refused', async () => {
    const { array, volume } = await setUp(tmpdir());
    const taken = await takeOne(array, await volume('one'), 'snap');
    const foreign = { ...taken.volume, array: 'other' };
    const refused = { code: 'UNKNOWN_ARRAY' };
    await expect(array.snapshot([foreign], 'other', call)).rejects.toMatchObject(refused);
    await expect(array.open({ ...taken, volume: foreign }, {}, call)).rejects.toMatchObject(refused);
  });

  test('unknown options are refused with the valid ones', () => {
    const options = { name: 'files', root: '/', path: '/' };
    expect(() => filesArray(options)).toThrow(/unknown option path; the valid options are name, root/);
  });
});

describe('any file system', () => {
  test('the probe leaves nothing, and the array makes no missing root', async () => {
    const { array, root } = await setUp(tmpdir());
    await array.capabilities(call);
    expect(await readdir(root)).toEqual([]);
    const missing = filesArray({ name: 'files', root: join(root, 'missing') });
    await expect(missing.capabilities(call)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('without programs sources are scanned, and changes cannot be told', async () => {
    const { array, volume } = await setUp(tmpdir(), {});
    expect(await array.capabilities(call)).toMatchObject({ extents: 'scan', changeBase: 'none' });
    const taken = await takeOne(array, await volume('one', 'text', 3 * MIB + 5), 'snap');
    expect(await extentsOf(array, taken)).toEqual([
      { offset: 0, length: 65_536, kind: 'data' },
      { offset: 65_536, length: 3 * MIB + 5 - 65_536, kind: 'zero' },
    ]);
    await expect(array.open(taken, { since: taken }, call)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  test('a probe that is killed leaves nothing', async () => {
    const root = await freshRoot(tmpdir());
    const module = pathToFileURL(join(import.meta.dirname, '../../src/arrays/files/array.ts'));
    const child = await beside(`
      import { createFilesArray } from '${module}';
      const sharing = async function* () {
        console.log('at work');
        await new Promise((resolve) => setTimeout(resolve, 100_000));
      };
      const array = createFilesArray({ name: 'files', root: ${JSON.stringify(root)} }, { sharing });
      await array.capabilities({ signal: new AbortController().signal });
    `);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await readdir(root)).toEqual([]);
  });

  test("a file that loses its name at once is nobody else's, and the name is free whoever died with it", async () => {
    const root = await freshRoot(tmpdir());
    const path = join(root, '.probe');
    await writeFile(path, 'left');
    const opened = await Promise.all([1, 2, 3, 4].map(() => openUnlinked(path)));
    for (const file of opened) cleanUps.push(() => file.close());
    expect(await readdir(root)).toEqual([]);
    const facts = await Promise.all(opened.map((file) => file.stat()));
    expect(facts.map(({ size, nlink }) => [size, nlink])).toEqual(facts.map(() => [0, 0]));
    expect(new Set(facts.map(({ ino }) => ino)).size).toBe(opened.length);
  });

  test('a reader that calls data zero, or fails, is not used', async () => {
    for (const holes of [
      async function* failing() {
        yield* [];
        throw new Error('not supported here');
      },
      async function* lying(_: unknown, length: number) {
        yield { offset: 0, length, kind: 'zero' as const };
      },
    ]) {
      const { array } = await setUp(tmpdir(), { holes, sharing: holes });
      expect(await array.capabilities(call)).toMatchObject({ extents: 'scan', changeBase: 'none' });
    }
  });

  test('with qemu-img alone holes are known without reading', async (context) => {
    const { holes } = hostMapReaders;
    const { array, volume } = await setUp(tmpdir(), holes === undefined ? {} : { holes });
    const { extents, changeBase } = await array.capabilities(call);
    if (extents === 'scan') context.skip('qemu-img is not installed, or not answered by this file system');
    expect(changeBase).toBe('none');
    const taken = await takeOne(array, await volume('one', 'text', 3 * MIB + 5), 'snap');
    const [first, ...others] = await extentsOf(array, taken);
    expect(first?.kind).toBe('data');
    expect(others.map(({ kind }) => kind)).toEqual(['zero']);
  });

  test('snapshots and clones of sparse volumes are sparse', async () => {
    const { array, root, volume } = await setUp(tmpdir());
    const taken = await takeOne(array, await volume('one', 'text', 256 * MIB), 'snap');
    await array.clone?.(taken, 'two', call);
    for (const file of ['snapshots/snap/one.raw', 'volumes/two.raw']) {
      const { size, blocks } = await stat(join(root, file));
      expect(size).toBe(256 * MIB);
      expect(blocks * 512).toBeLessThan(MIB);
    }
  });

  test('a snapshot has the size of the instant; a repeat does not mind that the volume grew', async () => {
    const { array, root, volume } = await setUp(tmpdir());
    const one = await volume('one', 'text', MIB);
    await truncate(join(root, 'volumes', 'one.raw'), 2 * MIB);
    const taken = await takeOne(array, one, 'snap');
    expect(taken.volume.size).toBe(2 * MIB);
    await truncate(join(root, 'volumes', 'one.raw'), 3 * MIB);
    expect(await takeOne(array, { ...one, size: 3 * MIB }, 'snap')).toEqual(taken);
  });

  test('a copy that is aborted half way leaves nothing', async () => {
    const controller = new AbortController();
    const reason = new Error('no longer wanted');
    const holes: typeof scanRuns = async function* abort(file, size, options) {
      for await (const run of scanRuns(file, size, options)) {
        yield run;
        if (size > MIB && run.offset > MIB) controller.abort(reason);
      }
    };
    const { array, root, volume } = await setUp(tmpdir(), { holes });
    if ((await array.capabilities(call)).pointInTime) return;
    const one = await volume('one', 'x'.repeat(2 * MIB), 4 * MIB);
    await expect(array.snapshot([one], 'snap', { signal: controller.signal })).rejects.toBe(reason);
    expect(await array.find('snap', call)).toEqual([]);
    expect(await readdir(join(root, 'snapshots'))).toEqual([]);
  });

  test('a removed snapshot is not mistaken for a later one of the same name', async () => {
    const { array, volume } = await setUp(tmpdir());
    const one = await volume('one', 'old');
    const old = await takeOne(array, one, 'snap');
    await array.remove(old, call);
    const taken = await takeOne(array, one, 'snap');
    await expect(array.open(old, {}, call)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await array.remove(old, call);
    expect(await array.find('snap', call)).toEqual([taken]);
  });

  test('a record or file that is not as written is CORRUPT', async () => {
    const { array, root, volume } = await setUp(tmpdir());
    const taken = await takeOne(array, await volume('one', 'old'), 'snap');
    await chmod(join(root, 'snapshots/snap/one.raw'), 0o600);
    await truncate(join(root, 'snapshots/snap/one.raw'), 100);
    await expect(array.open(taken, {}, call)).rejects.toMatchObject({ code: 'CORRUPT' });
    await writeFile(join(root, 'snapshots/snap/record.json'), '{"format":2}');
    await expect(array.find('snap', call)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  test('a revert replaces the file, keeps its mode, and needs the volume', async () => {
    const { array, root, volume } = await setUp(tmpdir());
    const one = await volume('one', 'old', MIB);
    const path = join(root, 'volumes/one.raw');
    const taken = await takeOne(array, one, 'snap');
    await chmod(path, 0o640);
    await writeFile(path, 'new and of another size');
    const before = await stat(path);
    await array.revert?.(taken, call);
    const after = await stat(path);
    expect([after.size, after.mode, after.ino === before.ino]).toEqual([MIB, before.mode, false]);
    expect(await readdir(join(root, 'volumes'))).toEqual(['one.raw']);
    await array.target?.remove(one, call);
    await expect(array.revert?.(taken, call)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await textOf(array, taken)).toBe('old');
  });

  test('a clone whose name is taken by a volume of another size is refused', async () => {
    const { array, volume } = await setUp(tmpdir());
    const taken = await takeOne(array, await volume('one', 'old'), 'snap');
    await volume('two', 'other', 2 * MIB);
    await expect(array.clone?.(taken, 'two', call)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  test('a new volume is blank, zeros do not allocate, and zeros over data do not show it', async () => {
    const { array, root } = await setUp(tmpdir());
    const made = await array.target?.create({ name: 'made', size: 8 * MIB }, call);
    if (made === undefined) throw new Error('no target role');
    await using opened = await array.target?.openForWrite(made, call);
    expect(opened?.blank).toBe(true);
    await opened?.zero(0, 8 * MIB, call);
    expect(opened?.blank).toBe(true);
    await opened?.write(5, Buffer.from('text'), call);
    await opened?.zero(0, 8 * MIB, call);
    await opened?.flush(call);
    expect((await stat(join(root, 'volumes/made.raw'))).blocks * 512).toBeLessThanOrEqual(65_536);
    const into = new Uint8Array(100);
    await opened?.readInto(0, into, call);
    expect(into.every((byte) => byte === 0)).toBe(true);
  });
});

test('a snapshot that is removed while somebody looks is found once at most', async () => {
  const { array, volume } = await setUp(tmpdir(), {});
  const one = await volume('one', 'text', 4_096);
  const findAfter = async (turns: number): Promise<number> => {
    for (let turn = 0; turn < turns; turn += 1) await setImmediate();
    return (await array.find('snap', call)).length;
  };
  for (let round = 0; round < 50; round += 1) {
    const taken = await takeOne(array, one, 'snap');
    const removed = array.remove(taken, call);
    const found = await Promise.all(Array.from({ length: 8 }, (_, turns) => findAfter(turns)));
    await removed;
    expect(Math.max(...found)).toBeLessThanOrEqual(1);
  }
});

describe('rests of dead callers', () => {
  test('are found and can be removed, cannot be opened, and are taken anew', async () => {
    const { array, root, volume } = await setUp(tmpdir());
    const one = await volume('one', 'whole');
    const rest = join(root, 'snapshots', 'snap.partial', randomUUID());
    const plant = async (): Promise<void> => {
      await mkdir(rest, { recursive: true });
      await writeFile(join(rest, 'one.raw'), 'half');
    };
    await plant();
    const [found, ...others] = await array.find('snap', call);
    expect(others).toEqual([]);
    if (found === undefined) throw new Error('the rest was not found');
    expect(found).toMatchObject({ name: 'snap', volume: { id: 'one', size: 4 } });
    await expect(array.open(found, {}, call)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await array.remove(found, call);
    expect(await readdir(join(root, 'snapshots'))).toEqual([]);

    await plant();
    await rename(rest, `${rest}.gone`);
    expect(await array.find('snap', call)).toEqual(
      [found].map((one) => ({ ...one, takenAt: expect.any(String) })),
    );
    await array.remove(found, call);
    expect(await readdir(join(root, 'snapshots'))).toEqual([]);

    await plant();
    const taken = await takeOne(array, one, 'snap');
    expect(await textOf(array, taken)).toBe('whole');
    expect(await readdir(join(root, 'snapshots'))).toEqual(['snap']);
  });

  test('a set without its record is taken anew', async () => {
    const { array, root, volume } = await setUp(tmpdir());
    const one = await volume('one', 'whole');
    await mkdir(join(root, 'snapshots/snap'), { recursive: true });
    await writeFile(join(root, 'snapshots/snap/one.raw'), 'half');
    await writeFile(join(root, 'snapshots/snap/two.raw'), 'half');
    expect(await array.find('snap', call)).toEqual([]);
    expect(await textOf(array, await takeOne(array, one, 'snap'))).toBe('whole');
    expect((await readdir(join(root, 'snapshots/snap'))).sort()).toEqual(['one.raw', 'record.json']);
  });

  test('a volume that was being made is made anew', async () => {
    const { array, root } = await setUp(tmpdir());
    const rest = join(root, 'volumes', 'made.partial', randomUUID());
    await mkdir(rest, { recursive: true });
    await writeFile(join(rest, 'volume.raw'), 'half');
    await array.target?.create({ name: 'made', size: MIB }, call);
    expect(await readdir(join(root, 'volumes'))).toEqual(['made.raw']);
  });

  test('what was left beside a volume or a set that had got its name goes when it is found', async () => {
    const { array, root, volume } = await setUp(tmpdir());
    const taken = await takeOne(array, await volume('one', 'whole'), 'snap');
    const rests = [join(root, 'volumes', 'one.partial'), join(root, 'snapshots', 'snap.partial')];
    for (const rest of rests) {
      await mkdir(join(rest, randomUUID()), { recursive: true });
      await writeFile(join(rest, randomUUID()), 'half');
    }
    await array.target?.create({ name: 'one', size: MIB }, call);
    expect(await takeOne(array, taken.volume, 'snap')).toEqual(taken);
    expect(await readdir(join(root, 'volumes'))).toEqual(['one.raw']);
    expect(await readdir(join(root, 'snapshots'))).toEqual(['snap']);
  });

  test('a maker who was thought dead finds the volume that another made meanwhile', async () => {
    const { array, root } = await setUp(tmpdir());
    const [atWork, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let made = 0;
    const slow = createVolumes('files', createLayout(root)).createFrom(
      { name: 'made', size: MIB },
      async (path) => {
        made += 1;
        await writeFile(path, 'slow');
        atWork.resolve();
        await goOn.promise;
      },
      call,
    );
    await atWork.promise;
    const volume = await array.target?.create({ name: 'made', size: MIB }, call);
    goOn.resolve();
    expect([await slow, made]).toEqual([volume, 1]);
    expect((await stat(join(root, 'volumes/made.raw'))).size).toBe(MIB);
    expect(await readdir(join(root, 'volumes'))).toEqual(['made.raw']);
  });

  test('a maker whose volume was removed while it was made makes it anew', async () => {
    const { array, root } = await setUp(tmpdir());
    const [atWork, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow = createVolumes('files', createLayout(root)).createFrom(
      { name: 'made', size: MIB },
      async (path) => {
        await writeFile(path, '');
        await truncate(path, MIB);
        atWork.resolve();
        await goOn.promise;
      },
      call,
    );
    await atWork.promise;
    const volume = { array: 'files', id: 'made', size: MIB };
    await array.target?.remove(volume, call);
    expect(await readdir(join(root, 'volumes'))).toEqual([]);
    goOn.resolve();
    expect(await slow).toEqual(volume);
    expect(await readdir(join(root, 'volumes'))).toEqual(['made.raw']);
  });

  test('callers who do not know of each other end with one volume', async () => {
    const { root } = await setUp(tmpdir());
    const callers = [1, 2, 3].map(() => filesArray({ name: 'files', root }));
    for (let round = 0; round < 20; round += 1) {
      const request = { name: `made-${round}`, size: MIB };
      const volumes = await Promise.all(callers.map(({ target }) => target?.create(request, call)));
      expect(volumes).toEqual(callers.map(() => ({ array: 'files', id: request.name, size: MIB })));
    }
    expect(await readdir(join(root, 'volumes'))).toHaveLength(20);
  });

  test('callers who do not know of each other end with one whole set, or say that they must try again', async () => {
    const { array, root, volume } = await setUp(onXfs || tmpdir());
    const volumes = [await volume('one', 'first'), await volume('two', 'second')];
    const callers = [1, 2, 3].map(() => filesArray({ name: 'files', root }));
    for (let round = 0; round < 20; round += 1) {
      const name = `snap-${round}`;
      const outcomes = await Promise.allSettled(
        callers.map((caller) => caller.snapshot(volumes, name, call)),
      );
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ retryable: true });
      }
      const kept = await array.snapshot(volumes, name, call);
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') expect(outcome.value).toEqual(kept);
      }
      expect(await Promise.all(kept.map((one) => textOf(array, one)))).toEqual(['first', 'second']);
    }
    expect((await readdir(join(root, 'snapshots'))).filter((entry) => entry.endsWith('.partial'))).toEqual(
      [],
    );
  });

  test('what is taken from a caller who is still alive is taken whole', async () => {
    const root = await freshRoot(tmpdir());
    const [partial, mine] = [join(root, 'partial'), join(root, 'partial', 'mine')];
    await mkdir(mine, { recursive: true });
    const files = Array.from({ length: 3000 }, (_, index) => join(mine, `${index}.raw`));
    for (const file of files) writeFileSync(file, '');
    const discarded = discardFolder(mine, join(partial, 'gone'));
    // Synchronous, for otherwise it would wait in line behind the removal of every file.
    const isWhole = (): boolean => {
      try {
        return readdirSync(mine).length === files.length;
      } catch {
        return false;
      }
    };
    while (isWhole()) await setImmediate();
    const isStillMine = existsSync(mine);
    await discarded;
    expect(isStillMine).toBe(false);
    expect(await readdir(partial)).toEqual([]);
  });

  test('a caller that is killed while it copies leaves nothing that counts', async () => {
    const { array, root, volume } = await setUp(tmpdir(), {});
    const one = await volume('one', 'whole', 4 * MIB);
    const module = pathToFileURL(join(import.meta.dirname, '../../src/arrays/files/array.ts'));
    const child = await beside(`
      import { createFilesArray } from '${module}';
      const sharing = async function* (file, size) {
        yield { offset: 0, length: size, kind: 'data' };
        if (size !== ${4 * MIB}) return;
        console.log('at work');
        await new Promise((resolve) => setTimeout(resolve, 100_000));
      };
      const array = createFilesArray({ name: 'files', root: ${JSON.stringify(root)} }, { sharing });
      const call = { signal: new AbortController().signal };
      const volumes = [${JSON.stringify(one)}];
      if ((await array.capabilities(call)).group) console.log('nothing to be killed in');
      else await array.snapshot(volumes, 'snap', call);
    `);
    child.kill('SIGKILL');
    await once(child, 'close');
    const taken = await takeOne(array, one, 'snap');
    expect(await textOf(array, taken)).toBe('whole');
    expect(await array.find('snap', call)).toEqual([taken]);
    expect(await readdir(join(root, 'snapshots'))).toEqual(['snap']);
  });
});

describe.skipIf(lab.path === undefined)(`XFS${lab.skipped === undefined ? '' : ` (${lab.skipped})`}`, () => {
  test('everything is declared, and snapshots share blocks', async () => {
    const { array, root, volume } = await setUp(onXfs);
    expect(await array.capabilities(call)).toMatchObject({
      group: true,
      pointInTime: true,
      changeBase: 'snapshot',
      extents: 'map',
    });
    const one = await volume('one', 'old', MIB);
    const older = await takeOne(array, one, 'older');
    await using file = await open(join(root, 'volumes/one.raw'), 'r+');
    await file.write('new', 512 * 1024);
    const newer = await takeOne(array, one, 'newer');
    const kinds = (await extentsOf(array, newer, older)).map(({ kind }) => kind);
    expect(kinds).toEqual(['same', 'data', 'same']);
    expect((await extentsOf(array, newer, newer)).map(({ kind }) => kind)).toEqual(['same']);
  });

  test('changes of a volume that grew or shrank', async () => {
    const { array, root, volume } = await setUp(onXfs);
    const one = await volume('one', 'x'.repeat(100_000), 100_001);
    const small = await takeOne(array, one, 'small');
    await truncate(join(root, 'volumes/one.raw'), 300_000);
    const large = await takeOne(array, one, 'large');
    const grown = await extentsOf(array, large, small);
    expect(grown[0]?.kind).toBe('same');
    expect(grown.at(-1)).toMatchObject({ kind: 'zero' });
    expect(grown.filter(({ kind }) => kind === 'same').every((e) => e.offset + e.length <= 100_001)).toBe(
      true,
    );
    const shrunk = await extentsOf(array, small, large);
    expect(shrunk.reduce((sum, { length }) => sum + length, 0)).toBe(100_001);
  });

  test('changes are known across a revert', async () => {
    const { array, root, volume } = await setUp(onXfs);
    const one = await volume('one', 'x'.repeat(MIB));
    const base = await takeOne(array, one, 'base');
    await writeFile(join(root, 'volumes/one.raw'), 'y'.repeat(MIB));
    await array.revert?.(base, call);
    const after = await takeOne(array, one, 'after');
    expect(await extentsOf(array, after, base)).toEqual([{ offset: 0, length: MIB, kind: 'same' }]);
  });

  test('volumes that are written all the time are not one instant, and nothing is kept', async () => {
    const { array, root, volume } = await setUp(onXfs);
    const volumes = [await volume('one'), await volume('two'), await volume('three')];
    await beside(`
      import { openSync, writeSync } from 'node:fs';
      const files = ['one', 'two', 'three'].map((id) => openSync('${root}/volumes/' + id + '.raw', 'r+'));
      console.log('at work');
      for (let round = 0; ; round += 1) for (const file of files) writeSync(file, String(round), 0);
    `);
    await expect(array.snapshot(volumes, 'snap', call)).rejects.toMatchObject({
      code: 'NOT_ONE_INSTANT',
      retryable: true,
    });
    expect(await array.find('snap', call)).toEqual([]);
    expect(await readdir(join(root, 'snapshots'))).toEqual([]);
    expect(await array.snapshot(volumes.slice(0, 1), 'alone', call)).toHaveLength(1);
  });

  /** Open files, and what happens each time just before one of them is cloned. */
  async function openPairs(
    ids: readonly string[],
    beforeClone: (at: number, paths: readonly string[]) => void,
  ) {
    const root = await freshRoot(onXfs);
    const paths = ids.map((id) => join(root, id));
    for (const path of paths) writeFileSync(path, '0');
    const pairs = await Promise.all(
      paths.map(async (path, at) => {
        const handle = await open(path);
        cleanUps.push(() => handle.close());
        const from = new Proxy(handle, {
          get(target, key) {
            if (key === 'fd') beforeClone(at, paths);
            const value: unknown = Reflect.get(target, key, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
        return { from, to: `${path}.clone` };
      }),
    );
    return { root, pairs, paths };
  }

  test('a write between the first clone and the last is not missed', async () => {
    let writes = 0;
    const { pairs, paths } = await openPairs(['first', 'second'], (at, [first = '']) => {
      writes += at;
      if (at === 1) writeFileSync(first, String(writes));
    });
    await cloneAtOneInstant(pairs, call);
    expect(writes).toBeGreaterThan(0);
    expect(await readFile(`${paths[0]}.clone`, 'utf8')).toBe(String(writes));
  });

  test('writes between the clones of every attempt are not one instant', async () => {
    const { root, pairs } = await openPairs(['a', 'b', 'c'], (at, paths) => {
      for (const path of paths.filter((_, other) => other !== at)) writeFileSync(path, 'again');
    });
    await expect(cloneAtOneInstant(pairs, call)).rejects.toMatchObject({ code: 'NOT_ONE_INSTANT' });
    expect((await readdir(root)).sort()).toEqual(['a', 'b', 'c']);
  });

  test('no file is cloned within the tick of its last write, for another write would leave no trace', async () => {
    const ages: number[] = [];
    const { pairs } = await openPairs(['first', 'second'], (_, [first = '']) => {
      ages.push(Date.now() - statSync(first).ctimeMs);
    });
    await cloneAtOneInstant(pairs, call);
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(20);
  });

  test('six volumes that are written in turns with rests between are one instant', async () => {
    const { array, root, volume } = await setUp(onXfs);
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    const volumes = await Promise.all(ids.map((id) => volume(id)));
    await beside(`
      import { openSync, writeSync } from 'node:fs';
      const files = ${JSON.stringify(ids)}.map((id) => openSync('${root}/volumes/' + id + '.raw', 'r+'));
      const write = (round) => { for (const file of files) writeSync(file, String(round).padStart(8, '0'), 0); };
      write(0);
      console.log('at work');
      for (let round = 1; ; round += 1) { write(round); await new Promise((done) => setTimeout(done, 150)); }
    `);
    let previous = -1;
    for (const name of ['first', 'second', 'third']) {
      const taken = await array.snapshot(volumes, name, call);
      expect(taken.map(({ volume: { id } }) => id)).toEqual(ids);
      const rounds = (await Promise.all(taken.map((one) => textOf(array, one)))).map(Number);
      // The writer goes from the first to the last: at any instant no later volume is ahead.
      for (const [at, round] of rounds.entries()) expect(round).toBeLessThanOrEqual(rounds[at - 1] ?? round);
      expect((rounds[0] ?? 0) - (rounds.at(-1) ?? 0)).toBeLessThanOrEqual(1);
      expect(rounds[0]).toBeGreaterThanOrEqual(previous);
      previous = rounds[0] ?? 0;
    }
  });

  test('one busy volume among quiet ones is one instant', async () => {
    const { array, root, volume } = await setUp(onXfs);
    const volumes = [await volume('busy'), await volume('quiet', 'still')];
    await beside(`
      import { openSync, writeSync } from 'node:fs';
      const file = openSync('${root}/volumes/busy.raw', 'r+');
      console.log('at work');
      for (let round = 0; ; round += 1) writeSync(file, String(round), 0);
    `);
    const [busy, quiet] = await array.snapshot(volumes, 'snap', call);
    expect([busy?.volume.id, await textOf(array, quiet)]).toEqual(['busy', 'still']);
  });

  test('the record on disk is small and documented', async () => {
    const { array, root, volume } = await setUp(onXfs);
    const taken = await takeOne(array, await volume('one'), 'snap');
    const record: unknown = JSON.parse(await readFile(join(root, 'snapshots/snap/record.json'), 'utf8'));
    expect(record).toEqual({
      format: 1,
      set: taken.reference.set,
      takenAt: taken.takenAt,
      volumes: [{ id: 'one', size: MIB }],
    });
  });
});
