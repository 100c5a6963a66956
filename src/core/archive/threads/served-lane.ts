import { setImmediate } from 'node:timers/promises';
import type { ThreadReader } from '../../contracts/index.ts';
import { ChunkSealer } from './seal-chunks.ts';
import type { SealedStripe, SealingOptions, UnreadStripe } from './sealing-lane.ts';
import { openThreadReader } from './thread-reader.ts';

/** A lane on the thread that it is served by: seals, and reads what it is told to read itself. */
export class ServedLane {
  /** Seals what was read. */
  readonly sealer: ChunkSealer;
  readonly #options: SealingOptions;
  readonly #ended = new AbortController();
  readonly #buffers: ArrayBuffer[] = [];
  #reader: Promise<ThreadReader> | undefined;
  #reads = 0;

  constructor(options: SealingOptions) {
    this.sealer = new ChunkSealer(options);
    this.#options = options;
  }

  /** Reads a stripe into a buffer of this thread's own, and seals it. */
  async readAndSeal({ reads, lengths }: UnreadStripe): Promise<Omit<SealedStripe, 'buffer'>> {
    const bytes = lengths.reduce((sum, length) => sum + length, 0);
    const spare = this.#buffers.pop();
    const buffer = spare !== undefined && spare.byteLength >= bytes ? spare : new ArrayBuffer(bytes);
    await this.#read(buffer, reads);
    // So that the next stripe is read while this one is sealed.
    await setImmediate();
    this.#ended.signal.throwIfAborted();
    const { ids, numbers, packs } = exhaust(this.sealer.seal({ buffer, lengths }));
    this.#buffers.push(buffer);
    return { ids, numbers, packs };
  }

  /** Ends reading. */
  end(): void {
    this.#ended.abort();
    if (this.#reads === 0) this.#close();
  }

  async #read(buffer: ArrayBuffer, reads: UnreadStripe['reads']): Promise<void> {
    const { source } = this.#options;
    if (source === undefined) throw new Error('the lane was not told what to read');
    this.#reads += 1;
    try {
      this.#reader ??= openThreadReader(source);
      const reader = await this.#reader;
      let filled = 0;
      for (const { offset, length } of reads) {
        await reader.readInto(offset, new Uint8Array(buffer, filled, length), this.#ended);
        filled += length;
      }
    } finally {
      this.#reads -= 1;
      if (this.#reads === 0 && this.#ended.signal.aborted) this.#close();
    }
  }

  #close(): void {
    // Whoever read has heard why it could not be opened; how it closes no longer matters to anybody.
    this.#reader?.then((reader) => reader.close()).catch(() => undefined);
  }
}

/** Does work without a pause. */
export function exhaust<Result>(work: Generator<undefined, Result>): Result {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}
