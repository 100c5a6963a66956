import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import type { Bank } from '../../src/core/contracts/index.ts';
import type { ErrorCode } from '../../src/core/errors.ts';

const MEBIBYTE = 1024 ** 2;
const live = { signal: new AbortController().signal };
const creating = { ...live, ifAbsent: true };
const whole = { limit: 64 * MEBIBYTE };
const body = new TextEncoder().encode('body');

let folder: string;
let root: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fafnir-bank-'));
  root = join(folder, 'bank');
});
afterEach(() => rm(folder, { recursive: true }));

async function keys(bank: Bank, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of bank.list(prefix, live)) found.push(key);
  return found;
}

async function refuses(work: Promise<unknown>, code: ErrorCode, message?: string): Promise<void> {
  await expect(work).rejects.toMatchObject({
    code,
    ...(message && { message: expect.stringContaining(message) }),
  });
}

async function startWriter(letter: string, objects: number, mebibytes: number) {
  const fixture = fileURLToPath(new URL('fixtures/put-once.ts', import.meta.url));
  const child: ChildProcess = spawn(
    process.execPath,
    [fixture, root, letter, String(objects), String(mebibytes)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit');
  if (!child.stdout) throw new Error('the writer has no output');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('ready');
  return {
    letter,
    go: () => child.stdin?.write('go\n'),
    async outcomes(): Promise<string[]> {
      const { value } = await lines.next();
      return String(value).split(' ');
    },
    async kill(): Promise<void> {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

test('takes a root alone, and names the bank after it', () => {
  expect(filesystemBank('/srv/gold').name).toBe('gold');
  expect(filesystemBank({ root: '/srv/gold', name: 'silver' }).name).toBe('silver');
  expect(() => filesystemBank('')).toThrow(/root/);
  expect(() => filesystemBank(JSON.parse('{"root":"/srv/gold","nam":"silver"}'))).toThrow(/valid options/);
});

test('an object is a plain file', async () => {
  await filesystemBank(root).put('folder/object', body, creating);
  expect(await readFile(join(root, 'folder/object'), 'utf8')).toBe('body');
  expect(await readdir(join(root, '~temporary'))).toEqual([]);
});

test('a missing root is an empty bank, and only a put makes it', async () => {
  root = join(folder, 'far/below/bank');
  const bank = filesystemBank(root);
  expect(await keys(bank)).toEqual([]);
  expect(await bank.head('object', live)).toBeUndefined();
  await refuses(bank.get('object', whole, live), 'NOT_FOUND');
  await bank.remove(['object'], live);
  await expect(access(join(folder, 'far'))).rejects.toThrow();
  await bank.put('object', body, creating);
  expect(await keys(bank)).toEqual(['object']);
});

test('a root that is removed while the bank is used is made again', async () => {
  const bank = filesystemBank(root);
  await bank.put('folder/object', body, creating);
  await rm(root, { recursive: true });
  expect(await keys(bank)).toEqual([]);
  expect(await bank.put('folder/object', body, creating)).toBe('created');
  expect(await keys(bank)).toEqual(['folder/object']);
});

test('the root may be a link', async () => {
  await mkdir(join(folder, 'elsewhere'));
  await symlink(join(folder, 'elsewhere'), root);
  const bank = filesystemBank(root);
  await bank.put('folder/object', body, creating);
  expect(await keys(bank)).toEqual(['folder/object']);
  expect(await bank.get('folder/object', whole, live)).toEqual(body);
  expect(await readFile(join(folder, 'elsewhere/folder/object'), 'utf8')).toBe('body');
});

test.each(['file', 'file/below', 'file/far/below', 'dangling'])(
  'a root that cannot be a folder is refused by name: %s',
  async (place) => {
    await writeFile(join(folder, 'file'), 'not a folder');
    await symlink('nowhere/at/all', join(folder, 'dangling'));
    root = join(folder, place);
    await refuses(filesystemBank(root).put('object', body, creating), 'ACCESS_DENIED', root);
  },
);

test('a root in a place without writes is refused by name', async () => {
  await refuses(
    filesystemBank('/proc/fafnir').put('object', body, creating),
    'ACCESS_DENIED',
    '/proc/fafnir',
  );
});

test('a file in place of the root is not read as an empty bank', async () => {
  await writeFile(root, 'not a folder');
  for (const path of [root, join(root, 'below')]) {
    const bank = filesystemBank(path);
    await refuses(keys(bank), 'ACCESS_DENIED', path);
    await refuses(bank.get('object', whole, live), 'ACCESS_DENIED', path);
    await refuses(bank.head('object', live), 'ACCESS_DENIED', path);
    await refuses(bank.remove(['object'], live), 'ACCESS_DENIED', path);
  }
});

test('no link inside the root leads out of it', async () => {
  const bank = filesystemBank(root);
  await bank.put('sound/object', body, creating);
  await mkdir(join(folder, 'outside/folder'), { recursive: true });
  await writeFile(join(folder, 'outside/secret'), 'secret');
  await symlink(join(folder, 'outside'), join(root, 'sound/link'));
  await symlink(join(folder, 'outside/secret'), join(root, 'sound/file'));
  await symlink('object', join(root, 'sound/inside'));

  const through = ['sound/link/secret', 'sound/link/folder/new', 'sound/link', 'sound/file', 'sound/inside'];
  for (const key of [...through, 'sound/link/new/folder/object']) {
    await refuses(bank.put(key, body, creating), 'INVALID_KEY');
    await refuses(bank.put(key, body, { ...live, ifAbsent: false }), 'INVALID_KEY');
  }
  for (const key of through) {
    await refuses(bank.get(key, whole, live), 'INVALID_KEY');
    await refuses(bank.head(key, live), 'INVALID_KEY');
    await refuses(bank.remove(['sound/object', key], live), 'INVALID_KEY');
  }
  await refuses(keys(bank), 'INVALID_KEY');
  await refuses(keys(bank, 'sound/link/'), 'INVALID_KEY');
  await refuses(keys(bank, 'sound/link/folder/'), 'INVALID_KEY');

  expect(await readdir(join(folder, 'outside'), { recursive: true })).toEqual(['folder', 'secret']);
  expect(await readFile(join(folder, 'outside/secret'), 'utf8')).toBe('secret');
  expect(await bank.get('sound/object', whole, live)).toEqual(body);
});

test('writes no temporary file through a link', async () => {
  await mkdir(join(folder, 'outside'));
  await mkdir(root);
  await symlink(join(folder, 'outside'), join(root, '~temporary'));
  await refuses(filesystemBank(root).put('object', body, creating), 'INVALID_KEY');
  expect(await readdir(join(folder, 'outside'))).toEqual([]);
});

test('a mount inside the root is outside the bank', async () => {
  // The root of the machine holds other file systems wherever tests run; nothing is written there.
  const bank = filesystemBank('/');
  await refuses(bank.get('proc/version', whole, live), 'INVALID_KEY');
  await refuses(keys(bank, 'proc/'), 'INVALID_KEY');
});

test('no key is the folder of another', async () => {
  const bank = filesystemBank(root);
  await bank.put('folder/object', body, creating);
  for (const key of ['folder', 'folder/object/below', 'folder/object/far/below']) {
    await refuses(bank.put(key, body, creating), 'INVALID_KEY');
    await refuses(bank.put(key, body, { ...live, ifAbsent: false }), 'INVALID_KEY');
  }
  expect(await keys(bank)).toEqual(['folder/object']);
});

test('a segment that no file can be named is refused', async () => {
  const bank = filesystemBank(root);
  await bank.put('object', body, creating);
  await refuses(bank.put('l'.repeat(300), body, creating), 'INVALID_KEY');
  await refuses(bank.get('l'.repeat(300), whole, live), 'INVALID_KEY');
});

test('files without a key are not in the bank, and folders that cannot match are not entered', async () => {
  const bank = filesystemBank(root);
  await bank.put('a/object', body, creating);
  await bank.put('b/object', body, creating);
  await mkdir(join(root, 'lost+found/folder'), { recursive: true });
  await writeFile(join(root, 'not a key'), '');
  await symlink(folder, join(root, 'a', 'link'));
  expect(await keys(bank, 'b')).toEqual(['b/object']);
  const found: string[] = [];
  for await (const { key } of bank.list('', { ...live, after: 'a/z' })) found.push(key);
  expect(found).toEqual(['b/object']);
});

test('one of several processes creates an object, and that one is stored', async () => {
  const objects = 40;
  const writers = await Promise.all(['a', 'b', 'c', 'd'].map((letter) => startWriter(letter, objects, 1)));
  for (const writer of writers) writer.go();
  const outcomes = await Promise.all(writers.map((writer) => writer.outcomes()));
  const bank = filesystemBank(root);
  for (let index = 0; index < objects; index += 1) {
    const winners = writers.filter((_, writer) => outcomes[writer]?.[index] === 'created');
    expect(winners).toHaveLength(1);
    const stored = Buffer.from(await bank.get(`race/${index}`, whole, live));
    expect(stored.equals(Buffer.alloc(MEBIBYTE, winners[0]?.letter))).toBe(true);
  }
  expect(await readdir(join(root, '~temporary'))).toEqual([]);
});

test('a writer that is killed leaves no partial object, and its file goes after a day', async () => {
  const bank = filesystemBank(root);
  const temporary = join(root, '~temporary');
  await bank.put('sound', body, creating);
  const writer = await startWriter('k', 100, 256);
  writer.go();
  while ((await readdir(temporary)).length === 0) await setTimeout(1);
  await writer.kill();
  const left = await readdir(temporary);
  expect(left).toHaveLength(1);
  expect(await keys(bank)).toEqual(['sound']);
  expect(await bank.head('race/0', live)).toBeUndefined();
  expect(await bank.put('race/0', body, creating)).toBe('created');

  await writeFile(join(temporary, 'fresh'), 'of a writer at work');
  const past = new Date(Date.now() - 25 * 60 * 60 * 1000);
  for (const name of left) await utimes(join(temporary, name), past, past);
  await bank.put('second', body, creating);
  expect(await readdir(temporary)).toHaveLength(2);
  await filesystemBank(root).put('third', body, creating);
  expect(await readdir(temporary)).toEqual(['fresh']);
});

test('a put whose caller goes leaves neither an object nor a temporary file', async () => {
  const bank = filesystemBank(root);
  const caller = new AbortController();
  const large = Array.from({ length: 200 }, () => new Uint8Array(MEBIBYTE));
  const stored = bank.put('object', large, { signal: caller.signal, ifAbsent: true });
  const temporary = join(root, '~temporary');
  while ((await readdir(temporary).catch(() => [])).length === 0) await setTimeout(1);
  caller.abort(new Error('the caller is gone'));
  await expect(stored).rejects.toThrow('the caller is gone');
  expect(await readdir(temporary)).toEqual([]);
  expect(await keys(bank)).toEqual([]);
});
