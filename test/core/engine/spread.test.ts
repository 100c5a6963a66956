import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createEngine, type Engine } from '../../../src/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import type { Tap } from './taps.ts';
import { hastyClock, protect, providersIn, VOLUMES } from './world.ts';

const isData = (what: string): boolean => what.startsWith('bank.put acme/data/');

/** An engine on a shared store that archives one volume at once, and tells what it calls. */
async function openHost(path: string, before: (what: string) => Promise<void>): Promise<Engine> {
  const tap: Tap = async (what, run) => {
    await before(what);
    return run();
  };
  const providers = Object.values(providersIn(path, tap));
  const store = sqliteStore(join(path, 'fafnir.db'));
  return createEngine({ store, providers, clock: hastyClock, archive: { volumes: 1, workers: 0 } });
}

it('the volumes of one checkpoint are archived by all engines on its store, each as many at once as it may', async () => {
  await using directory = await temporaryDirectory();
  const { path } = directory;
  await writeShop(join(path, 'a'));
  const { promise: isShared, resolve: share } = Promise.withResolvers<void>();
  const opened = { first: 0, second: 0 };
  // The one that protects gets no further with its first volume until the other has begun with another one.
  await using first = await openHost(path, async (what) => {
    if (what.startsWith('array.open')) opened.first += 1;
    if (isData(what)) await isShared;
  });
  await using _second = await openHost(path, async (what) => {
    if (what.startsWith('array.open')) opened.second += 1;
    if (isData(what)) share();
  });
  const acme = first.for({ tenant: 'acme', actor: 'test' });
  const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  const checkpoint = await protect({ acme, plan });
  expect(opened.first).toBeGreaterThan(0);
  expect(opened.second).toBeGreaterThan(0);
  expect(opened.first + opened.second).toBe(VOLUMES.length);
  const { copies } = await (await acme.verify(checkpoint)).result();
  expect(copies).toBe(VOLUMES.length);
});
