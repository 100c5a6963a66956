import type { MessagePort } from 'node:worker_threads';
import { errorRecord } from '../../errors.ts';
import type { SealedPack } from '../pack-builder.ts';
import type { Answer, Asked, Request } from './messages.ts';
import type { SealedStripe } from './sealing-lane.ts';
import { exhaust, ServedLane } from './served-lane.ts';
import { type Done, tasks } from './tasks.ts';

/** Answers requests on a thread of its own. Only reading waits: all else is done without a pause, as it comes. */
export function serve(port: MessagePort): void {
  const lanes = new Map<number, ServedLane>();
  port.on('message', async ({ id, request }: Asked) => {
    try {
      const { output, transfer } = await answer(request, lanes);
      port.postMessage({ id, output } satisfies Answer, transfer);
    } catch (error) {
      port.postMessage({ id, error: errorRecord(error) } satisfies Answer);
    }
  });
}

async function answer(request: Request, lanes: Map<number, ServedLane>): Promise<Done<unknown>> {
  switch (request.kind) {
    case 'run':
      return (tasks[request.name] as (input: unknown) => Done<unknown>)(request.input);
    case 'begin':
      lanes.set(request.lane, new ServedLane(request.options));
      return NOTHING;
    case 'seal': {
      const { stripe, spare } = request;
      const lane = lanes.get(request.lane);
      if (lane === undefined) return NOTHING;
      if (spare !== undefined) lane.sealer.addSpare(spare);
      return sealed('reads' in stripe ? await lane.readAndSeal(stripe) : exhaust(lane.sealer.seal(stripe)));
    }
    case 'finish': {
      const pack = lanes.get(request.lane)?.sealer.finish();
      return { output: pack, transfer: pack === undefined ? [] : buffersOf(pack) };
    }
    case 'end':
      lanes.get(request.lane)?.end();
      lanes.delete(request.lane);
      return NOTHING;
    default:
      return request satisfies never;
  }
}

const NOTHING: Done<undefined> = { output: undefined, transfer: [] };

const sealed = (stripe: SealedStripe): Done<SealedStripe> => ({
  output: stripe,
  transfer: [...(stripe.buffer === undefined ? [] : [stripe.buffer]), ...stripe.packs.flatMap(buffersOf)],
});

const buffersOf = ({ body, entries }: SealedPack): ArrayBuffer[] => [body.buffer, entries.buffer];
