/** Chunks that were read lately, up to so many bytes. */
export class ChunkCache {
  readonly #limit: number;
  // A map keeps the order of insertion: what was used last is at the end.
  readonly #chunks = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The chunk of this id, if it is still there. */
  get(id: Uint8Array): Uint8Array | undefined {
    const key = keyOf(id);
    const chunk = this.#chunks.get(key);
    if (chunk === undefined) return undefined;
    this.#chunks.delete(key);
    this.#chunks.set(key, chunk);
    return chunk;
  }

  /** Keeps a chunk, in memory of its own. */
  add(id: Uint8Array, bytes: Uint8Array): void {
    const key = keyOf(id);
    if (bytes.length > this.#limit || this.#chunks.has(key)) return;
    this.#chunks.set(key, new Uint8Array(bytes));
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#chunks) {
      if (this.#bytes <= this.#limit) break;
      this.#chunks.delete(oldest);
      this.#bytes -= length;
    }
  }

  /** Forgets all. */
  clear(): void {
    this.#chunks.clear();
    this.#bytes = 0;
  }
}

const keyOf = (id: Uint8Array): string => Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex');
