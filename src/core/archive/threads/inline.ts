import { setImmediate } from 'node:timers/promises';
import { Permits } from '../volume/lanes.ts';
import { ChunkSealer } from './seal-chunks.ts';
import type { SealingLane } from './sealing-lane.ts';
import { tasks } from './tasks.ts';
import type { Threads } from './threads.ts';

/** No threads: everything is done on the host's own, a chunk at a time, with room for others in between. */
export function inlineThreads(): Threads {
  const close = (): Promise<void> => Promise.resolve();
  let lanes = 0;
  return {
    width: 1,
    readsSources: false,
    get lanes() {
      return lanes;
    },
    packs: new Permits(2),
    async run(name, input) {
      await setImmediate();
      // The pair of a name and its input is checked by the signature, which the compiler cannot see through here.
      const task = tasks[name] as (given: typeof input) => ReturnType<(typeof tasks)[typeof name]>;
      return task(input).output;
    },
    sealing(options) {
      lanes += 1;
      return inlineLane(new ChunkSealer(options), () => {
        lanes -= 1;
      });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function inlineLane(sealer: ChunkSealer, close: () => void): SealingLane {
  return {
    async seal(stripe, spare) {
      if ('reads' in stripe) throw new Error('the host reads what is sealed on its own thread');
      if (spare !== undefined) sealer.addSpare(spare);
      const work = sealer.seal(stripe);
      for (;;) {
        await setImmediate();
        const { done, value } = work.next();
        if (done === true) return value;
      }
    },
    finish: () => Promise.resolve(sealer.finish()),
    close,
  };
}
