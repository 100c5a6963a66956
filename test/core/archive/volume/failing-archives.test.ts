import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { inlineThreads } from '../../../../src/core/archive/threads/inline.ts';
import { ThreadPool } from '../../../../src/core/archive/threads/pool.ts';
import type { Threads } from '../../../../src/core/archive/threads/threads.ts';
import type { StoredManifest } from '../../../../src/core/archive/volume/manifest.ts';
import { writeArchive } from '../../../../src/core/archive/volume/write-archive.ts';
import { vaultOf } from '../vaults.ts';
import { bankWith, countingCall, keysOf, sourceOf } from '../volumes.ts';
import { archive, openArchive } from './archives.ts';
import { wrongWith } from './collecting.ts';
import { noise, SMALL } from './sparse.ts';
import { watchedBank } from './watched-bank.ts';

const pool = new ThreadPool({ workers: 2 });
afterAll(() => pool.close());

const TINY = { chunkSize: SMALL, packBytes: 600 * 1024 };

describe('an archive that fails on its way', () => {
  const bytes = noise(24 * SMALL, 5);
  const EACH = [
    ['on threads', (): Threads => pool],
    ['on the host thread', inlineThreads],
  ] as const;

  it.each(EACH)('ends with what the source threw, after all that was under way, %s', async (_, threadsOf) => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 5 }), fc.boolean(), async (failing, late) => {
        const watched = watchedBank();
        let reads = 0;
        let underWay = 0;
        const error = new Error('the disk is gone');
        const source = sourceOf(bytes, undefined, {
          readInto: async (offset, into) => {
            underWay += 1;
            if (late) await setImmediate();
            underWay -= 1;
            reads += 1;
            if (reads > failing) throw error;
            into.set(bytes.subarray(offset, offset + into.length));
          },
        });
        const request = { vault: vaultOf(watched.bank), token: 'one', threads: threadsOf(), ...TINY };
        const writing = writeArchive({ ...request, source }, countingCall());
        const willFail = failing < Math.ceil(24 / 16);
        const made: unknown = await writing.catch((reason: unknown) => reason);
        expect([watched.underWay(), underWay]).toEqual([0, 0]);
        watched.take();
        for (let turn = 0; turn < 10; turn += 1) await setImmediate();
        expect(watched.take()).toEqual({});
        if (!willFail) return;
        expect(made).toBe(error);
        expect(await keysOf(watched.bank, 'acme/manifests/')).toEqual([]);
        const manifest = await writeArchive({ ...request, source: sourceOf(bytes) }, countingCall());
        expect(await wrongWith(request.vault, { manifest, bytes })).toBeUndefined();
      }),
      { numRuns: 12 },
    );
  });

  it.each(EACH)(
    'ends with the reason of an abort wherever it comes, and does nothing more, %s',
    async (_, threadsOf) => {
      await fc.assert(
        fc.asyncProperty(fc.nat({ max: 60 }), fc.boolean(), async (at, isBased) => {
          const watched = watchedBank();
          const own = vaultOf(watched.bank);
          const base = await archive(own, 'base', sourceOf(new Uint8Array(bytes.length)), TINY);
          const controller = new AbortController();
          const reason = new Error('no longer wanted');
          let left = at;
          const step = (): void => {
            if (left === 0) controller.abort(reason);
            left -= 1;
          };
          const aborting = bankWith(
            (sound) => ({
              put: (key, body, options) => {
                step();
                return sound.put(key, body, options);
              },
              get: (key, read, call) => {
                step();
                return sound.get(key, read, call);
              },
              head: (key, call) => {
                step();
                return sound.head(key, call);
              },
            }),
            watched.bank,
          );
          const source = sourceOf(bytes, undefined, {
            readInto: async (offset, into, { signal }) => {
              step();
              signal.throwIfAborted();
              into.set(bytes.subarray(offset, offset + into.length));
            },
          });
          const vault = vaultOf(aborting);
          // Its keys may still be on their way when who asked for them is gone: they are for others, too.
          left = Number.POSITIVE_INFINITY;
          await vault.sealingKey(countingCall());
          left = at;
          const request = { vault, token: 'one', source, threads: threadsOf(), ...TINY };
          const more = isBased ? { base: await openArchive(own, base) } : {};
          const made: unknown = await writeArchive(
            { ...request, ...more },
            countingCall(controller.signal),
          ).catch((error: unknown) => error);
          expect(watched.underWay()).toBe(0);
          watched.take();
          for (let turn = 0; turn < 10; turn += 1) await setImmediate();
          expect(watched.take()).toEqual({});
          if (made instanceof Error) expect(made).toBe(reason);
          else expect(await wrongWith(own, { manifest: made as StoredManifest, bytes })).toBeUndefined();
          const again = await writeArchive(
            { ...request, vault: own, source: sourceOf(bytes) },
            countingCall(),
          );
          expect(await wrongWith(own, { manifest: again, bytes })).toBeUndefined();
        }),
        { numRuns: 15 },
      );
    },
  );
});
