import { Worker } from 'node:worker_threads';
import { FafnirError } from '../../errors.ts';
import type { SealedPack } from '../pack-builder.ts';
import { Permits } from '../volume/lanes.ts';
import type { Request } from './messages.ts';
import type { SealedStripe, SealingLane, SealingOptions } from './sealing-lane.ts';
import type { InputOf, OutputOf, Tasks } from './tasks.ts';
import { Thread } from './thread.ts';
import type { Threads } from './threads.ts';

/** What a pool is made of. */
export interface PoolOptions {
  /** Most threads; they are started when there is work for them. */
  readonly workers: number;
  /** Starts a thread that runs `fafnir/worker`; for hosts whose bundler moves that file. */
  readonly createWorker?: () => Worker;
}

/** Threads that are started when there is work for them, and do not keep the process alive without. */
export class ThreadPool implements Threads {
  readonly width: number;
  readonly readsSources = true;
  readonly packs: Permits;
  readonly #create: () => Worker;
  readonly #threads: (Thread | undefined)[] = [];
  #lanes = 0;
  #openLanes = 0;
  #isClosed = false;

  constructor({ workers, createWorker = createDefaultWorker }: PoolOptions) {
    this.width = workers;
    // One that is read while each of the threads has another.
    this.packs = new Permits(workers + 1);
    this.#create = createWorker;
  }

  get lanes(): number {
    return this.#openLanes;
  }

  run<Name extends keyof Tasks>(
    name: Name,
    input: InputOf<Name>,
    transfer: readonly ArrayBuffer[],
  ): Promise<OutputOf<Name>> {
    return this.#ask(this.#leastBusy(), { kind: 'run', name, input }, transfer);
  }

  sealing(options: SealingOptions): SealingLane {
    this.#lanes += 1;
    const lane = this.#lanes;
    const thread = this.#leastBusy();
    thread.lanes += 1;
    this.#openLanes += 1;
    let isOpen = true;
    const begun = this.#ask<undefined>(thread, { kind: 'begin', lane, options }, []);
    // Whoever seals first hears of it.
    begun.catch(() => undefined);
    return {
      seal: async (stripe, spare) => {
        await begun;
        const read = 'buffer' in stripe ? [stripe.buffer] : [];
        const transfer = spare === undefined ? read : [...read, spare];
        const request = { kind: 'seal', lane, stripe, ...(spare === undefined ? {} : { spare }) } as const;
        return this.#ask<SealedStripe>(thread, request, transfer);
      },
      finish: () => this.#ask<SealedPack | undefined>(thread, { kind: 'finish', lane }, []),
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        thread.lanes -= 1;
        this.#openLanes -= 1;
        this.#ask(thread, { kind: 'end', lane }, []).catch(() => undefined);
      },
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#threads.map((thread) => thread?.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #ask<Output>(thread: Thread, request: Request, transfer: readonly ArrayBuffer[]): Promise<Output> {
    // The pair of a request and its output is what `serve` gives.
    return thread.ask(request, transfer) as Promise<Output>;
  }

  #leastBusy(): Thread {
    if (this.#isClosed) throw new FafnirError('CLOSED', 'the engine was closed');
    let least: Thread | undefined;
    for (let at = 0; at < this.width; at += 1) {
      const thread = this.#threads[at];
      // A new one before a busy one, an idle one before a new one.
      if (thread === undefined || thread.isDead) {
        if (least?.load === 0) continue;
        const started = new Thread(this.#create());
        this.#threads[at] = started;
        return started;
      }
      if (least === undefined || thread.load < least.load) least = thread;
    }
    if (least === undefined) throw new FafnirError('INVALID_OPTIONS', 'a pool has at least one thread');
    return least;
  }
}

function createDefaultWorker(): Worker {
  // As bundlers know it. From source the module has another name, which they must not see.
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./worker.js', import.meta.url));
  const source = '../../../worker.ts';
  return new Worker(new URL(source, import.meta.url));
}
