import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The lines that a child prints. */
export type Lines = AsyncIterator<string>;

/** A process that works on a store. */
export interface StartedChild {
  readonly running: ChildProcessWithoutNullStreams;
  readonly lines: Lines;
  /** How it ended, and what it said of errors. */
  closed(): Promise<{ code: number | null; signal: string | null; errors: string }>;
}

/** How a child ends that did all it was to do. */
export const ENDED_WELL = { code: 0, signal: null, errors: '' };

/** Processes that work on a store, each one a program of `fixtures`. */
export class Children implements AsyncDisposable {
  readonly #running: ChildProcessWithoutNullStreams[] = [];

  /** Starts one. */
  start(fixture: string, ...values: readonly string[]): StartedChild {
    const file = join(import.meta.dirname, 'fixtures', `${fixture}.ts`);
    const running = spawn(process.execPath, [file, ...values]);
    this.#running.push(running);
    let errors = '';
    running.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    const closed = once(running, 'close');
    const lines: Lines = createInterface({ input: running.stdout })[Symbol.asyncIterator]();
    return {
      running,
      lines,
      closed: async () => {
        const [code, signal] = await closed;
        return { code, signal, errors };
      },
    };
  }

  /** Kills those that run still. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running.splice(0)) {
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
        await once(child, 'exit');
    }
  }
}

/** The next line, which must come. */
export async function nextLine(lines: Lines): Promise<string> {
  const { value, done } = await lines.next();
  if (done === true) throw new Error('the child ended early');
  return value;
}

/** All lines that are to come. */
export async function rest(lines: Lines): Promise<string[]> {
  const found: string[] = [];
  for (let next = await lines.next(); next.done !== true; next = await lines.next()) found.push(next.value);
  return found;
}
