import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startWatchdog } from '../../../src/clients/watchdog/index.ts';

const fixture = new URL('fixtures/release.ts', import.meta.url).href;
const parent = new URL('fixtures/parent.ts', import.meta.url);
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fafnir-watchdog-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const released = (file: string): Promise<void> =>
  vi.waitFor(() => expect(existsSync(file)).toBe(true), { timeout: 20_000 });

describe('the watchdog', () => {
  it('releases at the deadline', async () => {
    const file = join(directory, 'deadline');
    await using _watchdog = await startWatchdog({ module: fixture, options: { file }, milliseconds: 50 });
    await released(file);
  });

  it('releases when the process that started it is killed', async () => {
    const file = join(directory, 'killed');
    const child = spawn(process.execPath, [parent.pathname, fixture, file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    expect(existsSync(file)).toBe(false);
    child.kill('SIGKILL');
    await released(file);
  });

  it('releases when the process that started it comes to its end, which it does not hold up', async () => {
    const file = join(directory, 'left');
    const leaves = new URL('fixtures/leaves.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [leaves, fixture, file], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    expect(await once(child, 'exit')).toEqual([0, null]);
    await released(file);
  });

  it('tries again until the release succeeds', async () => {
    const file = join(directory, 'stubborn');
    const failing = join(directory, 'failing');
    await writeFile(failing, '');
    const options = { file, failing };
    await using _watchdog = await startWatchdog({ module: fixture, options, milliseconds: 10 });
    await vi.waitFor(async () => expect(await readFile(failing, 'utf8')).not.toBe(''), { timeout: 20_000 });
    expect(existsSync(file)).toBe(false);
    await rm(failing);
    await released(file);
  });

  it('does nothing once it is dismissed, and is gone', async () => {
    const file = join(directory, 'dismissed');
    const watchdog = await startWatchdog({ module: fixture, options: { file }, milliseconds: 60_000 });
    await watchdog.dismiss();
    expect(() => process.kill(watchdog.pid, 0)).toThrow();
    expect(existsSync(file)).toBe(false);
  });

  it('is refused where its module cannot be loaded', async () => {
    const started = startWatchdog({ module: 'file:///no/such/module.js', options: {}, milliseconds: 10 });
    await expect(started).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
