import { describe, expect, it } from 'vitest';
import { filesBelow, readText } from './repository.ts';

// A resumed job runs the same code again and must come to the same steps, so time, chance and timers come from
// the context alone.
const AMBIENT = [
  /\bDate\.now\b/,
  /\bnew Date\(\s*\)/,
  /\bperformance\./,
  /\bMath\.random\b/,
  /\brandom(Bytes|UUID|Int)\b/,
  /\bset(Timeout|Interval|Immediate)\b/,
  /\bnode:timers/,
  /\bAbortSignal\.timeout\b/,
];
const ROOMS = ['src/core/operations', 'src/core/graph', 'src/core/policy'];

function ambientIn(source: string): readonly string[] {
  return AMBIENT.flatMap((pattern) => pattern.exec(source)?.[0] ?? []);
}

describe('operation code', () => {
  const files = ROOMS.flatMap((room) => filesBelow(room, /\.ts$/));

  it('is found', () => {
    expect(files.length).toBeGreaterThan(5);
  });

  it.each(files)('%s has no time, chance or timer of its own', (file) => {
    expect(ambientIn(readText(file))).toEqual([]);
  });

  it.each(['Date.now()', 'new Date()', 'Math.random()', 'setTimeout(f)', 'randomUUID()'])(
    'would be caught using %s',
    (code) => {
      expect(ambientIn(code)).toHaveLength(1);
    },
  );
});
