import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readVolume } from './application.ts';
import { failure, openWorld, protect } from './world.ts';

const MEBIBYTE = 1024 * 1024;
const VOLUME = { array: 'files', id: 'db-data' };

describe('an export of a volume', () => {
  it.each(['gold', 'bronze'])(
    'of %s is all of its bytes in order, in pieces of bounded size',
    async (provider) => {
      await using world = await openWorld({ provider });
      const checkpoint = await protect(world);
      const [hash, pieces] = [createHash('sha256'), [] as Uint8Array[]];
      for await (const piece of world.acme.checkpoints.export(checkpoint, VOLUME)) {
        hash.update(piece);
        pieces.push(piece);
        // A piece is the caller's: whatever is done to it shows nowhere else.
        piece.fill(1);
      }
      const bytes = await readVolume(join(world.path, 'a'), 'db-data');
      expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
      expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(4 * MEBIBYTE);
      expect(new Set(pieces.map(({ buffer }) => buffer)).size).toBe(pieces.length);
    },
  );

  it('ends when it is aborted', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const controller = new AbortController();
    const exported = world.acme.checkpoints.export(checkpoint, VOLUME, { signal: controller.signal });
    expect((await exported.next()).done).toBe(false);
    controller.abort(new Error('enough'));
    await expect(exported.next()).rejects.toThrow('enough');
  });

  it('is refused where the checkpoint has no such volume', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const exported = world.acme.checkpoints.export(checkpoint, { array: 'files', id: 'other' });
    expect((await failure(() => exported.next())).code).toBe('NOT_FOUND');
  });
});
