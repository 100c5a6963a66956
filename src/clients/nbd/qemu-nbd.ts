import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CallOptions } from '../../core/contracts/index.ts';
import { type ErrorCode, FafnirError } from '../../core/errors.ts';
import { findProgram, type Program } from '../host/run.ts';
import { NbdConnection } from './connection.ts';

const SERVER: Program = { name: 'qemu-nbd', package: 'qemu-utils' };
/** Lets the server die with this process, even one that is killed before it has connected. */
const TETHER: Program = { name: 'setpriv', package: 'util-linux' };
const LONGEST_COMPLAINT = 4 * 1024;
/** Milliseconds between two tries to connect to a server that is starting. */
const PAUSE = 10;
/** Milliseconds that a server has to end by itself. */
const LAST_WORDS = 5_000;

/** What is served, and how long an answer may take. */
export interface ServedImage extends CallOptions {
  /** As QEMU names it; without secrets, for everybody can see it. */
  readonly image: string;
  /** For messages. */
  readonly name: string;
  /** Milliseconds. */
  readonly timeout: number;
  /** Variables of the server. */
  readonly environment: Readonly<Record<string, string>>;
}

/** An image that can be read and written anywhere. */
export interface ServedDevice {
  /** Reads and writes it. */
  readonly device: NbdConnection;
  /** Ends the server; what it still has it writes first. */
  close(): Promise<void>;
}

/** Serves a raw image with `qemu-nbd`, to this process alone, until it is closed. */
export async function serveImage(request: ServedImage): Promise<ServedDevice> {
  const { image, name, timeout, environment, signal } = request;
  signal.throwIfAborted();
  const [tether, server] = await Promise.all([findProgram(TETHER), findProgram(SERVER)]);
  const folder = await mkdtemp(join(tmpdir(), 'fafnir-nbd-'));
  const path = join(folder, 'socket');
  const parameters = ['--socket', path, '--format=raw', '--cache=writeback', '--discard=unmap', image];
  const child = spawn(tether, ['--pdeathsig', 'KILL', '--', server, ...parameters], {
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = ending(child);
  const bound = AbortSignal.any([signal, AbortSignal.timeout(timeout)]);
  try {
    const socket = await firstOf(connected(path, bound), ended, name);
    const device = await NbdConnection.open(socket, name, timeout);
    return { device, close: () => closeAll(device, child, ended, timeout) };
  } catch (error) {
    // Killed, it would keep the image busy until the cluster misses it.
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), LAST_WORDS);
    const complaint = await ended;
    clearTimeout(timer);
    signal.throwIfAborted();
    // It may listen before it finds that it has nothing to serve.
    if (complaint !== '') throw startError(name, complaint);
    throw FafnirError.from(error, 'UNAVAILABLE', `cannot open ${name}`);
  } finally {
    // Nobody else is to connect, and nothing is to stay.
    await rm(folder, { recursive: true, force: true });
  }
}

async function connected(path: string, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, 'connect', { signal });
      return socket;
    } catch (error) {
      socket.destroy();
      if (signal.aborted) throw error;
      await delay(PAUSE, undefined, { signal });
    }
  }
}

/** The connection, unless the server ends before there is one. */
async function firstOf(connecting: Promise<Socket>, ended: Promise<string>, name: string): Promise<Socket> {
  const early = ended.then((complaint) => {
    throw startError(name, complaint);
  });
  try {
    return await Promise.race([connecting, early]);
  } finally {
    // The one that lost is of no interest any more.
    early.catch(() => undefined);
    connecting.catch(() => undefined);
  }
}

/** What the server complained of, once it has ended. */
async function ending(child: ChildProcess): Promise<string> {
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, LONGEST_COMPLAINT);
  });
  try {
    await once(child, 'close');
  } catch (error) {
    return `it could not be started: ${String(error)}`;
  }
  return complaint.trim();
}

async function closeAll(
  device: NbdConnection,
  child: ChildProcess,
  ended: Promise<string>,
  timeout: number,
): Promise<void> {
  device.close();
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  await ended;
  clearTimeout(timer);
}

const COMPLAINTS: readonly (readonly [RegExp, ErrorCode])[] = [
  [/No such file or directory/, 'NOT_FOUND'],
  [/Permission denied|Operation not permitted/, 'ACCESS_DENIED'],
  [/Unknown (driver|protocol)/, 'UNSUPPORTED'],
];

function startError(name: string, complaint: string): FafnirError {
  const [, code = 'UNAVAILABLE'] = COMPLAINTS.find(([pattern]) => pattern.test(complaint)) ?? [];
  const hint = 'Install what QEMU needs to open such images, such as the package qemu-block-extra.';
  const facts = code === 'UNSUPPORTED' ? { hint } : {};
  return new FafnirError(code, `cannot open ${name}: qemu-nbd ended: ${complaint}`, facts);
}
