import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lowestBit, ReadyQueue } from '../../../src/core/graph/ready-queue.ts';

// Around the edges of one, two and three levels of words.
const sizes = fc.constantFrom(1, 31, 32, 33, 1_023, 1_024, 1_025, 33_000);

describe('a ready queue', () => {
  it('gives up its lowest number, whatever was added and taken before', () => {
    fc.assert(
      fc.property(sizes, fc.array(fc.option(fc.nat()), { maxLength: 200 }), (size, steps) => {
        const queue = new ReadyQueue(size);
        const model = new Set<number>();
        const take = (): void => {
          const lowest = model.size === 0 ? -1 : Math.min(...model);
          expect(queue.take()).toBe(lowest);
          model.delete(lowest);
        };
        for (const step of steps) {
          const number = (step ?? 0) % size;
          if (step === null) take();
          else if (!model.has(number)) {
            queue.add(number);
            model.add(number);
          }
          expect(queue.length).toBe(model.size);
        }
        while (model.size > 0) take();
        take();
      }),
      { numRuns: 500 },
    );
  });

  it('holds all of its numbers at once', () => {
    const size = 33_000;
    const queue = new ReadyQueue(size);
    for (let number = size - 1; number >= 0; number -= 1) queue.add(number);
    for (let number = 0; number < size; number += 1) expect(queue.take()).toBe(number);
    expect(queue.take()).toBe(-1);
  });

  it('is empty where there is room for nothing', () => {
    expect(new ReadyQueue(0).take()).toBe(-1);
  });
});

it('the lowest bit is found in every place, also the sign', () => {
  for (let bit = 0; bit < 32; bit += 1) expect(lowestBit((0xffff_ffff << bit) >>> 0)).toBe(bit);
});
