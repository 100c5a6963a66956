import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { JsonObject, Quiescing } from '../../../src/index.ts';
import { localQuiescing } from '../../../src/resources/local/freezer.ts';

const FREEZER = new URL('fixtures/freezer.ts', import.meta.url).href;
const PAUSER = new URL('fixtures/pauser.ts', import.meta.url).pathname;
const TOKEN = '0123456789abcdef0123456789abcdef';
const WEB = { type: 'Local::Server', id: 'web' };
const call = { signal: new AbortController().signal };
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fafnir-freezer-'));
  await mkdir(join(directory, 'site'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const quiescing = (more: JsonObject = {}): Quiescing =>
  localQuiescing(join(directory, 'site'), { module: FREEZER, options: { directory, ...more } });
const isFrozen = (): boolean => existsSync(join(directory, 'frozen-web'));
const pauses = (): Promise<string[]> => readdir(join(directory, 'site', 'pauses'));
const thawed = (): Promise<void> => vi.waitFor(() => expect(isFrozen()).toBe(false), { timeout: 20_000 });

describe('the pause of a local server', () => {
  it('lasts until it is ended, and leaves nothing', async () => {
    const local = quiescing();
    await local.quiesce(WEB, { token: TOKEN, deadline: Date.now() + 60_000 }, call);
    expect(isFrozen()).toBe(true);
    await local.unquiesce(TOKEN, call);
    expect(isFrozen()).toBe(false);
    expect(await pauses()).toEqual([]);
    await local.unquiesce(TOKEN, call);
    expect(await readFile(join(directory, 'log'), 'utf8')).toBe('freeze web\nrelease web\n');
  });

  it('is ended by another process that has the token alone', async () => {
    const local = quiescing();
    await local.quiesce(WEB, { token: TOKEN, deadline: Date.now() + 60_000 }, call);
    await quiescing().unquiesce(TOKEN, call);
    expect(isFrozen()).toBe(false);
    await local.unquiesce(TOKEN, call);
  });

  it('ends at its deadline though nobody ends it', async () => {
    const local = quiescing();
    await local.quiesce(WEB, { token: TOKEN, deadline: Date.now() + 1_500 }, call);
    expect(isFrozen()).toBe(true);
    await thawed();
    await local.unquiesce(TOKEN, call);
  });

  it('ends when the process that began it is killed', async () => {
    const child = spawn(process.execPath, [PAUSER, directory, FREEZER, TOKEN], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    expect(isFrozen()).toBe(true);
    child.kill('SIGKILL');
    await thawed();
  });

  it('is taken back when it begins too late', async () => {
    const late = quiescing({ slow: 300 });
    const paused = late.quiesce(WEB, { token: TOKEN, deadline: Date.now() + 100 }, call);
    await expect(paused).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: false });
    expect(isFrozen()).toBe(false);
    expect(await pauses()).toEqual([]);
  });

  it('is ended also where it could not tell that it began', async () => {
    const broken = quiescing({ broken: true });
    await expect(broken.quiesce(WEB, { token: TOKEN, deadline: Date.now() + 60_000 }, call)).rejects.toThrow(
      'frozen',
    );
    expect(isFrozen()).toBe(true);
    await broken.unquiesce(TOKEN, call);
    expect(isFrozen()).toBe(false);
  });

  it('leaves nothing where the process was killed that wrote its record', async () => {
    const unfinished = join(directory, 'site', 'pauses', `~${TOKEN}`);
    await mkdir(unfinished, { recursive: true });
    await writeFile(join(unfinished, 'rest'), '{');
    await quiescing().unquiesce(TOKEN, call);
    expect(await pauses()).toEqual([]);
  });

  it('is refused where the freezer is none', async () => {
    const none = localQuiescing(join(directory, 'site'), {
      module: new URL('nowhere.ts', import.meta.url).href,
    });
    const paused = none.quiesce(WEB, { token: TOKEN, deadline: Date.now() + 60_000 }, call);
    await expect(paused).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  });
});
