import * as z from 'zod';
import type {
  Block,
  CallOptions,
  Extent,
  SequentialSource,
  ThreadSource,
  VolumeSource,
  VolumeTarget,
} from '../../contracts/index.ts';
import { answerOf, type Refuse } from './answers.ts';

const LARGEST_BLOCK = 4 * 1024 * 1024;

/** What an open volume must be. */
interface Opened {
  /** Bytes. */
  readonly size: number;
  /** Whether anything in it may be called unchanged. */
  readonly same: boolean;
}

const method = z.custom<() => unknown>((value) => typeof value === 'function', 'must be a method');
const size = z.int().nonnegative();
const threadSource: z.ZodType<ThreadSource> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('file'), path: z.string().min(1) }),
  z.object({ kind: z.literal('module'), url: z.string().min(1), options: z.json() }),
]);
const sourceSchema = z.discriminatedUnion('access', [
  z.object({
    access: z.literal('random'),
    size,
    extents: method,
    readInto: method,
    close: method,
    threadSource: threadSource.optional(),
  }),
  z.object({ access: z.literal('sequential'), size, blocks: method, close: method }),
]);
const targetSchema = z.object({
  size,
  blank: z.boolean(),
  write: method,
  zero: method,
  readInto: method,
  extents: method.optional(),
  flush: method,
  close: method,
});

/** An opened snapshot whose every answer is looked at; one that is not what was asked for is closed and refused. */
export async function checkedSource(
  refuse: Refuse,
  source: VolumeSource | SequentialSource,
  opened: Opened,
): Promise<VolumeSource | SequentialSource> {
  try {
    const facts = answerOf(refuse, 'an opened snapshot', sourceSchema, source);
    if (facts.size !== opened.size) {
      throw refuse(`a snapshot of ${opened.size} bytes opens with ${facts.size}`);
    }
    return source.access === 'random'
      ? randomSource(refuse, source, opened)
      : sequentialSource(refuse, source, opened);
  } catch (error) {
    await closeQuietly(source);
    throw error;
  }
}

function randomSource(refuse: Refuse, source: VolumeSource, opened: Opened): VolumeSource {
  const { threadSource } = source;
  const close = (): Promise<void> => source.close();
  return {
    access: 'random',
    size: opened.size,
    extents: (call) => wholeMap(refuse, source.extents(call), opened, extentOf),
    readInto: (offset, into, call) => source.readInto(offset, into, call),
    ...(threadSource !== undefined && { threadSource }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function sequentialSource(refuse: Refuse, source: SequentialSource, opened: Opened): SequentialSource {
  const close = (): Promise<void> => source.close();
  return {
    access: 'sequential',
    size: opened.size,
    blocks: (call) => wholeMap(refuse, source.blocks(call), opened, blockOf),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A volume that was opened for writing, whose every answer is looked at. */
export async function checkedTarget(refuse: Refuse, target: VolumeTarget): Promise<VolumeTarget> {
  try {
    const { size } = answerOf(refuse, 'a volume opened for writing', targetSchema, target);
    const close = (): Promise<void> => target.close();
    return {
      size,
      get blank() {
        return target.blank;
      },
      write: (offset, data, call) => target.write(offset, data, call),
      zero: (offset, length, call) => target.zero(offset, length, call),
      readInto: (offset, into, call) => target.readInto(offset, into, call),
      ...(target.extents && {
        extents: (call: CallOptions) =>
          wholeMap(refuse, target.extents?.(call), { size, same: false }, extentOf),
      }),
      ...(target.receive && {
        receive: async (blocks: AsyncIterable<Block>, call: CallOptions) => target.receive?.(blocks, call),
      }),
      ...(target.clear && { clear: async (call: CallOptions) => target.clear?.(call) }),
      flush: (call) => target.flush(call),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await closeQuietly(target);
    throw error;
  }
}

// What is no volume cannot be closed, and why it was refused matters more than that it cannot be closed.
async function closeQuietly(opened: Pick<VolumeSource, 'close'> | undefined): Promise<void> {
  if (typeof opened?.close === 'function') await Promise.resolve(opened.close()).catch(() => undefined);
}

/** A run of bytes and how long it is, in memory of its own; undefined for what is none. */
type Read<Run> = (run: Run) => { readonly run: Run; readonly length: number } | undefined;

function extentOf({ offset, length, kind }: Extent): ReturnType<Read<Extent>> {
  return { run: { offset, length, kind }, length };
}

function blockOf(block: Block): ReturnType<Read<Block>> {
  if (block.kind !== 'data') {
    const { offset, length, kind } = block;
    return { run: { offset, length, kind }, length };
  }
  const { offset, data, kind } = block;
  if (!(data instanceof Uint8Array) || data.length > LARGEST_BLOCK) return undefined;
  return { run: { offset, data, kind }, length: data.length };
}

/** The runs of a map, as long as they cover the volume in order without gaps and overlaps. */
async function* wholeMap<Run extends Pick<Extent, 'offset' | 'kind'>>(
  refuse: Refuse,
  runs: AsyncIterable<Run> | undefined,
  { size, same }: Opened,
  read: Read<Run>,
): AsyncGenerator<Run, void, undefined> {
  if (typeof runs?.[Symbol.asyncIterator] !== 'function') throw refuse('a volume has no map');
  let covered = 0;
  for await (const found of runs) {
    const one = typeof found === 'object' && found !== null ? read(found) : undefined;
    if (one === undefined) throw refuse(`what its map says of byte ${covered} is of another form`);
    const { run, length } = one;
    if (run.offset !== covered || !Number.isSafeInteger(length) || length < 1 || length > size - covered) {
      throw refuse(`its map goes wrong at byte ${covered} of ${size}`);
    }
    const isKind = run.kind === 'data' || run.kind === 'zero' || (run.kind === 'same' && same);
    if (!isKind) throw refuse(`its map calls byte ${covered} ${String(run.kind)}`);
    covered += length;
    yield run;
  }
  if (covered !== size) throw refuse(`its map ends at byte ${covered} of ${size}`);
}
