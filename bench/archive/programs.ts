import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';

const runFile = promisify(execFile);

/** What all benches of archives need beside Node, each with the Debian package that has it. */
const COMMON: Readonly<Record<string, string>> = {
  zstd: 'zstd',
  openssl: 'openssl',
  mke2fs: 'e2fsprogs',
  filefrag: 'e2fsprogs',
  xargs: 'findutils',
  time: 'time',
  bash: 'bash',
  cmp: 'diffutils',
};

const MEBIBYTE_IN_KIBIBYTES = 1024;
const PATH = [process.env.PATH, '/usr/sbin', '/sbin'].join(delimiter);

/** Where a program runs, and what is added to its environment. */
export interface Surroundings {
  /** The working directory. */
  readonly cwd?: string;
  /** Beside what this process has. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What a process and its children took. */
export interface Cost {
  /** Wall time. */
  readonly seconds: number;
  /** User and system time. */
  readonly cpu: number;
  /** The most memory that one of the processes had resident, in MiB. */
  readonly peak: number;
  /** What it printed. */
  readonly printed: string;
}

/** Rejects, with how to install them, where programs are missing; `rivals` with the Debian packages that have them. */
export async function assertPrograms(rivals: Readonly<Record<string, string>>): Promise<void> {
  const needed = { ...COMMON, ...rivals };
  const missing: (keyof typeof needed)[] = [];
  for (const name of Object.keys(needed)) {
    // Not `command -v`: `time` is a word of the shell too.
    await run('which', [name]).catch(() => missing.push(name));
  }
  if (missing.length === 0) return;
  const packages = new Set(missing.map((name) => needed[name]));
  throw new Error(`${missing.join(', ')} not found; install: apt-get install ${[...packages].join(' ')}`);
}

/** Runs a program that is not measured; resolves with what it printed. */
export async function run(
  name: string,
  parameters: readonly string[],
  { cwd, env }: Surroundings = {},
): Promise<string> {
  const options = { cwd, env: { ...process.env, PATH, ...env }, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await runFile(name, parameters, options);
  return stdout;
}

/**
 * Runs a program in a quiet moment and tells what it took, its start included. What earlier work left to be written
 * is written before, or it would be paid for here.
 */
export async function measure(
  name: string,
  parameters: readonly string[],
  { cwd, env }: Surroundings = {},
): Promise<Cost> {
  await run('sync', []);
  const report = join(tmpdir(), `fafnir-bench-time-${randomUUID()}`);
  try {
    const start = performance.now();
    const child = spawn('time', ['-q', '-f', '%U %S %M', '-o', report, name, ...parameters], {
      cwd,
      env: { ...process.env, PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const [printed, said, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    const seconds = (performance.now() - start) / 1000;
    if (code !== 0) throw new Error(`${name} ${parameters.join(' ')} ended with ${code}: ${said}`);
    const [user = NaN, system = NaN, peak = NaN] = (await readFile(report, 'utf8')).split(' ').map(Number);
    return { seconds, cpu: user + system, peak: peak / MEBIBYTE_IN_KIBIBYTES, printed };
  } finally {
    await rm(report, { force: true });
  }
}
