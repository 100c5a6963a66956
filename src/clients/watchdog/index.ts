import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

// What the other process runs. It travels as text, since no bundler would keep a file for it. It tries for ten minutes,
// for giving up leaves the application paused; but what can be released at all is released by then. It stays beyond the deadline, since the one it watches may have slept through
// that, and begin the pause only when it wakes.
const WATCH = `
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { module, options, milliseconds } = JSON.parse((await lines.next()).value);
const { release } = await import(module);
process.stdout.write('watching\\n');
const said = lines.next();
await end(await Promise.race([said, delay(milliseconds, {})]));
await end(await said);
process.exit(0);

async function end({ value }) {
  if (value === 'dismissed') process.exit(0);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await release(options);
    } catch (error) {
      if (attempt === 600) throw error;
      await delay(1_000);
    }
  }
}
`;

/** What a watchdog does when its time has come. */
export interface WatchdogTask {
  /** URL of a module that exports `release(options)`. It may be called when nothing is to be released, and twice. */
  readonly module: string;
  /** Passed to `release`; no secrets, for they stand in a pipe. */
  readonly options: JsonObject;
  /** Milliseconds from now on, after which it releases. */
  readonly milliseconds: number;
}

/** A process that ends something if this one does not live to do so. */
export interface Watchdog extends AsyncDisposable {
  /** Its process, for logs. */
  readonly pid: number;
  /** Tells it that there is nothing left to release, and waits until it has gone. */
  dismiss(): Promise<void>;
}

/**
 * Starts a process that releases something at a deadline, and when this process dies in whatever way: then the pipe
 * between the two closes. Resolves when it watches, so start it before there is anything to release.
 */
export async function startWatchdog(task: WatchdogTask): Promise<Watchdog> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', WATCH], {
    // Not the host's stderr: a pipe behind that would stay open for as long as this process lives.
    stdio: ['pipe', 'pipe', 'ignore'],
    // In a session of its own: what kills this process group must not kill it too.
    detached: true,
  });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  // A watchdog that has gone is noticed by that, not by the pipe that it leaves behind.
  child.stdin.on('error', () => undefined);
  try {
    child.stdin.write(`${JSON.stringify(task)}\n`);
    const answer = await Promise.race([once(child.stdout, 'data'), gone]);
    if (String(answer) !== 'watching\n') throw new Error('it ended before it watched');
  } catch (error) {
    child.kill();
    throw FafnirError.from(error, 'UNAVAILABLE', 'the watchdog process did not start');
  }
  // It must not keep this process alive; the pipe closing is how it learns that this one is gone.
  const handles = [child, child.stdin, child.stdout] as const;
  for (const handle of handles) if (isReferenced(handle)) handle.unref();
  const dismiss = async (): Promise<void> => {
    child.ref();
    child.stdin.end('dismissed\n');
    await gone;
  };
  return { pid: child.pid ?? 0, dismiss, [Symbol.asyncDispose]: dismiss };
}

// Pipes are sockets, though their type does not say so.
const isReferenced = (handle: object): handle is { unref(): void } => 'unref' in handle;
