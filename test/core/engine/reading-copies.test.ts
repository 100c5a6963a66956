import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type {
  CheckpointId,
  Clock,
  Engine,
  Job,
  JobStore,
  Part,
  PlanRecord,
  Provider,
  Session,
} from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { KEYS } from '../archive/vaults.ts';
import { readVolume, SHOP, temporaryDirectory, writeShop } from './application.ts';
import { readingByCopies } from './copying-array.ts';
import { copiedOutside, ExternalStore } from './external-store.ts';
import { direct, type Tap, tappedPart } from './taps.ts';
import { failure, hastyClock, VOLUMES } from './world.ts';

const call = { signal: new AbortController().signal };

/** Sites whose arrays read snapshots from copies alone: `gold` and `outside` are where the shop is. */
function providersIn(path: string, tap: Tap): readonly Provider[] {
  const banks = [{ bank: filesystemBank(join(path, 'bank')), keys: KEYS, role: 'primary' as const }];
  const part = (site: string): Part => {
    const root = join(path, site);
    const array = readingByCopies(createFilesArray({ name: 'files', root }, {}), join(path, 'copies'));
    return tappedPart({ ...local({ root }), arrays: [array] }, tap);
  };
  const outside = { contract: 1, name: 'outside', copyStores: [new ExternalStore(new Map())] } as const;
  const strategies = [storageArraySnapshot()];
  return [
    defineProvider({ name: 'gold', site: 'a', parts: [part('a')], strategies, banks }),
    defineProvider({
      name: 'outside',
      site: 'a',
      parts: [part('a'), outside],
      strategies: [copiedOutside],
      banks,
    }),
    defineProvider({ name: 'silver', site: 'b', parts: [part('b')], banks }),
    defineProvider({ name: 'bronze', site: 'c', parts: [part('c')], banks }),
  ];
}

const storeIn = (path: string): JobStore => sqliteStore(join(path, 'fafnir.db'));

function hostOn(
  path: string,
  { tap = direct, store = storeIn(path), clock = hastyClock }: { tap?: Tap; store?: JobStore; clock?: Clock },
): Promise<Engine> {
  // A reader that another one was in the way of fails for good.
  const stepPolicies = { fill: { attempts: 1 } };
  return createEngine({ store, providers: providersIn(path, tap), clock, stepPolicies });
}

const acmeOf = (engine: Engine): Session => engine.for({ tenant: 'acme', actor: 'test' });
const copiesIn = (path: string): Promise<string[]> => readdir(join(path, 'copies')).catch(() => []);

interface Shop extends AsyncDisposable {
  readonly path: string;
  readonly plan: PlanRecord;
  readonly checkpoint: CheckpointId;
}

