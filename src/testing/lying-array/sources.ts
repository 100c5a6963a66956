import type { Block, Extent, SequentialSource, VolumeSource } from '../../core/contracts/index.ts';

type Source = VolumeSource | SequentialSource;

/** A source whose map is a lie. */
function withMap(
  source: Source,
  size: number,
  map: (runs: AsyncIterable<Extent>) => AsyncIterable<Extent>,
): Source {
  const close = (): Promise<void> => source.close();
  const common = { size, close, [Symbol.asyncDispose]: close };
  if (source.access === 'random') {
    return {
      ...common,
      access: 'random',
      extents: (call) => map(source.extents(call)),
      readInto: (offset, into, call) => source.readInto(offset, into, call),
    };
  }
  return {
    ...common,
    access: 'sequential',
    async *blocks(call): AsyncGenerator<Block, void, undefined> {
      const data = new Map<number, Uint8Array>();
      for await (const { offset, length, kind } of map(keptIn(data, source.blocks(call)))) {
        const bytes = data.get(offset);
        if (kind !== 'data') yield { offset, length, kind };
        else if (bytes !== undefined) yield { offset, data: bytes, kind };
        data.delete(offset);
      }
    },
  };
}

async function* keptIn(
  data: Map<number, Uint8Array>,
  blocks: AsyncIterable<Block>,
): AsyncGenerator<Extent, void, undefined> {
  for await (const block of blocks) {
    const { offset, kind } = block;
    if (block.kind === 'data') data.set(offset, block.data);
    yield { offset, length: block.kind === 'data' ? block.data.length : block.length, kind };
  }
}

/** All of it is called unchanged. */
export const unchangedSource = (source: Source): Source =>
  withMap(source, source.size, async function* () {
    yield { offset: 0, length: source.size, kind: 'same' };
  });

/** It has half of its bytes, and a map to match. */
export function shortSource(source: Source): Source {
  const size = Math.floor(source.size / 2);
  return withMap(source, size, async function* (runs) {
    for await (const run of runs) {
      if (run.offset + run.length > size) {
        if (run.offset < size) yield { ...run, length: size - run.offset };
        return;
      }
      yield run;
    }
  });
}

/** Its map leaves the second run out, or the end of the only one. */
export const hollowSource = (source: Source): Source =>
  withMap(source, source.size, async function* (runs) {
    let at = 0;
    for await (const run of runs) {
      at += 1;
      if (run.length === source.size) yield { ...run, length: run.length - 1 };
      else if (at !== 2) yield run;
    }
  });
