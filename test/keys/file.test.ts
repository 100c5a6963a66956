import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/core/errors.ts';
import { newKey, printKeys } from '../../src/keys/file/contents.ts';
import { createKeyFile, keyFile, rotateKeyFile } from '../../src/keys/file.ts';

const live = { signal: new AbortController().signal };
const CONTEXT = 'a bank';
const dataKey = new Uint8Array(32).fill(7);

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fafnir-key-file-'));
  path = join(folder, 'keys.json');
});
afterEach(() => rm(folder, { recursive: true }));

type Contents = { readonly version: number; readonly keys: { readonly id: string; readonly key: string }[] };
const contents = async (): Promise<Contents> => JSON.parse(await readFile(path, 'utf8'));
const ids = async (): Promise<string[]> => (await contents()).keys.map(({ id }) => id);
const mode = async (): Promise<number> => (await stat(path)).mode & 0o777;

/** Writes a file that only its owner may read. */
async function write(text: string | Uint8Array): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
}

async function refuses(work: Promise<unknown>, code: ErrorCode): Promise<unknown> {
  const [outcome] = await Promise.allSettled([work]);
  expect(outcome).toMatchObject({ status: 'rejected', reason: { code } });
  return outcome.status === 'rejected' ? outcome.reason : undefined;
}

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

