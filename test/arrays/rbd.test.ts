import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { withGaps } from '../../src/arrays/rbd/source.ts';
import { rbdArray } from '../../src/arrays/rbd.ts';
import type { DiffRun } from '../../src/clients/rbd/diff.ts';
import { qemuImage } from '../../src/clients/rbd/qemu-image.ts';
import { collect } from '../../src/testing/storage-array/helpers.ts';

const valid = { name: 'ceph', pool: 'volumes' };

describe('options of rbdArray', () => {
  test.each<[string, object]>([
    ['no pool', { name: 'ceph' }],
    ['a pool that is an option', { ...valid, pool: '--conf' }],
    ['a pool with an image', { ...valid, pool: 'a/b' }],
    ['a user that is an option', { ...valid, user: '-x' }],
    ['a keyring with a line', { ...valid, keyring: '/a\n/b' }],
    ['no monitors', { ...valid, monitors: [] }],
    ['a timeout of nothing', { ...valid, timeout: 0 }],
    ['a timeout that a timer cannot hold', { ...valid, longTimeout: 2 ** 31 }],
    ['no concurrency', { ...valid, concurrency: 0 }],
    ['a key', { ...valid, key: 'secret' }],
  ])('%s is refused', (_, options) => {
    const make = () => rbdArray(options as Parameters<typeof rbdArray>[0]);
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
    expect(make).not.toThrow('secret');
  });

  test('run nothing when the array is made or asked what it can do', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fafnir-rbd-'));
    await writeFile(join(folder, 'rbd'), `#!/bin/sh\necho > ${folder}/called\n`);
    await chmod(join(folder, 'rbd'), 0o755);
    vi.stubEnv('PATH', folder);
    const call = { signal: new AbortController().signal };
    const capabilities = await rbdArray({ ...valid, concurrency: 7 }).capabilities(call);
    expect(capabilities).toMatchObject({ group: false, changeBase: 'snapshot', concurrency: 7 });
    expect(existsSync(join(folder, 'called'))).toBe(false);
    await expect(rbdArray(valid).find('a', call)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
    expect(existsSync(join(folder, 'called'))).toBe(true);
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });
});

