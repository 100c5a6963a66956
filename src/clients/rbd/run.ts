import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { findProgram, type Program } from '../host/run.ts';
import { rbdError } from './errors.ts';

const PROGRAM: Program = { name: 'rbd', package: 'ceph-common' };
const LONGEST_COMPLAINT = 8 * 1024;
const LONGEST_ANSWER = 16 * 1024 * 1024;

/** How a cluster is reached. What is left out is as in Ceph's own defaults. */
export interface RbdAccess {
  /** The pool that images are in. */
  readonly pool: string;
  /** The user without `client.`. */
  readonly user?: string;
  /** The path of the configuration file. */
  readonly conf?: string;
  /** Addresses of monitors. */
  readonly monitors?: readonly string[];
  /** The path of the file with the user's key. */
  readonly keyring?: string;
}

/** One run of `rbd`. */
export interface RbdRun extends CallOptions {
  /** What is tried, for messages, such as `cannot remove image a`. */
  readonly what: string;
  /** Milliseconds that it may stay silent for while its output or its end is waited for. */
  readonly timeout: number;
}

/** What a program of Ceph sees of the host: neither its variables nor its time zone. */
export const RBD_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
};

/** What it prints, as text. */
export async function runRbd(access: RbdAccess, parameters: readonly string[], run: RbdRun): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of rbdBytes(access, parameters, run)) {
    length += chunk.length;
    if (length > LONGEST_ANSWER) {
      throw new FafnirError('LIMIT_EXCEEDED', `${run.what}: rbd printed more than ${LONGEST_ANSWER} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/**
 * What it prints, as it comes. Ends only when the program ended well, so that a dead child is never a short answer.
 * Leaving the loop, the signal or the deadline ends the program.
 */
export async function* rbdBytes(
  access: RbdAccess,
  parameters: readonly string[],
  { what, timeout, signal }: RbdRun,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal.throwIfAborted();
  const path = await findProgram(PROGRAM);
  signal.throwIfAborted();
  const child = spawn(path, [...accessParameters(access), ...parameters], {
    env: RBD_ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = ending(child);
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  let late = false;
  const inTime = async <Value>(coming: Promise<Value>): Promise<Value> => {
    const timer = setTimeout(() => {
      late = true;
      kill();
    }, timeout);
    try {
      return await coming;
    } finally {
      clearTimeout(timer);
    }
  };
  signal.addEventListener('abort', kill, { once: true });
  try {
    const output = child.stdout[Symbol.asyncIterator]();
    for (;;) {
      const next = await inTime(output.next());
      if (next.done === true) break;
      signal.throwIfAborted();
      yield next.value;
    }
    const { code, killedBy, complaint, failure } = await inTime(ended);
    signal.throwIfAborted();
    if (late) throw new FafnirError('UNAVAILABLE', `${what}: rbd did not answer for ${timeout} ms`);
    if (failure !== undefined) {
      throw new FafnirError('UNAVAILABLE', `${what}: rbd could not be started`, { cause: failure });
    }
    if (code !== 0) throw rbdError({ what, code, killedBy, complaint });
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    await ended;
  }
}

/** The parameters that say how the cluster is reached. */
function accessParameters({ user, conf, monitors, keyring }: RbdAccess): readonly string[] {
  // Without a file of its own, monitors are not to be mixed with those of the host's file.
  const file = conf ?? (monitors === undefined ? undefined : '/dev/null');
  return [
    ...(file === undefined ? [] : ['--conf', file]),
    ...(monitors === undefined ? [] : ['--mon-host', monitors.join(',')]),
    ...(user === undefined ? [] : ['--id', user]),
    ...(keyring === undefined ? [] : ['--keyring', keyring]),
  ];
}

interface Ending {
  readonly code: number | null;
  readonly killedBy: string | null;
  readonly complaint: string;
  readonly failure?: unknown;
}

async function ending(child: ChildProcess): Promise<Ending> {
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-LONGEST_COMPLAINT);
  });
  try {
    await once(child, 'close');
    return { code: child.exitCode, killedBy: child.signalCode, complaint };
  } catch (failure) {
    return { code: null, killedBy: null, complaint, failure };
  }
}
