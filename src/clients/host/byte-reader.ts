import { FafnirError } from '../../core/errors.ts';

/** Takes exact numbers of bytes from a stream. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #name: string;
  #rest: Uint8Array = new Uint8Array();

  /** `name` is what the stream is called in messages. */
  constructor(name: string, bytes: AsyncIterable<Uint8Array>) {
    this.#name = name;
    this.#chunks = bytes[Symbol.asyncIterator]();
  }

  /** As many bytes as asked for, in memory of their own; a stream that ends before is `UNAVAILABLE`. */
  async take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const into = new Uint8Array(length);
    await this.fill(into);
    return into;
  }

  /** As {@link ByteReader.take}, into memory of the caller. */
  async fill(into: Uint8Array): Promise<void> {
    for (let filled = 0; filled < into.length; ) {
      if (!(await this.#more())) {
        throw new FafnirError('UNAVAILABLE', `${this.#name} ended before its answer was complete`);
      }
      const part = this.#rest.subarray(0, into.length - filled);
      into.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
  }

  /** True when nothing is left; waits for the end of the stream. */
  async ended(): Promise<boolean> {
    return !(await this.#more());
  }

  /** Gives the stream up. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #more(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#rest = next.value;
    }
    return true;
  }
}
