import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { settings } from './settings.ts';

const { pool, user, conf, monitors, keyring } = settings.rbd;
const file = conf ?? (monitors === undefined ? undefined : '/dev/null');
const access = [
  ...(file === undefined ? [] : ['--conf', file]),
  ...(monitors === undefined ? [] : ['--mon-host', monitors.join(',')]),
  ...(user === undefined ? [] : ['--id', user]),
  ...(keyring === undefined ? [] : ['--keyring', keyring]),
];
const of = ['--pool', pool, '--image'];
const run = promisify(execFile);

/** The names of all images. */
export async function imageNames(): Promise<readonly string[]> {
  const { stdout } = await run('rbd', [...access, 'ls', '--format', 'json', pool], { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout);
}

/** Bytes of an image; undefined where there is none. */
export async function imageSize(name: string): Promise<number | undefined> {
  try {
    const { stdout } = await run('rbd', [...access, 'info', '--format', 'json', ...of, name]);
    return JSON.parse(stdout).size;
  } catch (error) {
    // That is how the program says so.
    if (error instanceof Error && 'code' in error && error.code === 2) return undefined;
    throw error;
  }
}

/** Makes an image of these bytes. */
export async function makeImage(name: string, bytes: Uint8Array): Promise<void> {
  const child = spawn('rbd', [...access, 'import', '--no-progress', '-', `${pool}/${name}`], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  child.stdin.end(bytes);
  await ended(child);
}

/** Removes an image with its snapshots. */
export async function removeImage(name: string): Promise<void> {
  await run('rbd', [...access, 'snap', 'purge', '--no-progress', ...of, name]);
  await run('rbd', [...access, 'rm', '--no-progress', ...of, name]);
}

/** The digest of what an image holds. */
export async function imageDigest(name: string): Promise<string> {
  const child = spawn('rbd', [...access, 'export', '--no-progress', `${pool}/${name}`, '-'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const hash = createHash('sha256');
  await Promise.all([pipeline(child.stdout, hash), ended(child)]);
  return hash.digest('hex');
}

async function ended(child: ChildProcess): Promise<void> {
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${child.spawnargs.join(' ')} ended with ${code}`);
}
