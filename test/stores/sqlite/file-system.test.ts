import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statfsSync, truncateSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../../../src/core/contracts/index.ts';
import { assertLocalFileSystem, networkFileSystem } from '../../../src/stores/sqlite/file-system.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fafnir-file-system-'));
});

afterEach(() => rm(directory, { recursive: true }));

describe('the kind of a file system', () => {
  it.each([
    [0x6969, 'NFS'],
    [0x517b, 'SMB'],
    [0xff534d42, 'CIFS'],
    [0xfe534d42, 'SMB'],
    [0x01021997, '9P'],
    [0x5346414f, 'AFS'],
    [0x6b414653, 'AFS'],
    [0x00c36400, 'Ceph'],
    [0x65735546, 'FUSE'],
  ])('of the number %i is %s', (type, name) => {
    expect(networkFileSystem(type)).toBe(name);
  });

  it.each([
    ['ext4', 0xef53],
    ['XFS', 0x58465342],
    ['btrfs', 0x9123683e],
    ['ZFS', 0x2fc12fc1],
    ['tmpfs', 0x01021994],
    ['overlay', 0x794c7630],
    ['one of macOS', 0x1a],
    ['one of Windows', 0],
  ])('is a local one for %s', (_, type) => {
    expect(networkFileSystem(type)).toBeUndefined();
  });
});

describe('a path', () => {
  it('on a local disk is fine, whether there is a file or not', async () => {
    const path = join(directory, 'fafnir.db');
    assertLocalFileSystem(path);
    await writeFile(path, '');
    assertLocalFileSystem(path);
    expect(await readdir(directory)).toEqual(['fafnir.db']);
  });
});

/** True where this process can mount an image with fuse2fs. */
function canMount(): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const installed = ['fuse2fs', 'mke2fs'].every((name) =>
    folders.some((folder) => existsSync(join(folder, name))),
  );
  return installed && process.getuid?.() === 0 && existsSync('/dev/fuse');
}

describe.runIf(canMount())('a mounted FUSE file system', () => {
  it('is refused before anything is made on it', async () => {
    const [image, mounted] = [join(directory, 'image'), join(directory, 'mounted')];
    await mkdir(mounted);
    await writeFile(image, '');
    truncateSync(image, 4 * 1024 * 1024);
    execFileSync('mke2fs', ['-q', '-F', image]);
    const local = statfsSync(mounted).type;
    const daemon = spawn('fuse2fs', ['-f', image, mounted], { stdio: 'ignore' });
    const ended = once(daemon, 'exit');
    try {
      while (statfsSync(mounted).type === local && daemon.exitCode === null) await setTimeout(10);
      const before = await readdir(mounted);
      const path = join(mounted, 'fafnir.db');
      const store = sqliteStore(path);
      const found = store.get('acme' as TenantId, 'job' as never);
      await expect(found).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringMatching(/FUSE/),
        hint: expect.stringMatching(/local disk/),
      });
      await expect(found).rejects.toThrow(path);
      expect(await readdir(mounted)).toEqual(before);
      await store.close();
    } finally {
      // It unmounts before it ends.
      daemon.kill('SIGTERM');
      await ended;
    }
  });
});
