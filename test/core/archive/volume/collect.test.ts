import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { inlineThreads } from '../../../../src/core/archive/threads/inline.ts';
import { collect } from '../../../../src/core/archive/volume/collect.ts';
import { removeManifest } from '../../../../src/core/archive/volume/manifest.ts';
import { putDamage } from '../../../../src/core/archive/volume/proofs.ts';
import type { Bank } from '../../../../src/core/contracts/index.ts';
import { parseTenantId } from '../../../../src/core/identity.ts';
import { lockClock } from '../../../banks/lock-clock.ts';
import { vaultOf } from '../vaults.ts';
import { bankWith, countingCall, keysOf, sourceOf } from '../volumes.ts';
import { archive, openArchive } from './archives.ts';
import {
  bankOf,
  changesOf,
  CHUNKS,
  collectIn,
  contentsOf,
  type Kept,
  madeOfThree,
  manifestsOf,
  packsIn,
  SIZE,
  TINY,
  toldOf,
  volume,
  write,
  writeBased,
  wrongWith,
  wrongWithAll,
} from './collecting.ts';

const seeds = fc.array(fc.nat({ max: 6 }), { minLength: CHUNKS, maxLength: CHUNKS });
const command = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('full' as const), of: fc.nat(2), seeds }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('incremental' as const),
      of: fc.nat(2),
      at: fc.nat(CHUNKS - 1),
      seed: fc.nat({ max: 6 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('remove', 'forget'), which: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('collect' as const) }) },
);

/** Two archives in a bank with locks, one of them live. */
async function withLocks() {
  const clock = lockClock();
  const bank = memoryBank({ name: 'bank', locks: true, clock });
  const vault = vaultOf(bank);
  await write(vault, 'one', [1, 2, 3, 4, 5]);
  const live = await write(vault, 'live', [21, 22, 23, 24, 25]);
  /** Locks what begins so for a second. */
  const lock = async (prefix: string): Promise<void> => {
    await bank.extend?.(await keysOf(bank, prefix), clock.now() + 1_000, countingCall());
  };
  return { bank, vault, clock, live, lock };
}