describe('a key file', () => {
  test('is first looked at when it is used', async () => {
    const keys = keyFile({ path });
    await refuses(keys.current(live), 'NOT_FOUND');
    const made = await createKeyFile({ path });
    expect(await keys.current(live)).toBe(made);
    await unlink(path);
    expect(await keys.current(live)).toBe(made);
  });

  test('opens what its documented format says', async () => {
    await write(
      '{"version":1,"keys":[{"id":"c1f8c9b84a30cdd89ff9b3881be54cd2","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]}',
    );
    const bytes = 'oKGio6SlpqeoqaqrhzgYTDGqItQHHKe8YVrz7FDOIGT3xGIK83wG8hrYAXL4OAG0LPX+1Uvmyvx7igJD';
    const found = await keyFile({ path }).unwrap(
      { by: 'c1f8c9b84a30cdd89ff9b3881be54cd2', bytes },
      'caf\u00e9',
      live,
    );
    expect(Buffer.from(found).toString()).toBe('a data key of 32 bytes for tests');
  });

  test('refuses options that there are not', async () => {
    const options = { path, mode: 0o644 };
    expect(() => keyFile(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
    await refuses(createKeyFile(options), 'INVALID_OPTIONS');
    await refuses(rotateKeyFile({ path: '' }), 'INVALID_OPTIONS');
    expect(await readdir(folder)).toEqual([]);
  });

  test.for([0o640, 0o604, 0o644, 0o620, 0o602, 0o610, 0o666])('of mode %o is refused', async (open) => {
    await createKeyFile({ path });
    const before = await readFile(path);
    await chmod(path, open);
    await refuses(keyFile({ path }).current(live), 'ACCESS_DENIED');
    await refuses(rotateKeyFile({ path }), 'ACCESS_DENIED');
    expect(await readFile(path)).toEqual(before);
  });

  test('of mode 400 is taken', async () => {
    const made = await createKeyFile({ path });
    await chmod(path, 0o400);
    expect(await keyFile({ path }).current(live)).toBe(made);
  });

  test('is refused where it is not as it was written, without a key in the error', async () => {
    await createKeyFile({ path });
    const text = await readFile(path, 'utf8');
    const { id, key } = (await contents()).keys[0] ?? expect.fail();
    const other = newKey();
    const file = (value: unknown): string => JSON.stringify(value);
    for (const odd of [
      ...['', 'null', '[]', '{}', text.slice(0, -4), text.slice(40), `${text}]`, `key: ${key}`, key],
      ...[0, 2, '1', null].map((version) => file({ version, keys: [{ id, key }] })),
      file({ version: 1, keys: [] }),
      file({ version: 1, keys: { 0: { id, key } } }),
      file({ version: 1, keys: [{ id, key }], [key]: true }),
      file({ version: 1, keys: [{ id, key, [key]: true }] }),
      file({ version: 1, keys: [{ id, key: 5 }] }),
      file({ version: 1, keys: [{ id: other.id, key }] }),
      file({ version: 1, keys: [{ id, key: other.key }] }),
      file({ version: 1, keys: [{ id, key }, other, { id, key }] }),
      file({ version: 1, keys: [{ id, key: key.slice(0, -1) }] }),
      file({ version: 1, keys: [{ id, key: ` ${key}` }] }),
      file({ version: 1, keys: [{ id, key: Buffer.alloc(16).toString('base64') }] }),
      file({ version: 1, keys: Array.from({ length: 1_001 }, newKey) }),
      ' '.repeat(1024 ** 2 + 1) + text,
      '['.repeat(100_000),
    ]) {
      await write(odd);
      for (const work of [keyFile({ path }).current(live), rotateKeyFile({ path })]) {
        const shown = inspect(await refuses(work, 'CORRUPT'), { depth: 20, showHidden: true });
        expect(shown).not.toContain(key.slice(0, 12));
      }
      expect(await readFile(path, 'utf8')).toBe(odd);
    }
    await write(text.replace(/\s+/g, ''));
    expect(await keyFile({ path }).current(live)).toBe(id);
  });

  test('is refused where it is no file', async () => {
    await mkdir(path, { mode: 0o700 });
    await refuses(keyFile({ path }).current(live), 'CORRUPT');
    await rm(path, { recursive: true });
    execFileSync('mkfifo', ['-m', '600', path]);
    await refuses(keyFile({ path }).current(live), 'CORRUPT');
    await refuses(keyFile({ path: join(path, 'below') }).current(live), 'ACCESS_DENIED');
  });

  test('lets no key-encryption key out', async () => {
    await createKeyFile({ path });
    await rotateKeyFile({ path });
    const keys = keyFile({ path });
    const wrapped = await keys.wrap(dataKey, CONTEXT, live);
    const errors = [
      await refuses(keys.unwrap(wrapped, 'another', live), 'CORRUPT'),
      await refuses(keys.unwrap({ ...wrapped, by: 'other' }, CONTEXT, live), 'UNKNOWN_KEY'),
    ];
    const shown = inspect([keys, wrapped, errors], { depth: 20, showHidden: true, maxStringLength: null });
    for (const { key } of (await contents()).keys) {
      expect(shown).not.toContain(key.slice(0, 12));
      expect(shown).not.toContain(Buffer.from(key, 'base64').toString('hex').slice(0, 12));
    }
  });
});

describe('createKeyFile', () => {
  test('makes a file of mode 600 with one key, and leaves nothing beside it', async () => {
    const made = await createKeyFile({ path });
    expect(await ids()).toEqual([made]);
    expect(await mode()).toBe(0o600);
    expect(await readdir(folder)).toEqual(['keys.json']);
  });

  test('never touches what is there', async () => {
    await createKeyFile({ path });
    const before = await readFile(path);
    await refuses(createKeyFile({ path }), 'ALREADY_EXISTS');
    expect(await readFile(path)).toEqual(before);
    const dangling = join(folder, 'link');
    await symlink(join(folder, 'nowhere'), dangling);
    await refuses(createKeyFile({ path: dangling }), 'ALREADY_EXISTS');
    expect((await readdir(folder)).sort()).toEqual(['keys.json', 'link']);
  });

  test('lets one of many callers make it', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => createKeyFile({ path })));
    const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const refused = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason.code] : [],
    );
    expect(refused).toEqual(Array.from({ length: 4 }, () => 'ALREADY_EXISTS'));
    expect(await ids()).toEqual(made);
  });

  test('makes no folder, and follows no link in the place of its own', async () => {
    await refuses(createKeyFile({ path: join(folder, 'absent', 'keys.json') }), 'NOT_FOUND');
    const elsewhere = join(folder, 'elsewhere');
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, 'precious'), 'data');
    await symlink(elsewhere, `${path}.drafts`);
    await refuses(createKeyFile({ path }), 'ACCESS_DENIED');
    expect(await readdir(elsewhere)).toEqual(['precious']);
  });
});

