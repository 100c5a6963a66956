import { describe, expect, it } from 'vitest';
import { unlessAborted } from '../../src/core/unless-aborted.ts';

const reason = new Error('no longer wanted');

/** What came to nobody's ears while the work ran. */
async function unheardIn(work: () => Promise<void>): Promise<unknown[]> {
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', hear);
  try {
    await work();
    await new Promise((resolve) => setTimeout(resolve, 10));
  } finally {
    process.off('unhandledRejection', hear);
    for (const other of others) process.on('unhandledRejection', other);
  }
  return unheard;
}

describe('unlessAborted', () => {
  it('resolves or rejects with what comes', async () => {
    const { signal } = new AbortController();
    await expect(unlessAborted(Promise.resolve(1), signal)).resolves.toBe(1);
    await expect(unlessAborted(Promise.reject(reason), signal)).rejects.toBe(reason);
  });

  it.each(['before', 'meanwhile'])(
    'does not wait beyond an abort %s, and lets nobody hear what comes after',
    async (when) => {
      const unheard = await unheardIn(async () => {
        const ended = new AbortController();
        if (when === 'before') ended.abort(reason);
        const coming = Promise.withResolvers<never>();
        const waiting = unlessAborted(coming.promise, ended.signal);
        ended.abort(reason);
        await expect(waiting).rejects.toBe(reason);
        coming.reject(new Error('too late'));
      });
      expect(unheard).toEqual([]);
    },
  );
});
