import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { findProgram, type Program } from '../host/run.ts';
import { rbdError } from './errors.ts';

const PROGRAM: Program = { name: 'rbd', package: 'ceph-common' };
const LONGEST_COMPLAINT = 8 * 1024;
const LONGEST_ANSWER = 16 * 1024 * 1024;
/** Milliseconds that a program which is no longer wanted has to end by itself. */
const LAST_WORDS = 5_000;

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
 * Leaving the loop, the signal or the deadline ends the program; what it has begun may have its effect all the same.
 */
export async function* rbdBytes(
  access: RbdAccess,
  parameters: readonly string[],
  run: RbdRun,
): AsyncGenerator<Uint8Array, void, undefined> {
  await using child = await RbdProcess.start(access, parameters, run, 'prints');
  yield* child.output();
  await child.finish();
}

/** Gives it bytes to read; the signal, the deadline or an error of the bytes ends the program before it has them all. */
export async function feedRbd(
  access: RbdAccess,
  parameters: readonly string[],
  bytes: AsyncIterable<Uint8Array>,
  run: RbdRun,
): Promise<void> {
  await using child = await RbdProcess.start(access, parameters, run, 'reads');
  for await (const chunk of bytes) {
    // It does not read on, and its ending tells why.
    if (!(await child.give(chunk))) break;
  }
  await child.finish();
}

class RbdProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #run: RbdRun;
  readonly #ended: Promise<Ending>;
  /** What reads ends with its input, and what prints once nobody listens. */
  readonly #stop = (): void => {
    (this.#child.stdin ?? this.#child.stdout)?.destroy();
  };
  #isLate = false;

  static async start(
    access: RbdAccess,
    parameters: readonly string[],
    run: RbdRun,
    does: 'prints' | 'reads',
  ): Promise<RbdProcess> {
    run.signal.throwIfAborted();
    const path = await findProgram(PROGRAM);
    run.signal.throwIfAborted();
    const child = spawn(path, [...accessParameters(access), ...parameters], {
      env: RBD_ENVIRONMENT,
      stdio: [does === 'reads' ? 'pipe' : 'ignore', does === 'prints' ? 'pipe' : 'ignore', 'pipe'],
    });
    return new RbdProcess(child, run);
  }

  private constructor(child: ChildProcess, run: RbdRun) {
    this.#child = child;
    this.#run = run;
    this.#ended = ending(child);
    run.signal.addEventListener('abort', this.#stop, { once: true });
    // What it could not be given is told by its ending.
    child.stdin?.on('error', () => undefined);
  }

  async *output(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#child.stdout === null) return;
    const chunks: AsyncIterator<Uint8Array> = this.#child.stdout[Symbol.asyncIterator]();
    for (;;) {
      const next = await this.#inTime(chunks.next());
      if (next.done === true) return;
      this.#run.signal.throwIfAborted();
      yield next.value;
    }
  }

  /** False when it takes no more. */
  async give(chunk: Uint8Array): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#child.stdin?.write(chunk, (error) => resolve(error === null || error === undefined));
    return await this.#inTime(promise);
  }

  /** Waits for its end, and throws unless it was a good one. */
  async finish(): Promise<void> {
    const { what, timeout, signal } = this.#run;
    this.#child.stdin?.end();
    const { code, killedBy, complaint, failure } = await this.#inTime(this.#ended);
    signal.throwIfAborted();
    if (this.#isLate) throw new FafnirError('UNAVAILABLE', `${what}: rbd did not answer for ${timeout} ms`);
    if (failure !== undefined) {
      throw new FafnirError('UNAVAILABLE', `${what}: rbd could not be started`, { cause: failure });
    }
    if (code !== 0) throw rbdError({ what, code, killedBy, complaint });
  }

  /**
   * It is given time to end by itself: killed, it would keep the image busy until the cluster misses it, half a minute
   * later, and a watch that it was about to set might stay for good.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#run.signal.removeEventListener('abort', this.#stop);
    this.#stop();
    const timer = setTimeout(() => this.#kill(), LAST_WORDS);
    await this.#ended;
    clearTimeout(timer);
  }

  #kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Its consumer may take as long as it likes; only the program is timed. */
  async #inTime<Value>(coming: Promise<Value>): Promise<Value> {
    const timer = setTimeout(() => {
      this.#isLate = true;
      this.#kill();
    }, this.#run.timeout);
    try {
      return await coming;
    } catch (error) {
      // Of an output that was closed because of it.
      this.#run.signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
    }
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
