import { expect, it } from 'vitest';
import { countLines, filesBelow } from './repository.ts';

const CONTRACT_LINES = 150;
const SOURCE_LINES = 400;

const limitOf = (path: string): number =>
  path.startsWith('src/core/contracts/') ? CONTRACT_LINES : SOURCE_LINES;

it('every file of src can be read in one sitting', () => {
  const files = filesBelow('src', /\.ts$/);
  expect(files.length).toBeGreaterThan(0);
  const long = files.filter((path) => countLines(path) > limitOf(path));
  expect(long.map((path) => `${path}: ${countLines(path)} lines, at most ${limitOf(path)}`)).toEqual([]);
});
