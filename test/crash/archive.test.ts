import { describe, expect, it } from 'vitest';
import { killArchives } from './archive.ts';

describe('archives whose writers are killed', () => {
  it('restore to what they were made of, and leave nothing that a collection does not find', async () => {
    const { wrong, kills, archives } = await killArchives({ kills: 10, seed: 1 });
    expect(wrong).toEqual([]);
    expect(kills).toBe(10);
    expect(archives).toBeGreaterThan(0);
  }, 240_000);
});
