import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkTable } from '../../../../src/core/archive/volume/chunk-table.ts';

const idOf = (number: number): Uint8Array => createHash('sha256').update(String(number)).digest();

describe('a chunk table', () => {
  it('tells what was added from what was not, and numbers in order', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 60 })), fc.nat({ max: 60 }), (added, other) => {
        const table = new ChunkTable({ capacity: 100 });
        const numbers = new Map<number, number>();
        for (const one of added) {
          expect(table.add(idOf(one))).toBe(numbers.get(one) ?? -1);
          if (!numbers.has(one)) numbers.set(one, numbers.size);
        }
        expect(table.size).toBe(numbers.size);
        expect(table.find(idOf(other))).toBe(numbers.get(other) ?? -1);
      }),
    );
  });

  it('finds an id that lies at any offset', () => {
    const table = new ChunkTable({ capacity: 4 });
    table.add(idOf(1));
    const shifted = new Uint8Array(33);
    shifted.set(idOf(1), 1);
    expect(table.find(shifted.subarray(1))).toBe(0);
  });

  it('tells ids apart that begin alike', () => {
    const table = new ChunkTable({ capacity: 4 });
    const [one, other] = [new Uint8Array(32).fill(7), new Uint8Array(32).fill(7)];
    other[31] = 8;
    expect([table.add(one), table.add(other), table.add(other), table.add(one)]).toEqual([-1, -1, 1, 0]);
  });

  it('keeps what it has room for', () => {
    const table = new ChunkTable({ capacity: 3 });
    for (let number = 0; number < 10; number += 1) expect(table.add(idOf(number))).toBe(-1);
    const found = Array.from({ length: 10 }, (_, number) => table.find(idOf(number)));
    expect(found.filter((number) => number !== -1)).toEqual([0, 1, 2]);
    expect(table.size).toBe(3);
  });

  it('has one number for an id that several threads add', async () => {
    const table = new ChunkTable({ capacity: 20_000 });
    const module = new URL('../../../../src/core/archive/volume/chunk-table.ts', import.meta.url).href;
    // The same ids in different orders.
    const source = `
      import { createHash } from 'node:crypto';
      import { parentPort, workerData } from 'node:worker_threads';
      const { ChunkTable } = await import(${JSON.stringify(module)});
      const table = new ChunkTable(workerData.shared);
      let added = 0;
      for (let step = 0; step < 5000; step += 1) {
        const number = (step * workerData.stride) % 5000;
        if (table.add(createHash('sha256').update(String(number)).digest()) === -1) added += 1;
      }
      parentPort.postMessage(added);
    `;
    const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
    const added = await Promise.all(
      [1, 3, 7, 4_999].map((stride) => {
        const worker = new Worker(url, { workerData: { shared: table.shared, stride } });
        return new Promise<number>((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        });
      }),
    );
    expect(added.reduce((sum, one) => sum + one, 0)).toBe(5_000);
    const numbers = Array.from({ length: 5_000 }, (_, number) => table.find(idOf(number)));
    expect(numbers).not.toContain(-1);
    expect(new Set(numbers).size).toBe(5_000);
  });
});
