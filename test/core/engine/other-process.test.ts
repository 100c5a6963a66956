import { join } from 'node:path';
import { expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type { Part } from '../../../src/core/contracts/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { keyFile } from '../../../src/keys/file.ts';
import { local } from '../../../src/providers/local.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { KEYS } from '../archive/vaults.ts';
import { collected } from '../archive/volume/sparse.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';

it('who only asks for jobs needs no array, no bank and no key', async () => {
  await using directory = await temporaryDirectory();
  const [site, nowhere] = [join(directory.path, 'a'), join(directory.path, 'nowhere')];
  await writeShop(site);
  const store = () => sqliteStore(join(directory.path, 'fafnir.db'));
  const gold = (part: Part, bank: string, keys = KEYS) => {
    const banks = [{ bank: filesystemBank(join(directory.path, bank)), keys, role: 'primary' as const }];
    return defineProvider({ name: 'gold', site: 'a', parts: [part], banks });
  };
  const names = gold(local({ root: nowhere }), 'nowhere', keyFile({ path: nowhere }));
  await using asking = await createEngine({ store: store(), providers: [names], worker: false });
  const frontend = asking.for({ tenant: 'acme', actor: 'frontend' });
  const plan = await frontend.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  const protect = await frontend.protect(plan.id);
  const unwanted = await frontend.protect(plan.id);
  const queued = await collected(frontend.jobs.list({ state: 'queued' }));
  expect(queued.map(({ id }) => id)).toEqual([protect.id, unwanted.id]);
  // A job ends by a worker, also one that never began.
  const cancelled = unwanted.cancel();

  const providers = [gold(local({ root: site }), 'bank')];
  await using _worker = await createEngine({ store: store(), providers });
  const { checkpoint } = await protect.result();
  expect(await cancelled).toBe(true);
  await (await frontend.verify(checkpoint)).result();
  await (await frontend.remove(checkpoint)).result();
  const jobs = await collected(frontend.jobs.list());
  expect(jobs.map(({ operation, state }) => `${operation} ${state}`)).toEqual([
    'protect succeeded',
    'protect cancelled',
    'verify succeeded',
    'remove succeeded',
  ]);
  expect(new Set(jobs.map(({ actor }) => actor))).toEqual(new Set(['frontend']));
});