/** A shop with a checkpoint whose snapshots stay on the array. */
async function protectedShop(): Promise<Shop> {
  const directory = await temporaryDirectory();
  const { path } = directory;
  await writeShop(join(path, 'a'));
  await using host = await hostOn(path, {});
  const acme = acmeOf(host);
  const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  const { checkpoint } = await (await acme.protect(plan.id)).result();
  return { path, plan, checkpoint, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

async function expectRestored(path: string, site: string): Promise<void> {
  for (const id of VOLUMES) {
    const [was, is] = await Promise.all(['a', site].map((one) => readVolume(join(path, one), id)));
    expect(was?.equals(is ?? Buffer.of()), `bytes of ${id} on ${site}`).toBe(true);
  }
}

/** Of a host that takes one job and no other. */
function takingOne(store: JobStore): JobStore {
  let taken: string | undefined;
  return {
    ...store,
    claim: async (request) => {
      if (taken !== undefined && request.job !== taken) return undefined;
      const claim = await store.claim(request);
      taken ??= claim?.job.id;
      return claim;
    },
  };
}

/** Does something between the making of a copy and its reading. */
const onceCopied =
  (then: (signal: AbortSignal) => Promise<unknown>): Tap =>
  async (what, run, signal) => {
    const value = await run();
    if (what === 'array.open') await then(signal);
    return value;
  };

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = (): void => reject(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });

describe('an array that reads snapshots from copies alone', () => {
  it('is read by two hosts at once that restore the same checkpoint', async () => {
    await using shop = await protectedShop();
    const { path, checkpoint } = shop;
    const reads = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const host = (own: number): Promise<Engine> =>
      hostOn(path, {
        store: takingOne(storeIn(path)),
        // Neither goes on before both have a copy.
        tap: onceCopied(async () => {
          reads[own]?.resolve();
          await Promise.all(reads.map(({ promise }) => promise));
        }),
      });
    await using one = await host(0);
    await using _other = await host(1);
    const acme = acmeOf(one);
    const first = await acme.restore(checkpoint, { to: 'silver' });
    await reads[0]?.promise;
    const second = await acme.restore(checkpoint, { to: 'bronze' });
    for (const job of [first, second]) await job.result();
    for (const site of ['b', 'c']) await expectRestored(path, site);
    expect(await copiesIn(path)).toEqual([]);
  });

  it.each<[string, (acme: Session, shop: Shop) => Promise<Job<object>>]>([
    ['a restore', (acme, { checkpoint }) => acme.restore(checkpoint, { to: 'silver' })],
    ['an archive', (acme, { checkpoint }) => acme.archive(checkpoint)],
    [
      'an adoption',
      async (acme, { path, plan }) => {
        const volumes = VOLUMES.map((id) => ({ array: 'files', id, size: 0 }));
        await createFilesArray({ name: 'files', root: join(path, 'a') }, {}).snapshot(
          volumes,
          'nightly',
          call,
        );
        const snapshots = VOLUMES.map((volume) => ({ array: 'files', volume, name: 'nightly' }));
        return acme.adopt(plan.id, { ownership: 'leave', snapshots });
      },
    ],
    [
      'a protection by a copy elsewhere',
      async (acme) => {
        const { id } = await acme.plans.create({ name: 'copied', provider: 'outside', resources: SHOP });
        return acme.protect(id);
      },
    ],
  ])('has no copy any more once %s was cancelled in the middle', async (_, start) => {
    await using shop = await protectedShop();
    const { path } = shop;
    const copied = Promise.withResolvers<void>();
    const tap = onceCopied((signal) => {
      copied.resolve();
      return aborted(signal);
    });
    await using host = await hostOn(path, { tap });
    const job = await start(acmeOf(host), shop);
    await copied.promise;
    expect(await copiesIn(path)).not.toEqual([]);
    expect(await job.cancel()).toBe(true);
    expect((await failure(() => job.result())).code).toBe('CANCELLED');
    expect(await copiesIn(path)).toEqual([]);
  });

  it('has no copy any more of a host that died, whose job another one ended without it', async () => {
    await using shop = await protectedShop();
    const { path, checkpoint } = shop;
    const copied = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const tap = onceCopied(() => {
      copied.resolve();
      return end.promise;
    });
    await using dead = await hostOn(path, { tap, store: takingOne(storeIn(path)) });
    // Before its engine is closed, which waits for it.
    using _ = { [Symbol.dispose]: end.resolve };
    const { id } = await acmeOf(dead).restore(checkpoint, { to: 'silver' });
    await copied.promise;
    {
      // From then on, what is in the bank is read instead.
      await using archiving = await hostOn(path, {});
      await (await acmeOf(archiving).archive(checkpoint)).result();
    }
    expect(await copiesIn(path)).not.toEqual([]);
    const clock = { ...hastyClock, now: () => hastyClock.now() + 60_000 };
    await using heir = await hostOn(path, { clock });
    await acmeOf(heir).jobs.handle(id).result();
    await expectRestored(path, 'b');
    expect(await copiesIn(path)).toEqual([]);
  });
});
