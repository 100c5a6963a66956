import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { TenantKeys } from '../../../../src/core/archive/tenant-keys.ts';
import { removeManifest } from '../../../../src/core/archive/volume/manifest.ts';
import { putDamage } from '../../../../src/core/archive/volume/proofs.ts';
import type { KeyProvider } from '../../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../../src/core/errors.ts';
import { memoryKeys } from '../../../../src/testing/memory-keys.ts';
import { vaultOf } from '../vaults.ts';
import { countingCall, keysOf } from '../volumes.ts';
import {
  bankOf,
  collectIn,
  contentsOf,
  madeOfThree,
  manifestsOf,
  overwrite,
  packsIn,
  write,
  writeBased,
  wrongWith,
  wrongWithAll,
} from './collecting.ts';

describe('a collection in a damaged bank', () => {
  const damages: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array])[] = [
    ['empty', () => new Uint8Array()],
    ['cut', (bytes) => bytes.slice(0, bytes.length >> 1)],
    ['changed at the start', (bytes) => bytes.map((byte, at) => (at === 10 ? byte ^ 1 : byte))],
    ['changed at the end', (bytes) => bytes.map((byte, at) => (at === bytes.length - 60 ? byte ^ 1 : byte))],
  ];

  it.each(damages)('with an index that is %s keeps what is live', async (_, damage) => {
    const { contents, live } = await madeOfThree();
    for (const key of [...contents.keys()].filter((one) => one.startsWith('acme/index/'))) {
      const bank = await bankOf(contents);
      await overwrite(bank, key, damage(contents.get(key) ?? new Uint8Array()));
      await collectIn(vaultOf(bank), manifestsOf(live));
      expect(await wrongWithAll(vaultOf(bank), live)).toEqual([]);
    }
  });

  it('without any index keeps what is live', async () => {
    const { contents, live } = await madeOfThree();
    const bank = await bankOf(contents);
    await bank.remove(await keysOf(bank, 'acme/index/'), countingCall());
    const { packs } = await collectIn(vaultOf(bank), manifestsOf(live));
    expect(packs).toBeGreaterThan(0);
    expect(await wrongWithAll(vaultOf(bank), live)).toEqual([]);
  });

  it.each(damages)('with a pack that is %s removes no other pack, or nothing at all', async (_, damage) => {
    const { contents, live } = await madeOfThree();
    const bank = await bankOf(contents);
    await collectIn(vaultOf(bank), manifestsOf(live));
    const clean = await contentsOf(bank);
    for (const key of await keysOf(bank, 'acme/data/')) {
      const broken = await bankOf(clean);
      await overwrite(broken, key, damage(clean.get(key) ?? new Uint8Array()));
      const before = await keysOf(broken, '');
      await collectIn(vaultOf(broken), manifestsOf(live)).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'CORRUPT' });
      });
      expect(await keysOf(broken, '')).toEqual(before);
      // As it was before the damage, all is there again.
      await overwrite(broken, key, clean.get(key) ?? new Uint8Array());
      expect(await wrongWithAll(vaultOf(broken), live)).toEqual([]);
    }
  });

  it('rejects and removes nothing where a manifest that is live cannot be read', async () => {
    const { contents, live } = await madeOfThree();
    for (const { manifest } of live) {
      const bank = await bankOf(contents);
      const key = `acme/manifests/${manifest.token}=${manifest.digest}`;
      await overwrite(bank, key, new Uint8Array(200));
      const before = await contentsOf(bank);
      await expect(collectIn(vaultOf(bank), manifestsOf(live))).rejects.toMatchObject({ code: 'CORRUPT' });
      expect(await contentsOf(bank)).toEqual(before);
    }
  });

  it('removes a manifest that cannot be read and that nothing needs', async () => {
    const bank = memoryBank({ name: 'bank' });
    const one = await write(vaultOf(bank), 'one', [1, 2, 3, 4, 5]);
    await overwrite(bank, `acme/manifests/junk=${'0'.repeat(64)}`, new Uint8Array(3));
    expect(await collectIn(vaultOf(bank), [one.manifest])).toMatchObject({ manifests: 1, packs: 0 });
  });

  it('passes over junk below index/', async () => {
    const { contents, live } = await madeOfThree();
    const bank = await bankOf(contents);
    const junk = ['acme/index/README', 'acme/index/one/x', 'acme/index/a/b/c'];
    for (const key of junk) await overwrite(bank, key, new Uint8Array(99));
    const done = await collectIn(vaultOf(bank), manifestsOf(live));
    expect(done.packs).toBeGreaterThan(0);
    expect(await wrongWithAll(vaultOf(bank), live)).toEqual([]);
  });

  // What is no index does not matter to anybody. A name that begins with two dots would make a prefix that no bank takes.
  it('does not end at the name of junk below index/', async () => {
    const { contents, live } = await madeOfThree();
    const bank = await bankOf(contents);
    await overwrite(bank, 'acme/index/..x', new Uint8Array(99));
    await collectIn(vaultOf(bank), manifestsOf(live));
  });

  it('keeps what is live beside junk below data/', async () => {
    const { contents, live } = await madeOfThree();
    const bank = await bankOf(contents);
    const [pack = ''] = await packsIn(bank);
    const junk = [
      'README',
      'ab/junk',
      `zz/${pack}`,
      `00/${'0'.repeat(32)}`,
      'a',
      `${pack.slice(0, 2)}/${pack}x`,
    ];
    for (const name of junk) await overwrite(bank, `acme/data/${name}`, new Uint8Array(99));
    await collectIn(vaultOf(bank), manifestsOf(live));
    expect(await wrongWithAll(vaultOf(bank), live)).toEqual([]);
  });

  const JUNK = ['README', 'ab/junk', `zz/${'1'.repeat(32)}`];
  // What a collection counts must be gone afterwards. These are no packs, or lie where none of their name does.
  it.each(JUNK)('counts as given back only what goes: data/%s', async (name) => {
    const bank = memoryBank({ name: 'bank' });
    await overwrite(bank, `acme/data/${name}`, new Uint8Array(99));
    const { packs } = await collectIn(vaultOf(bank), []);
    expect(packs).toBe(1 - (await keysOf(bank, 'acme/data/')).length);
  });

  // A name that begins with two dots would make a key that no bank takes.
  it('does not end at the name of junk below data/', async () => {
    const { contents, live } = await madeOfThree();
    const bank = await bankOf(contents);
    await overwrite(bank, 'acme/data/..x', new Uint8Array(99));
    await collectIn(vaultOf(bank), manifestsOf(live));
  });
});

