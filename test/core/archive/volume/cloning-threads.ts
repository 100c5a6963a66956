import { setImmediate } from 'node:timers/promises';
import { type Done, tasks } from '../../../../src/core/archive/threads/tasks.ts';
import type { Threads } from '../../../../src/core/archive/threads/threads.ts';
import { Permits } from '../../../../src/core/archive/volume/lanes.ts';
import { errorOf, errorRecord } from '../../../../src/core/errors.ts';

/** Threads that pass everything as real ones do: what changes hands is gone, and errors are records. */
export function cloningThreads(width = 2): Threads & { underWay(): number; most(): number } {
  let underWay = 0;
  let most = 0;
  const close = async (): Promise<void> => undefined;
  return {
    width,
    readsSources: false,
    lanes: 0,
    packs: new Permits(width + 1),
    async run(name, input, transfer) {
      underWay += 1;
      most = Math.max(most, underWay);
      try {
        const given = structuredClone(input, { transfer: [...transfer] });
        for (let turn = 0; turn < 3; turn += 1) await setImmediate();
        const task = tasks[name] as (given: unknown) => Done<never>;
        const { output, transfer: back } = task(given);
        return structuredClone(output, { transfer: [...back] });
      } catch (error) {
        throw errorOf(structuredClone(errorRecord(error)));
      } finally {
        underWay -= 1;
      }
    },
    sealing: () => {
      throw new Error('nothing is sealed here');
    },
    close,
    [Symbol.asyncDispose]: close,
    underWay: () => underWay,
    most: () => most,
  };
}
