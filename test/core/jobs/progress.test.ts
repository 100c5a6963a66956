import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { JobProgress } from '../../../src/core/events.ts';
import { Progress } from '../../../src/core/jobs/progress.ts';

it('progress never goes back, never passes its total and ends there, whatever is repeated', () => {
  const share = fc.record({
    size: fc.nat({ max: 1_000 }),
    advances: fc.array(fc.nat({ max: 600 }), { maxLength: 6 }),
  });
  fc.assert(
    fc.property(fc.array(share, { maxLength: 6 }), (shares) => {
      const told: JobProgress[] = [];
      const progress = new Progress((now) => told.push(now));
      progress.expect({ items: shares.length, bytes: shares.reduce((sum, { size }) => sum + size, 0) });
      for (const { size, advances } of shares) {
        const part = progress.share(size);
        for (const bytes of advances) part.advance(bytes);
        part.finish();
        part.finish();
        progress.item();
      }
      for (const [at, { items, bytes }] of told.entries()) {
        expect(items.done).toBeLessThanOrEqual(items.total);
        expect(bytes.done).toBeLessThanOrEqual(bytes.total);
        expect(items.done).toBeGreaterThanOrEqual(told[at - 1]?.items.done ?? 0);
        expect(bytes.done).toBeGreaterThanOrEqual(told[at - 1]?.bytes.done ?? 0);
      }
      const last = told.at(-1);
      expect(last?.items.done).toBe(last?.items.total);
      expect(last?.bytes.done).toBe(last?.bytes.total);
    }),
  );
});
