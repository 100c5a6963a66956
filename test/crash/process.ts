import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Order } from './fixtures/child.ts';
import type { Message } from './messages.ts';

const program = fileURLToPath(new URL('fixtures/child.ts', import.meta.url));
const LONGEST_EXCUSE = 2_000;
const POLL = 5;

/** Where children find what Node has compiled for those before; whoever starts children removes it. */
export const COMPILED: string = join(tmpdir(), `fafnir-crash-${process.pid}-compiled`);

type MessageOf<Type extends Message['type']> = Extract<Message, { readonly type: Type }>;

/** A process that works on a case. Ends with its scope, whatever state it is in. */
export class Child implements AsyncDisposable {
  /** All that it has told. */
  readonly messages: Message[] = [];
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #news = new EventEmitter();
  readonly #isToDie: boolean;
  readonly #longest: number;
  #isClosed = false;
  #stderr = '';

  /** One that takes longer than so many milliseconds hangs. */
  constructor(order: Order, longest: number) {
    this.#longest = longest;
    // One thread in the pool, so that the calls of one run end in the same order as those of the next.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_COMPILE_CACHE: COMPILED };
    const child = spawn(process.execPath, [program, JSON.stringify(order)], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.messages.push(JSON.parse(line));
      this.#news.emit('news');
    });
    this.#process = child;
    this.#isToDie = order.strike?.signal === 'SIGKILL';
    this.#closed = once(child, 'close').then(() => {
      this.#isClosed = true;
      this.#news.emit('news');
    });
  }

  /** The messages of one type. */
  told<Type extends Message['type']>(type: Type): readonly MessageOf<Type>[] {
    return this.messages.filter((message): message is MessageOf<Type> => message.type === type);
  }

  /** Resolves when it has told a message of this type, has ended, or some milliseconds have gone by. */
  async until(type: Message['type'], milliseconds: number = this.#longest): Promise<void> {
    const signal = AbortSignal.timeout(milliseconds);
    while (this.told(type).length === 0 && !this.#isClosed && !signal.aborted) {
      await Promise.race([once(this.#news, 'news'), once(signal, 'abort')]);
    }
  }

  /** Lets it run on after it has stopped itself, if it was struck. */
  async resume(): Promise<void> {
    if (this.told('struck').length === 0) return;
    // It tells before it stops: a signal to go on that came in between would be lost.
    while (!this.#isClosed && !(await isStopped(this.#process.pid))) await delay(POLL);
    this.#process.kill('SIGCONT');
  }

  /** Resolves with what was wrong about its end, if anything: a child that hangs is killed. */
  async ended(): Promise<string | undefined> {
    let hung = false;
    const late = setTimeout(() => {
      hung = true;
      this.#process.kill('SIGKILL');
    }, this.#longest);
    await this.#closed;
    clearTimeout(late);
    const { exitCode, signalCode } = this.#process;
    if (hung) return `a child had not ended after ${this.#longest} ms`;
    if (exitCode === 0 || (this.#isToDie && this.told('struck').length > 0)) return undefined;
    return `a child ended with ${signalCode ?? exitCode}: ${this.#stderr.trim().slice(0, LONGEST_EXCUSE)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#closed;
  }
}

async function isStopped(process: number | undefined): Promise<boolean> {
  // The state follows the program's name, which is in parentheses.
  const stat = await readFile(`/proc/${process}/stat`, 'utf8').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
}
