import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eachInLanes, fetchedAhead, Permits } from '../../../../src/core/archive/volume/lanes.ts';

const { signal } = new AbortController();

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await setImmediate();
};

describe('lanes', () => {
  it('deal with each item once, no more than so many at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 4 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        async (all, concurrency) => {
          let [underWay, most] = [0, 0];
          const done: number[] = [];
          await eachInLanes(
            () => all.entries(),
            { concurrency, signal },
            async ([at, slow]) => {
              underWay += 1;
              most = Math.max(most, underWay);
              await turns(slow);
              done.push(at);
              underWay -= 1;
            },
          );
          expect(done.sort((a, b) => a - b)).toEqual([...all.keys()]);
          expect(most).toBeLessThanOrEqual(concurrency);
          expect(underWay).toBe(0);
        },
      ),
    );
  });

  it('take no item before there is room for it', async () => {
    let [taken, done] = [0, 0];
    const items = function* (): Generator<number> {
      for (let item = 0; item < 9; item += 1) {
        taken += 1;
        yield item;
      }
    };
    await eachInLanes(items, { concurrency: 2, signal }, async () => {
      expect(taken - done).toBeLessThanOrEqual(2);
      await turns(3);
      done += 1;
    });
    expect(done).toBe(9);
  });

  it.each(['an item', 'the source', 'an abort'])(
    'end with the first failure when nothing is under way: %s',
    async (what) => {
      const aborted = new AbortController();
      let underWay = 0;
      let begun = 0;
      const items = async function* (): AsyncGenerator<number> {
        for (let item = 0; item < 20; item += 1) {
          if (item === 5 && what === 'the source') throw new Error('failed');
          yield item;
        }
      };
      const ended = eachInLanes(items, { concurrency: 3, signal: aborted.signal }, async (item, signal) => {
        begun += 1;
        underWay += 1;
        await turns(item === 4 ? 1 : 6);
        underWay -= 1;
        if (item === 4 && what === 'an item') throw new Error('failed');
        if (item === 4 && what === 'an abort') aborted.abort(new Error('failed'));
        signal.throwIfAborted();
      });
      await expect(ended).rejects.toThrow('failed');
      expect(underWay).toBe(0);
      expect(begun).toBeLessThan(12);
    },
  );

  it('begin nothing that is aborted already', async () => {
    const ended = eachInLanes(
      () => [1],
      { concurrency: 1, signal: AbortSignal.abort(new Error('no')) },
      () => expect.unreachable(),
    );
    await expect(ended).rejects.toThrow('no');
  });
});

describe('fetching ahead', () => {
  it('keeps the order, and is no further ahead than that', async () => {
    let [fetched, used] = [0, 0];
    const fetch = async (item: number): Promise<number> => {
      fetched += 1;
      expect(fetched - used).toBeLessThanOrEqual(3);
      await turns((item * 7) % 4);
      return item;
    };
    const got: number[] = [];
    for await (const item of fetchedAhead([0, 1, 2, 3, 4, 5], { ahead: 2, signal }, fetch)) {
      got.push(item);
      await turns(2);
      used += 1;
    }
    expect(got).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it.each(['left', 'failed'])('aborts what it fetched in vain, and waits for it: %s', async (how) => {
    const ended: string[] = [];
    const fetch = async (item: number, signal: AbortSignal): Promise<number> => {
      if (item === 0) return item;
      if (item === 1 && how === 'failed') throw new Error('failed');
      // Nothing but an abort ends it.
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      await turns(3);
      ended.push(`aborted ${item}`);
      throw signal.reason;
    };
    const use = async (): Promise<void> => {
      for await (const item of fetchedAhead([0, 1, 2, 3], { ahead: 2, signal }, fetch)) {
        if (item === 0 && how === 'left') break;
      }
    };
    if (how === 'left') await use();
    else await expect(use()).rejects.toThrow('failed');
    expect(ended.sort()).toEqual(how === 'left' ? ['aborted 1', 'aborted 2'] : ['aborted 2', 'aborted 3']);
  });
});

describe('permits', () => {
  it('are as many as there are, also after failures, and go to who waits longest', async () => {
    const permits = new Permits(2);
    let [underWay, most] = [0, 0];
    const order: number[] = [];
    const uses = Array.from({ length: 10 }, (_, at) =>
      permits.use(signal, async () => {
        order.push(at);
        underWay += 1;
        most = Math.max(most, underWay);
        await turns(2);
        underWay -= 1;
        if (at % 3 === 0) throw new Error('failed');
      }),
    );
    const outcomes = await Promise.allSettled(uses);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(4);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(most).toBe(2);
    await expect(permits.use(AbortSignal.abort(new Error('no')), () => expect.unreachable())).rejects.toThrow(
      'no',
    );
    expect(await permits.use(signal, async () => 'free')).toBe('free');
  });
});
