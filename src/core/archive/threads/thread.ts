import type { Worker } from 'node:worker_threads';
import { errorOf, FafnirError } from '../../errors.ts';
import type { Answer, Asked, Request } from './messages.ts';

/** One thread, and what it was asked. */
export class Thread {
  /** Lanes that are open on it. */
  lanes = 0;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #asked = 0;
  #death: FafnirError | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (answer: Answer) => this.#settle(answer));
    worker.on('error', (cause) => this.#die('UNAVAILABLE', 'a worker thread failed', cause));
    worker.on('exit', () => this.#die('UNAVAILABLE', 'a worker thread ended'));
    // Only work keeps the process alive.
    worker.unref();
  }

  /** Whether it will never answer again. */
  get isDead(): boolean {
    return this.#death !== undefined;
  }

  /** How busy it is. */
  get load(): number {
    return this.#waiting.size + this.lanes;
  }

  /** Sends a request; rejects with what it threw there, or with `UNAVAILABLE` where the thread died. */
  ask(request: Request, transfer: readonly ArrayBuffer[]): Promise<unknown> {
    if (this.#death !== undefined) return Promise.reject(this.#death);
    this.#asked += 1;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(this.#asked, waiting);
    this.#worker.ref();
    this.#worker.postMessage({ id: this.#asked, request } satisfies Asked, transfer);
    return waiting.promise;
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    this.#die('CLOSED', 'the engine was closed');
    await this.#worker.terminate();
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    // Nobody waits for what comes after the end, and the process must live until the thread has ended.
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if ('error' in answer) waiting.reject(errorOf(answer.error));
    else waiting.resolve(answer.output);
  }

  #die(code: 'UNAVAILABLE' | 'CLOSED', what: string, cause?: unknown): void {
    this.#death ??= new FafnirError(code, what, { cause });
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#worker.unref();
    for (const one of waiting) one.reject(this.#death);
  }
}