test('a pool is listed although images are removed meanwhile', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fafnir-rbd-'));
  // As `rbd` of Ceph does: the list of all fails, and so does that of the image that is gone.
  const program = `#!/bin/sh
case "$*" in
  *'ls --long'*) echo '[{"image":"a","size":512},' \
    '{"image":"a","snapshot":"first","snapshot_id":1,"size":512}'; echo 'error opening b' >&2; exit 2 ;;
  *'snap ls volumes/a '*) echo '[{"id":1,"name":"first","size":512,"timestamp":"Sun Nov 22 04:00:00 2026"},' \
    '{"id":2,"name":"second","size":512,"timestamp":"Sun Nov 22 05:00:00 2026"}]' ;;
  *'snap ls volumes/b '*) echo 'error opening b' >&2; exit 2 ;;
  *' ls volumes '*) echo '["a","b"]' ;;
  *) exit 22 ;;
esac
`;
  await writeFile(join(folder, 'rbd'), program, { mode: 0o755 });
  vi.stubEnv('PATH', folder);
  const found: string[] = [];
  const array = rbdArray({ ...valid, user: 'fafnir' });
  const call = { signal: new AbortController().signal };
  for await (const { name, volume } of array.list('', call)) found.push(`${volume.id}@${name}`);
  expect(found).toEqual(['a@first', 'a@second']);
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

test('an image for QEMU has every setting, and none that a name could add', () => {
  expect(qemuImage({ pool: 'p' }, 'image')).toBe('rbd:p/image');
  const access = { pool: 'p', user: 'u', monitors: ['[v2:10.0.0.1:3300]', 'b'], keyring: '/k' };
  expect(qemuImage(access, 'a:conf=x\\')).toBe(
    'rbd:p/a\\:conf\\=x\\\\:conf=\\/dev\\/null:id=u:keyring=\\/k:mon_host=[v2\\:10.0.0.1\\:3300],b',
  );
});

test('between the runs of a diff, bytes are the same as far as there were any, and zero beyond', async () => {
  const size = 1_000;
  const cut = fc.uniqueArray(fc.integer({ min: 0, max: size }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(cut, fc.nat(size), async (cuts, sameUntil) => {
      const edges = cuts.toSorted((a, b) => a - b);
      const expected: string[] = Array.from({ length: size }, (_, at) => (at < sameUntil ? 'same' : 'zero'));
      async function* runs(): AsyncGenerator<DiffRun> {
        for (let at = 0; at + 1 < edges.length; at += 2) {
          const [offset = 0, end = 0] = edges.slice(at, at + 2);
          const length = end - offset;
          expected.fill(at % 4 === 0 ? 'data' : 'zero', offset, end);
          if (at % 4 === 0) yield { offset, kind: 'data', data: new Uint8Array(length) };
          else yield { offset, kind: 'zero', length };
        }
      }
      const found: string[] = [];
      for await (const block of withGaps(runs(), size, sameUntil)) {
        expect(block.offset).toBe(found.length);
        const length = block.kind === 'data' ? block.data.length : block.length;
        expect(length).toBeGreaterThan(0);
        for (let at = 0; at < length; at += 1) found.push(block.kind);
      }
      expect(found).toEqual(expected);
    }),
  );
});

describe('snapshots of an RBD pool that others made', () => {
  const call = { signal: new AbortController().signal };

  /** An array whose `rbd` tells of one image with these snapshots. */
  async function arrayWith(names: readonly string[]) {
    const folder = await mkdtemp(join(tmpdir(), 'fafnir-rbd-'));
    const timestamp = 'Thu Jan  1 00:00:00 2026';
    const pool = names.map((snapshot, at) => ({ image: 'one', snapshot, snapshot_id: at + 1, size: 512 }));
    const image = names.map((name, at) => ({ id: at + 1, name, size: 512, timestamp }));
    await writeFile(join(folder, 'pool.json'), JSON.stringify([{ image: 'one', size: 512 }, ...pool]));
    await writeFile(join(folder, 'image.json'), JSON.stringify(image));
    const script = `#!/bin/sh\ncase "$*" in *"snap ls"*) cat ${folder}/image.json;; *) cat ${folder}/pool.json;; esac\n`;
    await writeFile(join(folder, 'rbd'), script);
    await chmod(join(folder, 'rbd'), 0o755);
    vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
    onTestFinished(async () => {
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true });
    });
    return rbdArray(valid);
  }

  test('are found and listed under their names, in their order, beside sets that are half done', async () => {
    const names = ['a-b', 'a.partial', 'Backup_1', '2024-01-01T00:00', 'Half.partial', '-x', 'b c'];
    const array = await arrayWith(names);
    const listed = await collect(array.list('', call));
    expect(listed.map(({ name }) => name)).toEqual([
      '2024-01-01T00:00',
      'Backup_1',
      'Half.partial',
      'a',
      'a-b',
      'b c',
    ]);
    for (const snapshot of listed) expect(await array.find(snapshot.name, call)).toEqual([snapshot]);
    expect(await array.find('a.partial', call)).toEqual([]);
  });

  test.each(['', '-x', 'a@b', 'a/b', 'a\nb', 'x'.repeat(256)])('cannot be called %j', async (name) => {
    const array = await arrayWith([]);
    await expect(array.find(name, call)).rejects.toMatchObject({ code: 'INVALID_ID' });
  });

  test.each(['Backup_1', 'a.partial', 'b c'])('and none is taken under such a name as %j', async (name) => {
    const array = await arrayWith([]);
    const volume = { array: 'ceph', id: 'one', size: 512 };
    await expect(array.snapshot([volume], name, call)).rejects.toMatchObject({ code: 'INVALID_ID' });
  });
});
