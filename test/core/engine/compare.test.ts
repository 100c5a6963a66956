import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import type { StorageArray, VolumeSource } from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { openSource } from '../../../src/testing/storage-array/helpers.ts';
import { KEYS } from '../archive/vaults.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { failure, hastyClock } from './world.ts';

const volumeOf = (path: string, site: string): string => join(path, site, 'volumes', 'db-data.raw');

/** A shop whose array keeps change bases, with an engine over it. */
async function openShop({
  compare,
  opened,
}: {
  compare: boolean;
  opened: (source: VolumeSource, since: boolean) => VolumeSource;
}) {
  const directory = await temporaryDirectory();
  const { path } = directory;
  await writeShop(join(path, 'a'));
  const banks = [{ bank: memoryBank({ name: 'bank' }), keys: KEYS, role: 'primary' as const }];
  const providerOf = (name: string, site: string, change: (array: StorageArray) => StorageArray) => {
    const root = join(path, site);
    const arrays = [change(createFilesArray({ name: 'files', root }, {}))];
    const strategies = [volumeSnapshot({ compare: compare ? 'always' : 'never' })];
    return defineProvider({ name, site, parts: [{ ...local({ root }), arrays }], strategies, banks });
  };
  const gold = providerOf('gold', 'a', (array) => ({
    ...array,
    capabilities: async (call) => ({ ...(await array.capabilities(call)), changeBase: 'snapshot' as const }),
    open: async (snapshot, { since }) => opened(await openSource(array, snapshot), since !== undefined),
  }));
  const providers = [gold, providerOf('silver', 'b', (array) => array)];
  const engine = await createEngine({ store: memoryStore(), providers, clock: hastyClock });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  return {
    path,
    acme,
    protect: async () => (await acme.protect(plan.id)).result(),
    async [Symbol.asyncDispose]() {
      await engine.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Says that nothing changed. */
const lying = (source: VolumeSource, since: boolean): VolumeSource =>
  since
    ? {
        access: 'random',
        size: source.size,
        async *extents() {
          yield { offset: 0, length: source.size, kind: 'same' };
        },
        readInto: (offset, into, call) => source.readInto(offset, into, call),
        close: () => source.close(),
        [Symbol.asyncDispose]: () => source.close(),
      }
    : source;

describe('an array that calls unchanged what is not', () => {
  it.each([true, false])('is found out where archives are compared: %s', async (compare) => {
    await using shop = await openShop({ compare, opened: lying });
    await shop.protect();
    const changed = (await readFile(volumeOf(shop.path, 'a'))).map((byte) => byte ^ 1);
    await writeFile(volumeOf(shop.path, 'a'), changed);
    const { checkpoint } = await shop.protect();
    const { artifacts } = await shop.acme.checkpoints.get(checkpoint);
    const proofs = artifacts
      .flatMap(({ volume }) => volume?.copies ?? [])
      .map(({ kind, proof }) => [kind, proof]);
    expect(new Set(proofs.filter(([kind]) => kind === 'archive').map(([, proof]) => proof))).toEqual(
      new Set([compare ? 'source-compared' : 'read-back']),
    );
    await (await shop.acme.restore(checkpoint, { to: 'silver' })).result();
    const restored = await readFile(volumeOf(shop.path, 'b'));
    expect(Buffer.compare(restored, changed) === 0).toBe(compare);
  });
});

describe('a snapshot that does not read twice alike', () => {
  it('is not archived where archives are compared', async () => {
    let readings = 0;
    await using shop = await openShop({
      compare: true,
      opened: (source) => {
        readings += 1;
        const isOther = readings > 3;
        return {
          access: 'random',
          size: source.size,
          extents: (call) => source.extents(call),
          async readInto(offset, into, call) {
            await source.readInto(offset, into, call);
            if (isOther && into[0] !== undefined) into[0] ^= 1;
          },
          close: () => source.close(),
          [Symbol.asyncDispose]: () => source.close(),
        };
      },
    });
    expect((await failure(shop.protect)).code).toBe('NOT_PROVEN');
    const listed: unknown[] = [];
    for await (const checkpoint of shop.acme.checkpoints.list()) listed.push(checkpoint);
    expect(listed).toEqual([]);
  });
});