describe('a collection', () => {
  it('removes nothing that an archive needs, whatever was written and removed before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 4, maxLength: 14 }), async (commands) => {
        const bank = memoryBank({ name: 'bank' });
        const vault = vaultOf(bank);
        let live: (Kept & { readonly of: number; readonly seeds: readonly number[] })[] = [];
        for (const [at, given] of commands.entries()) {
          const token = `a${at}`;
          if (given.kind === 'full') {
            live.push({ ...(await write(vault, token, given.seeds)), of: given.of, seeds: given.seeds });
          } else if (given.kind === 'incremental') {
            const base = live.findLast(({ of }) => of === given.of);
            if (base === undefined) continue;
            const after = base.seeds.with(given.at, given.seed);
            const made = await writeBased(vault, token, [base.seeds, after], base.manifest);
            live.push({ ...made, of: given.of, seeds: after });
          } else if (given.kind !== 'collect') {
            const gone = live[given.which % Math.max(1, live.length)];
            live = live.filter((one) => one !== gone);
            if (gone !== undefined && given.kind === 'remove') {
              await removeManifest(vault, gone.manifest, countingCall());
            }
          } else {
            const before = await contentsOf(bank);
            const foretold = await collectIn(vault, manifestsOf(live), true);
            expect(await contentsOf(bank)).toEqual(before);
            const [packs, manifests] = [await packsIn(bank), await keysOf(bank, 'acme/manifests/')];
            const done = await collectIn(vault, manifestsOf(live));
            expect(done).toEqual(foretold);
            expect(packs.length - (await packsIn(bank)).length).toBe(done.packs);
            expect(manifests.length - (await keysOf(bank, 'acme/manifests/')).length).toBe(done.manifests);
            expect([...(await toldOf(vault))].sort()).toEqual((await packsIn(bank)).sort());
            expect(await collectIn(vault, manifestsOf(live))).toEqual({
              ...{ manifests: 0, packs: 0, bytes: 0 },
              locked: { objects: 0, bytes: 0 },
            });
          }
          expect(await wrongWithAll(vault, live)).toEqual([]);
        }
        await collectIn(vault, []);
        expect((await keysOf(bank, '')).filter((key) => !key.startsWith('acme/keys/'))).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  it('that is killed at any call, and then repeated, ends as one that was not', async () => {
    const made = await madeOfThree();
    const { live } = made;
    const ends = await bankOf(made.contents);
    await collectIn(vaultOf(ends), manifestsOf(live));
    const wanted = [await packsIn(ends), await keysOf(ends, 'acme/manifests/')];
    let kills = 0;
    for (const time of ['before', 'after'] as const) {
      for (let at = 1; ; at += 1) {
        const bank = await bankOf(made.contents);
        const dying = dyingBank(bank, at, time);
        const done = await collectIn(vaultOf(dying), manifestsOf(live)).catch(() => undefined);
        if (done !== undefined) break;
        kills += 1;
        expect(await wrongWithAll(vaultOf(bank), live), `killed ${time} call ${at}`).toEqual([]);
        await collectIn(vaultOf(bank), manifestsOf(live));
        expect([await packsIn(bank), await keysOf(bank, 'acme/manifests/')]).toEqual(wanted);
        expect([...(await toldOf(vaultOf(bank)))].sort()).toEqual(wanted[0]?.toSorted());
        expect(await wrongWithAll(vaultOf(bank), live)).toEqual([]);
      }
    }
    expect(kills).toBeGreaterThan(20);
  });

  it('that is aborted ends with the reason and leaves what is live', async () => {
    const { contents, live } = await madeOfThree();
    for (let at = 1; ; at += 1) {
      const bank = await bankOf(contents);
      const controller = new AbortController();
      const reason = new Error('no longer wanted');
      let left = at;
      const counted = dyingBank(bank, Number.POSITIVE_INFINITY, 'before', () => {
        left -= 1;
        if (left === 0) controller.abort(reason);
      });
      const request = { vault: vaultOf(counted), live: manifestsOf(live), preview: false };
      const outcome = await collect({ ...request, threads: inlineThreads() }, controller).catch(
        (error: unknown) => error,
      );
      expect(await wrongWithAll(vaultOf(bank), live)).toEqual([]);
      if (left > 0) break;
      // The last call of all may be the one that did it.
      if (outcome instanceof Error) expect(outcome).toBe(reason);
    }
  });

  it('leaves no index that tells of what is gone, so that a later archive does not rely on it', async () => {
    const bank = memoryBank({ name: 'bank' });
    const vault = vaultOf(bank);
    const one = await write(vault, 'one', [1, 2, 3, 4, 5]);
    const two = await writeBased(
      vault,
      'two',
      [
        [1, 2, 3, 4, 5],
        [1, 2, 3, 4, 6],
      ],
      one.manifest,
    );
    await collectIn(vault, [two.manifest]);
    const again = await write(vault, 'again', [1, 2, 3, 4, 5]);
    const based = await writeBased(
      vault,
      'based',
      [
        [1, 2, 3, 4, 6],
        [5, 2, 3, 4, 6],
      ],
      two.manifest,
    );
    expect(await wrongWithAll(vault, [two, again, based])).toEqual([]);
    const heads: string[] = [];
    const watched = bankWith(
      (sound) => ({
        head: (key, call) => {
          heads.push(key);
          return sound.head(key, call);
        },
      }),
      bank,
    );
    await write(vaultOf(watched), 'once more', [1, 2, 3, 4, 5]).catch(() => undefined);
    await write(vaultOf(watched), 'once-more', [1, 2, 3, 4, 5]);
    const there = new Set(await keysOf(bank, 'acme/data/'));
    expect(heads.filter((key) => key.startsWith('acme/data/') && !there.has(key))).toEqual([]);
  });

  it('does not disturb who opened an archive before it, to read or to base another on', async () => {
    const bank = memoryBank({ name: 'bank' });
    const vault = vaultOf(bank);
    const one = await write(vault, 'one', [1, 2, 3, 4, 5]);
    const two = await writeBased(
      vault,
      'two',
      [
        [1, 2, 3, 4, 5],
        [6, 2, 3, 4, 5],
      ],
      one.manifest,
    );
    await using reader = await openArchive(vault, two.manifest);
    expect((await collectIn(vault, [two.manifest])).manifests).toBe(1);
    const into = new Uint8Array(SIZE);
    await reader.readInto(0, into, countingCall());
    expect(Buffer.compare(into, two.bytes)).toBe(0);
    const bytes = volume([6, 2, 3, 4, 1]);
    const source = sourceOf(bytes, changesOf([6, 2, 3, 4, 5], [6, 2, 3, 4, 1]));
    const manifest = await archive(vault, 'three', source, { ...TINY, base: reader });
    await collectIn(vault, [manifest]);
    expect(await wrongWith(vaultOf(bank), { manifest, bytes })).toBeUndefined();
  });

  it('leaves with a locked index the packs that it tells of, so that who relies on them is right', async () => {
    const { bank, vault, clock, live, lock } = await withLocks();
    await lock('acme/index/one/');
    const packs = await packsIn(bank);
    const { locked, ...gone } = await collectIn(vault, [live.manifest]);
    expect(gone).toEqual({ manifests: 1, packs: 0, bytes: 0 });
    expect(await packsIn(bank)).toEqual(packs);
    expect([...(await toldOf(vault))].sort()).toEqual(packs.toSorted());
    const own = await keysOf(bank, 'acme/index/');
    expect(own).toHaveLength(2);
    const again = await write(vault, 'again', [1, 2, 3, 4, 5]);
    expect(await wrongWithAll(vault, [again, live])).toEqual([]);
    await removeManifest(vault, again.manifest, countingCall());
    await clock.sleep(2_000, countingCall());
    const later = await collectIn(vault, [live.manifest]);
    expect(later.locked).toEqual({ objects: 0, bytes: 0 });
    expect(later.packs).toBeGreaterThanOrEqual(locked.objects - 1);
    expect(await wrongWithAll(vault, [live])).toEqual([]);
  });

  it('takes what is not locked, and the rest when its lock has ended', async () => {
    const { bank, vault, clock, live, lock } = await withLocks();
    const [first = '', ...others] = (await toldOf(vault, 'one')).values();
    await lock(`acme/data/${first.slice(0, 2)}/${first}`);
    const done = await collectIn(vault, [live.manifest]);
    expect(done).toMatchObject({ manifests: 1, packs: others.length, locked: { objects: 1 } });
    expect(await packsIn(bank)).toContain(first);
    expect(await toldOf(vault)).not.toContain(first);
    expect(await collectIn(vault, [live.manifest])).toEqual({
      ...{ manifests: 0, packs: 0, bytes: 0 },
      locked: done.locked,
    });
    await clock.sleep(2_000, countingCall());
    expect(await collectIn(vault, [live.manifest])).toMatchObject({ packs: 1, bytes: done.locked.bytes });
    expect(await packsIn(bank)).not.toContain(first);
    expect(await wrongWithAll(vault, [live])).toEqual([]);
  });

  it('leaves other tenants alone', async () => {
    const bank = memoryBank({ name: 'bank' });
    const other = vaultOf(bank, parseTenantId('other'));
    const theirs = await write(other, 'one', [1, 2, 3, 4, 5]);
    await write(vaultOf(bank), 'one', [1, 2, 3, 4, 5]);
    const before = await keysOf(bank, 'other/');
    await collectIn(vaultOf(bank), []);
    expect(await keysOf(bank, 'other/')).toEqual(before);
    expect(await wrongWith(other, theirs)).toBeUndefined();
  });

  it('removes the damage that was told of packs with them', async () => {
    const bank = memoryBank({ name: 'bank' });
    const vault = vaultOf(bank);
    const one = await write(vault, 'one', [1, 2, 3, 4, 5]);
    for (const pack of await packsIn(bank)) {
      await putDamage(vault, { pack, reason: 'test', at: '2026-01-01T00:00:00.000Z' }, countingCall());
    }
    const two = await write(vault, 'two', [1, 2, 3, 4, 5]);
    await collectIn(vault, [two.manifest]);
    expect(await keysOf(bank, 'acme/damage/')).toEqual([]);
    expect(await wrongWith(vault, two)).toBeUndefined();
    expect(one.manifest.pages).toEqual(two.manifest.pages);
  });

  it('rejects and removes nothing where a live archive is not there', async () => {
    const { contents, live } = await madeOfThree();
    const bank = await bankOf(contents);
    const gone = { token: 'gone', digest: '0'.repeat(64) };
    await expect(collectIn(vaultOf(bank), [...manifestsOf(live), gone])).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(await contentsOf(bank)).toEqual(contents);
  });
});

/** A bank that fails from its nth call on; that call before or after its effect. */
function dyingBank(
  bank: Bank,
  at: number,
  time: 'before' | 'after',
  seen: () => void = () => undefined,
): Bank {
  let calls = 0;
  const die = (): never => {
    throw new Error('killed');
  };
  const run = async <Value>(call: () => Promise<Value>): Promise<Value> => {
    calls += 1;
    seen();
    if (calls > at || (calls === at && time === 'before')) die();
    const value = await call();
    return calls === at ? die() : value;
  };
  return bankWith(
    (sound) => ({
      put: (key, body, options) => run(() => sound.put(key, body, options)),
      get: (key, read, call) => run(() => sound.get(key, read, call)),
      head: (key, call) => run(() => sound.head(key, call)),
      remove: (keys, call) => run(() => sound.remove(keys, call)),
      async *list(prefix, options) {
        await run(() => Promise.resolve());
        yield* sound.list(prefix, options);
      },
    }),
    bank,
  );
}
