import type { Block, CallOptions, Extent, SequentialSource, VolumeSource } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import type { Geometry } from './geometry.ts';

/** Fills `into` with the bytes from `offset` on, as they were before. */
export type ReadSame = (offset: number, into: Uint8Array, call: CallOptions) => Promise<void>;

type Piece = { readonly end: number; readonly block: Block };

/**
 * A stream as a source whose map tells of bytes as they come. Data, and the chunks that they share with other bytes, are
 * kept until they are read, once and in ascending order. Chunks without data are not kept, so that memory does not grow
 * with the volume; to read one is `NOT_FOUND`.
 */
export function streamed(
  source: SequentialSource,
  chunkSize: number,
  readSame: ReadSame = refuseSame,
): VolumeSource {
  const pieces: Piece[] = [];
  const close = (): Promise<void> => source.close();
  return {
    access: 'random',
    size: source.size,
    async *extents(call): AsyncGenerator<Extent, void, undefined> {
      for await (const block of source.blocks(call)) {
        const { offset, kind } = block;
        const length = kind === 'data' ? block.data.length : block.length;
        if (kind === 'data') pieces.push({ end: offset + length, block });
        else keepEdges(pieces, { offset, length, kind }, { chunkSize, size: source.size });
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
        throw new FafnirError('NOT_FOUND', `a stream does not have, or no more, what is at byte ${offset}`);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function refuseSame(): Promise<never> {
  throw new FafnirError('WRONG_ANSWER', 'the source calls bytes unchanged that no older archive has');
}

/** Keeps what a run of zeros or unchanged bytes has of chunks that are not all its own. */
function keepEdges(pieces: Piece[], run: Extent & { kind: 'zero' | 'same' }, geometry: Geometry): void {
  const { kind } = run;
  const last = pieces.at(-1);
  // Short runs of one kind may be whole chunks together.
  const isOne = last?.block.kind === kind && last.end === run.offset;
  if (isOne) pieces.pop();
  const offset = isOne ? last.block.offset : run.offset;
  const end = run.offset + run.length;
  const { chunkSize, size } = geometry;
  const firstWhole = Math.min(end, Math.ceil(offset / chunkSize) * chunkSize);
  const lastWhole = end === size ? end : Math.floor(end / chunkSize) * chunkSize;
  const edges =
    firstWhole < lastWhole
      ? ([
          [offset, firstWhole],
          [lastWhole, end],
        ] as const)
      : ([[offset, end]] as const);
  for (const [from, to] of edges) {
    if (from < to) pieces.push({ end: to, block: { offset: from, length: to - from, kind } });
  }
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
