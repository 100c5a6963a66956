import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/** Where system programs live although the PATH of a service or user often leaves these folders out. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const LONGEST_LINE = 64 * 1024;
const LONGEST_COMPLAINT = 4 * 1024;

/** A program that this package starts, and the package of the system that brings it. */
export interface Program {
  /** The file's name. */
  readonly name: string;
  /** What to install where it is missing. */
  readonly package: string;
}

/** The part of a file handle that a child process needs. */
export interface OpenedFile {
  /** The descriptor; -1 when closed. */
  readonly fd: number;
}

/** How a program is started. */
export interface RunOptions extends CallOptions {
  /** An open file that the program inherits as {@link INHERITED}: no path that could be swapped or misread. */
  readonly inherit: OpenedFile;
}

/** The name under which a child process opens the file that it inherited. */
export const INHERITED = '/dev/fd/3';

/** The absolute path of a program; rejects with `UNSUPPORTED`, saying "not installed", where there is none. */
export async function findProgram(program: Program): Promise<string> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(isAbsolute);
  for (const folder of new Set([...folders, ...SYSTEM_FOLDERS])) {
    const path = join(folder, program.name);
    if (await isExecutable(path)) return path;
  }
  throw new FafnirError('UNSUPPORTED', `${program.name} is not installed`, {
    hint: `Install the package ${program.package}.`,
  });
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The lines that a program prints, as they come. Ends only when the program ended well, so that a dead child is
 * never a short answer; leaving the loop, or the signal, ends the program.
 */
export async function* runLines(
  program: Program,
  parameters: readonly string[],
  { signal, inherit }: RunOptions,
): AsyncGenerator<string, void, undefined> {
  signal.throwIfAborted();
  const path = await findProgram(program);
  signal.throwIfAborted();
  // Read at the last moment: a descriptor that was closed meanwhile may be another file by now.
  const descriptor = inherit.fd;
  if (descriptor < 0) throw new FafnirError('CLOSED', `the file for ${program.name} was closed`);
  const child = spawn(path, parameters, {
    env: { PATH: SYSTEM_FOLDERS.join(delimiter), LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe', descriptor],
  });
  const ended = ending(child);
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  signal.addEventListener('abort', kill, { once: true });
  try {
    if (child.stdout !== null) yield* lines(child.stdout, program.name);
    const failure = await ended;
    signal.throwIfAborted();
    if (failure !== undefined) {
      throw new FafnirError('UNAVAILABLE', `${program.name} ${failure.message}`, { cause: failure.cause });
    }
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    await ended;
  }
}

/** Resolves when the child is gone: with nothing when it ended well, else with what it complained about. */
async function ending(child: ChildProcess): Promise<{ message: string; cause?: unknown } | undefined> {
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, LONGEST_COMPLAINT);
  });
  try {
    const [code, killedBy]: unknown[] = await once(child, 'close');
    if (code === 0) return undefined;
    const how = killedBy === null ? `ended with ${code}` : `was ended by ${killedBy}`;
    return { message: `${how}: ${complaint.trim()}` };
  } catch (error) {
    return { message: 'could not be started', cause: error };
  }
}

async function* lines(output: NodeJS.ReadableStream, name: string): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const text of output.setEncoding('utf8')) {
    const parts = (rest + String(text)).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > LONGEST_LINE) {
      throw new FafnirError('WRONG_ANSWER', `${name} printed a line of more than ${LONGEST_LINE} characters`);
    }
    yield* parts;
  }
  if (rest !== '') yield rest;
}
