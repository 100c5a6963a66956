import type { Block, CallOptions, SequentialSource } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { DataPath, PathKind, PathSnapshot } from './data-path.ts';
import { blocksOf } from './image-blocks.ts';
import { createUsers } from './users.ts';

/** Copies of snapshots that are there only while they are read. */
export interface Copies<Copy> {
  /** By which the path is known. */
  readonly kind: PathKind;
  /** For messages: what copies are. */
  readonly noun: string;
  /** A copy that is complete; one that a dead caller left counts, and one that he did not finish goes. */
  findOrMake(snapshot: PathSnapshot, call: CallOptions): Promise<Copy>;
  /** All bytes of a copy in order. Rejects where they are not what was stored. */
  read(copy: Copy, what: string, call: CallOptions): AsyncIterable<Uint8Array>;
  /** As `DataPath.sweep`. */
  sweep(name: string, call: CallOptions): Promise<readonly string[]>;
}

/** The bytes of any backend by copies, one for each reader of a snapshot. It is made when the first opens it, and goes with the last. */
export function createCopyPath<Copy>(copies: Copies<Copy>): DataPath {
  const { kind, noun, sweep } = copies;
  const users = createUsers(sweep);

  function sourceOf(snapshot: PathSnapshot, copy: Copy): SequentialSource {
    const closed = new AbortController();
    let closing: Promise<void> | undefined;
    let isRead = false;
    const what = `the ${noun} of snapshot ${snapshot.name}`;
    const close = (): Promise<void> => {
      closed.abort(new FafnirError('CLOSED', `${what} was closed`));
      closing ??= users.leave(snapshot.reader);
      return closing;
    };
    return {
      access: 'sequential',
      size: snapshot.volume.size,
      async *blocks({ signal }): AsyncGenerator<Block, void, undefined> {
        if (isRead) throw new FafnirError('CLOSED', `${what} was read already`);
        isRead = true;
        const call = { signal: AbortSignal.any([signal, closed.signal]) };
        yield* blocksOf(what, snapshot.volume.size, copies.read(copy, what, call), call);
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  return {
    kind,
    powers: async () => ({ changeBase: 'none', extents: 'scan' }),
    sweep,
    async open(snapshot, _, call): Promise<SequentialSource> {
      call.signal.throwIfAborted();
      const copy = await users.enter(snapshot.reader, () => copies.findOrMake(snapshot, call));
      return sourceOf(snapshot, copy);
    },
  };
}
