import type { MessagePort } from 'node:worker_threads';
import { errorRecord } from '../../errors.ts';
import type { SealedPack } from '../pack-builder.ts';
import type { Answer, Asked, Request } from './messages.ts';
import { ChunkSealer } from './seal-chunks.ts';
import type { SealedStripe } from './sealing-lane.ts';
import { type Done, tasks } from './tasks.ts';

/** Answers requests on a thread of its own, one after the other. */
export function serve(port: MessagePort): void {
  const lanes = new Map<number, ChunkSealer>();
  port.on('message', ({ id, request }: Asked) => {
    try {
      const { output, transfer } = answer(request, lanes);
      port.postMessage({ id, output } satisfies Answer, transfer);
    } catch (error) {
      port.postMessage({ id, error: errorRecord(error) } satisfies Answer);
    }
  });
}

function answer(request: Request, lanes: Map<number, ChunkSealer>): Done<unknown> {
  switch (request.kind) {
    case 'run':
      return (tasks[request.name] as (input: unknown) => Done<unknown>)(request.input);
    case 'begin':
      lanes.set(request.lane, new ChunkSealer(request.options));
      return NOTHING;
    case 'seal': {
      const sealer = lanes.get(request.lane);
      if (sealer === undefined) return NOTHING;
      if (request.spare !== undefined) sealer.addSpare(request.spare);
      return sealed(exhaust(sealer.seal(request.stripe)));
    }
    case 'finish': {
      const pack = lanes.get(request.lane)?.finish();
      return { output: pack, transfer: pack === undefined ? [] : buffersOf(pack) };
    }
    case 'end':
      lanes.delete(request.lane);
      return NOTHING;
    default:
      return request satisfies never;
  }
}

const NOTHING: Done<undefined> = { output: undefined, transfer: [] };

function exhaust<Result>(work: Generator<undefined, Result>): Result {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

const sealed = (stripe: SealedStripe): Done<SealedStripe> => ({
  output: stripe,
  transfer: [stripe.buffer, ...stripe.packs.flatMap(buffersOf)],
});

const buffersOf = ({ body, entries }: SealedPack): ArrayBuffer[] => [body.buffer, entries.buffer];
