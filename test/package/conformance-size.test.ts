import { expect, it } from 'vitest';
import { countLines, filesBelow } from './repository.ts';

const LINES = 30;

it(`adopting a conformance suite takes at most ${LINES} lines`, () => {
  const files = filesBelow('test/conformance', /\.ts$/);
  expect(files.length).toBeGreaterThan(0);
  const long = files.filter((path) => countLines(path) > LINES);
  expect(long.map((path) => `${path}: ${countLines(path)} lines`)).toEqual([]);
});