describe('a collection of what is there twice', () => {
  const SEEDS = [1, 2, 3, 4, 5];

  // The archive that was written after a pack was lost holds its chunks once more: that copy counts, though an index still
  // tells of the lost pack.
  it.each(['gone', 'cut short'])('keeps the pack that is there, not the one that is %s', async (how) => {
    for (const [first, second] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const bank = memoryBank({ name: 'bank' });
      const vault = vaultOf(bank);
      await write(vault, first, SEEDS);
      for (const key of await keysOf(bank, 'acme/data/')) {
        if (how === 'gone') await bank.remove([key], countingCall());
        else await overwrite(bank, key, new Uint8Array(10));
      }
      const healed = await write(vault, second, SEEDS);
      expect(await wrongWith(vaultOf(bank), healed)).toBeUndefined();
      await collectIn(vaultOf(bank), [healed.manifest]);
      expect(await wrongWith(vaultOf(bank), healed)).toBeUndefined();
    }
  });

  it('keeps the sound one of two, where the other was found damaged', async () => {
    for (const [first, second] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const bank = memoryBank({ name: 'bank' });
      const vault = vaultOf(bank);
      await write(vault, first, SEEDS);
      for (const key of await keysOf(bank, 'acme/data/')) {
        const pack = key.slice(key.lastIndexOf('/') + 1);
        await overwrite(bank, key, new Uint8Array(10));
        await putDamage(vault, { pack, reason: 'test', at: '2026-01-01T00:00:00.000Z' }, countingCall());
      }
      const healed = await write(vault, second, SEEDS);
      await collectIn(vaultOf(bank), [healed.manifest]);
      expect(await wrongWith(vaultOf(bank), healed)).toBeUndefined();
    }
  });
});

describe('a collection by one who does not hold all keys', () => {
  // What is sealed under a key that is not held now may be needed: the collection is refused with UNKNOWN_KEY, as a
  // listing is.
  it('removes nothing that it cannot read', async () => {
    const bank = memoryBank({ name: 'bank' });
    const providers = [1, 2, 3].map((fill) => memoryKeys({ key: new Uint8Array(32).fill(fill) }));
    const keysAt = (at: number): KeyProvider => {
      const current = providers[at] ?? memoryKeys();
      return {
        contract: 1,
        current: (call) => current.current(call),
        wrap: (key, context, call) => current.wrap(key, context, call),
        unwrap: async (wrapped, context, call) => {
          for (const one of providers) {
            if ((await one.current(call)) === wrapped.by) return one.unwrap(wrapped, context, call);
          }
          throw new FafnirError('UNKNOWN_KEY', 'not here');
        },
      };
    };
    const tenant = vaultOf(bank).tenant;
    const rotate = (at: number) =>
      new TenantKeys(bank, tenant, keysAt(at)).rotate(Date.now() + 1_000 * at, countingCall());
    await write(vaultOf(bank, tenant, keysAt(0)), 'zero', [0, 0, 0, 0, 0]);
    await rotate(1);
    const second = await write(vaultOf(bank, tenant, keysAt(1)), 'one', SEEDS_OF_ONE);
    await rotate(2);
    const after = SEEDS_OF_ONE.with(0, 6);
    const third = await writeBased(
      vaultOf(bank, tenant, keysAt(2)),
      'two',
      [SEEDS_OF_ONE, after],
      second.manifest,
    );
    const whole = keysAt(2);
    const [, middle] = providers;
    const without: KeyProvider = {
      ...whole,
      unwrap: async (wrapped, context, call) => {
        if (wrapped.by === (await middle?.current(call))) throw new FafnirError('UNKNOWN_KEY', 'not here');
        return whole.unwrap(wrapped, context, call);
      },
    };
    await removeManifest(vaultOf(bank, tenant, whole), second.manifest, countingCall());
    await collectIn(vaultOf(bank, tenant, without), [third.manifest]).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'UNKNOWN_KEY' });
    });
    expect(await wrongWith(vaultOf(bank, tenant, whole), third)).toBeUndefined();
  });
});

const SEEDS_OF_ONE = [1, 2, 3, 4, 5];
