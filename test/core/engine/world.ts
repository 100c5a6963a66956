import { type Dirent, existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type {
  ArraySnapshot,
  Bank,
  Checkpoint,
  CheckpointId,
  Clock,
  Engine,
  EngineOptions,
  Part,
  PlanRecord,
  Provider,
  ProviderOptions,
  Session,
} from '../../../src/index.ts';
import { createEngine, defineProvider, FafnirError } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { archiveFlag } from '../../../src/strategies/archive-flag.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { direct, type Tap, tappedBank, tappedPart } from './taps.ts';
import { KEYS } from '../archive/vaults.ts';

/** The volumes of the shop. */
export const VOLUMES = ['web-root', 'db-root', 'db-data'] as const;

/** The machine's clock, except that short pauses, those before a step is tried again, take no time. */
export const hastyClock: Clock = {
  ...systemClock,
  sleep: (milliseconds, call) => systemClock.sleep(milliseconds < 500 ? 1 : milliseconds, call),
};

/** What providers say of policies. */
export type PolicyRules = Pick<ProviderOptions, 'policy' | 'tenantPolicy'>;

/** Providers of two sites below a directory with one bank, called through a tap. */
export function providersIn(
  directory: string,
  tap: Tap = direct,
  storage: Bank = filesystemBank(join(directory, 'bank')),
  rules: PolicyRules = {},
): { gold: Provider; silver: Provider; bronze: Provider; flag: Provider } {
  const bank = tappedBank(storage, tap);
  const banks = [{ bank, keys: KEYS, role: 'primary' as const }];
  const part = (site: string): Part => {
    const root = join(directory, site);
    // Reads maps itself: a process for each volume of each test would be much of their time.
    return tappedPart({ ...local({ root }), arrays: [createFilesArray({ name: 'files', root }, {})] }, tap);
  };
  const gold = { name: 'gold', site: 'a', parts: [part('a')], banks, ...rules };
  return {
    gold: defineProvider(gold),
    silver: defineProvider({ name: 'silver', site: 'b', parts: [part('b')], banks }),
    bronze: defineProvider({ ...gold, name: 'bronze', strategies: [storageArraySnapshot()] }),
    flag: defineProvider({ ...gold, name: 'flag', strategies: [storageArraySnapshot(), archiveFlag()] }),
  };
}

/** An engine over a shop on site `a`, an empty site `b` and a bank. */
export interface World extends AsyncDisposable {
  /** Holds the folders `a`, `b` and `bank`. */
  readonly path: string;
  /** The engine. */
  readonly engine: Engine;
  /** A tenant's session. */
  readonly acme: Session;
  /** The plan of the shop. */
  readonly plan: PlanRecord;
}

/** Makes one. What the tap does to calls begins at once. */
export async function openWorld(
  of: {
    readonly tap?: Tap;
    readonly provider?: string;
    readonly bank?: Bank;
    readonly rules?: PolicyRules;
    readonly options?: Partial<EngineOptions>;
  } = {},
): Promise<World> {
  const directory = await temporaryDirectory();
  const { path } = directory;
  await writeShop(join(path, 'a'));
  const engine = await createEngine({
    store: memoryStore(),
    providers: Object.values(providersIn(path, of.tap, of.bank, of.rules)),
    clock: hastyClock,
    ...of.options,
  });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const provider = of.provider ?? 'gold';
  return {
    path,
    engine,
    acme,
    plan: await acme.plans.create({ name: 'shop', provider, resources: SHOP }),
    async [Symbol.asyncDispose]() {
      await engine.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Makes a checkpoint of the shop. */
export async function protect({ acme, plan }: Pick<World, 'acme' | 'plan'>): Promise<CheckpointId> {
  return (await (await acme.protect(plan.id)).result()).checkpoint;
}

/** All items. */
export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** The error that work ends with, whether it throws or rejects; itself an error where the work succeeds. */
export async function failure(work: () => unknown): Promise<FafnirError> {
  let value: unknown;
  try {
    value = await work();
  } catch (error) {
    if (FafnirError.is(error)) return error;
    throw new Error('the work failed with an error that is not ours', { cause: error });
  }
  throw new Error(`the work should have failed, but gave ${JSON.stringify(value)}`);
}

/** Every file below a folder and what tells it from one that was written anew; empty where there is no folder. */
export async function filesBelow(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await entriesBelow(folder)) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    // What goes while the others are looked at is not there.
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    if (found === undefined) continue;
    const { ino, size, mtimeNs } = found;
    files[path.slice(folder.length + 1)] = [ino, size, mtimeNs].join(' ');
  }
  return files;
}

// A folder that goes while the others are read is no reason to see nothing: then all are read again.
async function entriesBelow(folder: string): Promise<Dirent[]> {
  for (;;) {
    try {
      return await readdir(folder, { recursive: true, withFileTypes: true });
    } catch {
      if (!existsSync(folder)) return [];
    }
  }
}

/** Everything that sites and bank hold. */
export async function everything({ path }: Pick<World, 'path'>): Promise<Record<string, unknown>> {
  const [a, b, bank] = await Promise.all(['a', 'b', 'bank'].map((name) => filesBelow(join(path, name))));
  return { a, b, bank };
}

/** What the array of site `a` holds, complete or not. */
export async function arraySnapshots({ path }: Pick<World, 'path'>): Promise<ArraySnapshot[]> {
  const [array] = local({ root: join(path, 'a') }).arrays ?? [];
  return array === undefined ? [] : all(array.list('', { signal: new AbortController().signal }));
}

/** The tenant's checkpoints that are listed as available. */
export async function availableOf({ acme }: Pick<World, 'acme'>): Promise<Checkpoint[]> {
  return (await all(acme.checkpoints.list())).filter(({ state }) => state === 'available');
}
