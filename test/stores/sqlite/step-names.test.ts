import { describe, expect, it } from 'vitest';
import { StepNames } from '../../../src/stores/sqlite/step-names.ts';

describe('step names', () => {
  it.each([
    ['that differ at the end', (at: number) => `main/Local::Volume/${at}`],
    ['that differ at the beginning only', (at: number) => `${at}/of-the-same-ending`],
    ['of odd characters', (at: number) => '\u{1f409}'.repeat(at)],
  ])('%s are each added once', (_, name) => {
    const names = new StepNames();
    const all = Array.from({ length: 1_000 }, (_, at) => name(at));
    expect(all.filter((one) => !names.add(one))).toEqual([]);
    expect(all.filter((one) => names.add(one))).toEqual([]);
  });
});
