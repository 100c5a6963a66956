import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import type { SequentialSource, SnapshotStrategy, StorageArray } from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { openSource } from '../../../src/testing/storage-array/helpers.ts';
import { KEYS } from '../archive/vaults.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { hastyClock } from './world.ts';

const BLOCK = 100_000;

/** An array of which snapshots can only be read from their start to their end. */
const streaming = (array: StorageArray): StorageArray => ({
  ...array,
  open: async (snapshot): Promise<SequentialSource> => {
    const source = await openSource(array, snapshot);
    return {
      access: 'sequential',
      size: source.size,
      async *blocks(call) {
        for await (const { offset, length, kind } of source.extents(call)) {
          if (kind !== 'data') yield { offset, length, kind };
          for (let at = offset; kind === 'data' && at < offset + length; at += BLOCK) {
            const data = new Uint8Array(Math.min(BLOCK, offset + length - at));
            await source.readInto(at, data, call);
            yield { offset: at, data, kind };
          }
        }
      },
      close: () => source.close(),
      [Symbol.asyncDispose]: () => source.close(),
    };
  },
});

describe('an array that streams', () => {
  it.each<[string, SnapshotStrategy]>([
    ['compared archives', volumeSnapshot({ compare: 'always' })],
    ['its own snapshots', storageArraySnapshot()],
  ])('is protected and restored by %s', async (_, strategy) => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await writeShop(join(path, 'a'));
    const banks = [{ bank: memoryBank({ name: 'bank' }), keys: KEYS, role: 'primary' as const }];
    const providerOf = (name: string, site: string) => {
      const root = join(path, site);
      const part = local({ root });
      const arrays = [streaming(createFilesArray({ name: 'files', root }, {}))];
      return defineProvider({ name, site, parts: [{ ...part, arrays }], strategies: [strategy], banks });
    };
    await using engine = await createEngine({
      store: memoryStore(),
      providers: [providerOf('gold', 'a'), providerOf('silver', 'b')],
      clock: hastyClock,
    });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    await (await acme.verify(checkpoint)).result();
    await (await acme.restore(checkpoint, { to: 'silver' })).result();
    const [was, is] = await Promise.all(
      ['a', 'b'].map((site) => readFile(join(path, site, 'volumes', 'db-data.raw'))),
    );
    expect(was?.equals(is ?? new Uint8Array())).toBe(true);
  });
});
