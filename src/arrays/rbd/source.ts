import type { RbdClient } from '../../clients/rbd/client.ts';
import type { DiffRun } from '../../clients/rbd/diff.ts';
import type { Block, CallOptions, SequentialSource } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { ResolvedSnapshot } from './snapshots.ts';

/** A snapshot as a stream, with what is the same as in `from` where that is given. */
export function openSource(client: RbdClient, resolved: ResolvedSnapshot): SequentialSource {
  const { image, to, from } = resolved;
  const closed = new AbortController();
  let isRead = false;
  const close = async (): Promise<void> => {
    closed.abort(new FafnirError('CLOSED', `snapshot ${to.name} of ${image} was closed`));
  };
  return {
    access: 'sequential',
    size: to.size,
    async *blocks({ signal }): AsyncGenerator<Block, void, undefined> {
      if (isRead) throw new FafnirError('CLOSED', `the stream of ${to.name} of ${image} was read already`);
      isRead = true;
      const call = { signal: AbortSignal.any([signal, closed.signal]) };
      const expected = { to: to.name, size: to.size, ...(from !== undefined && { from: from.name }) };
      // What an image did not have before is not the same.
      const sameUntil = from === undefined ? 0 : Math.min(from.size, to.size);
      yield* withGaps(client.exportDiff(image, expected, call), to.size, sameUntil);
      await checkStillThere(client, resolved, call);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Tells what lies between the runs: up to a position unchanged bytes, beyond it zeros. */
export async function* withGaps(
  runs: AsyncIterable<DiffRun>,
  size: number,
  sameUntil: number,
): AsyncGenerator<Block, void, undefined> {
  let position = 0;
  for await (const run of runs) {
    yield* gap(position, run.offset, sameUntil);
    yield run;
    position = run.offset + (run.kind === 'data' ? run.data.length : run.length);
  }
  yield* gap(position, size, sameUntil);
}

function* gap(from: number, to: number, sameUntil: number): Generator<Block> {
  const edge = Math.max(from, Math.min(to, sameUntil));
  if (from < edge) yield { offset: from, length: edge - from, kind: 'same' };
  if (edge < to) yield { offset: edge, length: to - edge, kind: 'zero' };
}

/**
 * The stream is told by name what to read. A snapshot's number is never given again, so one that still has its name
 * now had it all the while.
 */
async function checkStillThere(
  client: RbdClient,
  resolved: ResolvedSnapshot,
  call: CallOptions,
): Promise<void> {
  const { image, to, from } = resolved;
  const now = await client.snapshots(image, call);
  for (const { id, name } of from === undefined ? [to] : [to, from]) {
    if (now.some((one) => one.id === id && one.name === name)) continue;
    throw new FafnirError('UNAVAILABLE', `snapshot ${name} of ${image} was removed while it was read`);
  }
}
