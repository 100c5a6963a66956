import type { Block, CallOptions, Extent, SequentialSource, VolumeSource } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';

/** Fills `into` with the bytes from `offset` on, as they were before. */
export type ReadSame = (offset: number, into: Uint8Array, call: CallOptions) => Promise<void>;

type Piece = { readonly end: number; readonly block: Block };

/**
 * A stream as a source whose map tells of bytes as they come. What it told of is kept until it is read, once and in
 * ascending order; whoever lets the map go on without reading has it all in memory.
 */
export function streamed(source: SequentialSource, readSame: ReadSame): VolumeSource {
  const pieces: Piece[] = [];
  const close = (): Promise<void> => source.close();
  return {
    access: 'random',
    size: source.size,
    async *extents(call): AsyncGenerator<Extent, void, undefined> {
      for await (const block of source.blocks(call)) {
        const { offset, kind } = block;
        const length = kind === 'data' ? block.data.length : block.length;
        pieces.push({ end: offset + length, block });
        yield { offset, length, kind };
      }
    },
    async readInto(offset, into, call) {
      let filled = 0;
      // Taken before anything is waited for, so that the next read finds what is its own.
      for (const { block, end } of takePieces(pieces, offset, offset + into.length)) {
        const from = Math.max(block.offset, offset);
        const part = into.subarray(from - offset, Math.min(end - offset, into.length));
        if (block.kind === 'data')
          part.set(block.data.subarray(from - block.offset).subarray(0, part.length));
        else if (block.kind === 'same') await readSame(from, part, call);
        else part.fill(0);
        filled += part.length;
      }
      if (filled < into.length) {
        throw new FafnirError('UNAVAILABLE', `a stream can be read only once, also from byte ${offset} on`);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The pieces between two positions; those that end there are given up, with all before. */
function takePieces(pieces: Piece[], start: number, end: number): readonly Piece[] {
  const taken: Piece[] = [];
  for (let [piece] = pieces; piece !== undefined && piece.block.offset < end; [piece] = pieces) {
    if (piece.end > start) taken.push(piece);
    if (piece.end > end) break;
    pieces.shift();
  }
  return taken;
}
