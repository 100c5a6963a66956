import { createHmac } from 'node:crypto';
import { CHUNK_ID_BYTES } from '../pack.ts';
import { PackBuilder, type SealedPack } from '../pack-builder.ts';
import { ChunkTable } from '../volume/chunk-table.ts';
import { isZero } from '../volume/geometry.ts';
import type { SealedStripe, SealingOptions, Stripe } from './sealing-lane.ts';

/** The state of a lane, and its work. All synchronous. */
export class ChunkSealer {
  readonly #options: SealingOptions;
  readonly #known: ChunkTable;
  readonly #spares: ArrayBuffer[] = [];
  #pack: PackBuilder | undefined;

  constructor(options: SealingOptions) {
    this.#options = options;
    this.#known = new ChunkTable(options.known);
  }

  /** Takes back the buffer of a pack that is stored. */
  addSpare(buffer: ArrayBuffer): void {
    this.#spares.push(buffer);
  }

  /** Deals with a stripe, chunk by chunk: whoever iterates may do other things in between. */
  *seal({ buffer, lengths }: Stripe): Generator<undefined, SealedStripe> {
    const ids = new Uint8Array(lengths.length * CHUNK_ID_BYTES);
    const numbers = new Int32Array(lengths.length).fill(-1);
    const packs: SealedPack[] = [];
    let offset = 0;
    for (const [at, length] of lengths.entries()) {
      const raw = new Uint8Array(buffer, offset, length);
      offset += length;
      if (isZero(raw)) continue;
      const id = createHmac('sha256', this.#options.idKey).update(raw).digest();
      ids.set(id, at * CHUNK_ID_BYTES);
      const number = this.#known.add(id);
      numbers[at] = number;
      if (number === -1) packs.push(...this.#add(id, raw));
      yield;
    }
    return { buffer, ids, numbers, packs };
  }

  /** The pack that was begun. */
  finish(): SealedPack | undefined {
    const pack = this.#pack?.finish();
    this.#pack = undefined;
    return pack;
  }

  *#add(id: Uint8Array, raw: Uint8Array): Generator<SealedPack> {
    if (this.#pack?.hasRoomFor(raw.length) === false) {
      yield this.#pack.finish();
      this.#pack = undefined;
    }
    const { key, packBytes } = this.#options;
    this.#pack ??= new PackBuilder(key, this.#spares.pop() ?? new ArrayBuffer(packBytes));
    this.#pack.add(id, raw);
  }
}