describe('rotateKeyFile', () => {
  test('puts a new key before the old ones', async () => {
    const first = await createKeyFile({ path });
    const second = await rotateKeyFile({ path });
    const third = await rotateKeyFile({ path });
    expect(await ids()).toEqual([third, second, first]);
    expect(await mode()).toBe(0o600);
    expect(await readdir(folder)).toEqual(['keys.json']);
  });

  test('makes no file', async () => {
    await refuses(rotateKeyFile({ path }), 'NOT_FOUND');
    expect(await readdir(folder)).toEqual([]);
  });

  test('is seen by a provider from before it that is asked for the new key', async () => {
    const first = await createKeyFile({ path });
    const before = keyFile({ path });
    const old = await before.wrap(dataKey, CONTEXT, live);
    const second = await rotateKeyFile({ path });
    expect(await before.current(live)).toBe(first);
    const wrapped = await keyFile({ path }).wrap(dataKey, CONTEXT, live);
    expect(wrapped.by).toBe(second);
    expect(await before.unwrap(wrapped, CONTEXT, live)).toEqual(dataKey);
    expect(await before.current(live)).toBe(second);
    expect(await before.unwrap(old, CONTEXT, live)).toEqual(dataKey);
  });

  test('is no loss to a provider that can no longer read the file', async () => {
    await createKeyFile({ path });
    const before = keyFile({ path });
    const wrapped = await before.wrap(dataKey, CONTEXT, live);
    await unlink(path);
    await refuses(before.unwrap({ ...wrapped, by: 'other' }, CONTEXT, live), 'NOT_FOUND');
    expect(await before.unwrap(wrapped, CONTEXT, live)).toEqual(dataKey);
  });

  test('keeps a link a link, and what it leads to beside itself', async () => {
    const first = await createKeyFile({ path });
    await mkdir(join(folder, 'links'));
    const linked = join(folder, 'links', 'keys.json');
    await symlink(path, linked);
    const second = await rotateKeyFile({ path: linked });
    expect((await lstat(linked)).isSymbolicLink()).toBe(true);
    expect(await ids()).toEqual([second, first]);
    expect(await keyFile({ path: linked }).current(live)).toBe(second);
  });

  test.skipIf(process.getuid?.() !== 0)('by root leaves the file to its owner', async () => {
    await createKeyFile({ path });
    await chown(path, 65_534, 65_533);
    await rotateKeyFile({ path });
    expect(await stat(path)).toMatchObject({ uid: 65_534, gid: 65_533 });
    expect(await mode()).toBe(0o600);
  });

  test('refuses to make a file that is too large to be read', async () => {
    const [first, ...rest] = Array.from({ length: 1_000 }, newKey);
    const text = printKeys([first ?? expect.fail(), ...rest]);
    await write(text);
    expect(await keyFile({ path }).current(live)).toBe(first?.id);
    await refuses(rotateKeyFile({ path }), 'LIMIT_EXCEEDED');
    expect(await readFile(path, 'utf8')).toBe(text);
  });
});

/** A process that rotates the file when it is told to go. */
async function startRotating(at: string, times: number) {
  const child = spawn(process.execPath, [fixture('rotate.ts'), at, String(times)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('ready');
  return {
    go: () => child.stdin.write('go\n'),
    async added(): Promise<string[]> {
      const { value } = await lines.next();
      await exited;
      return String(value).split(' ');
    },
  };
}

describe('processes', () => {
  test('that rotate at once lose no key', async () => {
    const first = await createKeyFile({ path });
    // By a link and by its own name, which must be the same file to them.
    await symlink(path, join(folder, 'link'));
    const rotating = [await startRotating(path, 8), await startRotating(join(folder, 'link'), 8)];
    for (const { go } of rotating) go();
    const added = (await Promise.all(rotating.map((process) => process.added()))).flat();
    expect(new Set(added).size).toBe(16);
    const found = await ids();
    expect([...found].sort()).toEqual([first, ...added].sort());
    expect(found.at(-1)).toBe(first);
    expect((await readdir(folder)).sort()).toEqual(['keys.json', 'link']);
  });

  test('that die between writing and naming leave the file as it was, and nothing for long', async () => {
    const first = await createKeyFile({ path });
    const before = await readFile(path);
    const { signal } = spawnSync(process.execPath, [fixture('die-before-naming.ts'), 'rotate', path]);
    expect(signal).toBe('SIGKILL');
    expect(await readFile(path)).toEqual(before);
    const [draft = expect.fail(), ...others] = await readdir(`${path}.drafts`);
    expect(others).toEqual([]);
    expect((await stat(`${path}.drafts`)).mode & 0o777).toBe(0o700);
    expect((await stat(join(`${path}.drafts`, draft))).mode & 0o777).toBe(0o600);
    // It died late enough for the case to mean something: its draft is whole.
    const copy = join(folder, 'copy.json');
    await copyFile(join(`${path}.drafts`, draft), copy);
    expect(await keyFile({ path: copy }).current(live)).not.toBe(first);

    const second = await rotateKeyFile({ path });
    expect(await ids()).toEqual([second, first]);
    expect((await readdir(folder)).sort()).toEqual(['copy.json', 'keys.json']);
  });

  test('that die before a new file has its name leave none, and nothing for long', async () => {
    const { signal } = spawnSync(process.execPath, [fixture('die-before-naming.ts'), 'create', path]);
    expect(signal).toBe('SIGKILL');
    expect(await readdir(folder)).toEqual(['keys.json.drafts']);
    const made = await createKeyFile({ path });
    expect(await ids()).toEqual([made]);
    expect(await readdir(folder)).toEqual(['keys.json']);
  });
});
