import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { type CopyKey, putAddendum } from '../../../src/core/archive/checkpoint.ts';
import {
  type ArraySnapshot,
  type Bank,
  type CheckpointId,
  type Clock,
  createEngine,
  type Engine,
  type EngineOptions,
  type Job,
  type JobStore,
  type ReconciledArray,
  type Session,
} from '../../../src/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { vaultOf } from '../archive/vaults.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { direct, Gate, type Tap } from './taps.ts';
import { arraySnapshots, failure, hastyClock, providersIn } from './world.ts';

const call = { signal: new AbortController().signal };
const NOTHING = { count: 0, first: [] };
const COPIES = 3;

/** A directory with a shop on site `a`; everything in it goes with the test. */
async function makeSite(): Promise<string> {
  const directory = await temporaryDirectory();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  await writeShop(join(directory.path, 'a'));
  return directory.path;
}

/** An engine over it, as another process has one; `bronze` keeps its snapshots, `gold` removes them. */
async function openEngine(
  path: string,
  of: { readonly tap?: Tap; readonly options?: Partial<EngineOptions>; readonly bank?: string } = {},
): Promise<Engine> {
  const bank = filesystemBank({ root: join(path, of.bank ?? 'bank'), name: of.bank ?? 'bank' });
  const engine = await createEngine({
    store: sqliteStore(join(path, 'fafnir.db')),
    providers: Object.values(providersIn(path, of.tap, bank)),
    clock: hastyClock,
    ...of.options,
  });
  onTestFinished(() => engine.close());
  return engine;
}

const sessionOf = (engine: Engine, tenant = 'acme'): Session => engine.for({ tenant, actor: 'test' });

async function protect(session: Session, provider = 'bronze'): Promise<CheckpointId> {
  const name = `${provider} of ${session.tenant}`;
  const plan = await session.plans.create({ name, provider, resources: SHOP });
  return (await (await session.protect(plan.id)).result()).checkpoint;
}

/** Starts a protect that is held up once it has its snapshots. */
async function protectUpTo(gate: Gate, engine: Engine) {
  const acme = sessionOf(engine);
  const plan = await acme.plans.create({ name: 'held up', provider: 'bronze', resources: SHOP });
  const job = await acme.protect(plan.id);
  await gate.reached;
  return job;
}

/** The job store, whose jobs are asked for only when the one that was held up has ended. */
function endingFirst(path: string, gate: Gate, job: Job<unknown>): JobStore {
  const store = sqliteStore(join(path, 'fafnir.db'));
  async function* tenants() {
    gate.open();
    await job.result();
    yield* store.tenants();
  }
  return { ...store, tenants };
}

const atArtifacts = (): Gate => new Gate((what) => what.startsWith('bank.put acme/artifacts'));

async function reconcile(
  engine: Engine,
  asked: { readonly preview?: boolean; readonly adopt?: readonly string[] } = {},
): Promise<ReconciledArray> {
  const { arrays } = await engine.reconcile({ provider: 'bronze', ...asked });
  const [files] = arrays;
  if (files === undefined || arrays.length > 1) throw new Error('there is one array');
  return files;
}

const keysOf = (snapshots: readonly ArraySnapshot[]) =>
  snapshots.map(({ name, volume }) => ({ name, volume: volume.id }));

/** Takes away a checkpoint as if it had never been committed. */
const loseCommits = (path: string, tenant = 'acme'): Promise<void> =>
  rm(join(path, 'bank', tenant, 'commits'), { recursive: true });

/** Says something about a checkpoint, as the job that made it. */
async function append(path: string, session: Session, id: CheckpointId, what: Said): Promise<void> {
  const { commit } = await session.checkpoints.get(id);
  const vault = vaultOf(filesystemBank({ root: join(path, 'bank'), name: 'bank' }));
  await putAddendum(vault, id, { ...what, job: commit.job, at: commit.createdAt }, call);
}

type Said =
  | { readonly kind: 'removed' }
  | ({ readonly kind: 'copy-lost'; readonly reason: string } & CopyKey);

const plainArray = (path: string) => providersIn(path).bronze.arrays.get('files');

describe('a reconciliation of arrays', () => {
  it('leaves alone what checkpoints of all tenants count on', async () => {
    const path = await makeSite();
    const engine = await openEngine(path);
    await protect(sessionOf(engine));
    await protect(sessionOf(engine, 'other'));
    const before = await arraySnapshots({ path });
    const { installation, ...found } = await engine.reconcile({ provider: 'bronze' });
    expect(found).toEqual({
      provider: 'bronze',
      undecided: NOTHING,
      arrays: [
        {
          array: 'files',
          referenced: 2 * COPIES,
          inUse: 0,
          orphans: NOTHING,
          removed: 0,
          failed: NOTHING,
          foreign: [],
          missing: NOTHING,
        },
      ],
      external: [],
    });
    expect(await arraySnapshots({ path })).toEqual(before);
    for (const { name } of before) expect(name).toMatch(new RegExp(`^faf-${installation}-[a-f0-9]{27}$`));
    // The provider that shares the array knows as much.
    expect((await engine.reconcile({ provider: 'gold' })).arrays).toMatchObject([{ referenced: 2 * COPIES }]);
  });

  it('removes what no checkpoint counts on, and in a preview only says so', async () => {
    const path = await makeSite();
    const engine = await openEngine(path);
    await protect(sessionOf(engine));
    const lost = await arraySnapshots({ path });
    await loseCommits(path);
    await protect(sessionOf(engine, 'other'));
    const before = await arraySnapshots({ path });
    const orphans = { count: COPIES, first: keysOf(lost) };
    const expected = { referenced: COPIES, orphans, failed: NOTHING };
    expect(await reconcile(engine, { preview: true })).toMatchObject({ ...expected, removed: 0 });
    expect(await arraySnapshots({ path })).toEqual(before);
    expect(await reconcile(engine)).toMatchObject({ ...expected, removed: COPIES });
    const left = await arraySnapshots({ path });
    expect(left).toHaveLength(COPIES);
    expect(keysOf(left)).not.toEqual(expect.arrayContaining(keysOf(lost)));
    expect(await reconcile(engine)).toMatchObject({ referenced: COPIES, orphans: NOTHING });
  });

  it('removes what a checkpoint counted on that was marked as removed by a job that was lost', async () => {
    const path = await makeSite();
    const engine = await openEngine(path);
    const id = await protect(sessionOf(engine));
    await append(path, sessionOf(engine), id, { kind: 'removed' });
    expect(await reconcile(engine)).toMatchObject({ referenced: 0, removed: COPIES, missing: NOTHING });
    expect(await arraySnapshots({ path })).toEqual([]);
  });

  it('removes later what could not be removed when a checkpoint gave it up, and goes on where one fails', async () => {
    const path = await makeSite();
    let failing = Number.POSITIVE_INFINITY;
    const tap: Tap = async (what, run) => {
      if (what !== 'array.remove' || failing === 0) return run();
      failing -= 1;
      throw new Error('the array is busy');
    };
    const engine = await openEngine(path, { tap });
    const checkpoint = await protect(sessionOf(engine), 'gold');
    expect(await arraySnapshots({ path })).toHaveLength(COPIES);
    failing = 1;
    const found = await reconcile(engine);
    expect(found).toMatchObject({ referenced: 0, orphans: { count: COPIES }, removed: COPIES - 1 });
    expect(found.failed).toMatchObject({ count: 1, first: [{ error: { code: 'PLUGIN_FAILED' } }] });
    const [left] = keysOf(await arraySnapshots({ path }));
    expect(found.failed.first[0]).toMatchObject(left ?? {});
    expect(await reconcile(engine)).toMatchObject({ orphans: { count: 1 }, removed: 1, failed: NOTHING });
    expect(await arraySnapshots({ path })).toEqual([]);
    expect((await (await sessionOf(engine).verify(checkpoint)).result()).copies).toBe(COPIES);
  });

  it('leaves alone what a job of another process has taken and not committed yet', async () => {
    const path = await makeSite();
    const gate = atArtifacts();
    const job = await protectUpTo(gate, await openEngine(path, { tap: gate.tap }));
    const other = await openEngine(path, { options: { worker: false } });
    expect(await reconcile(other)).toMatchObject({ inUse: COPIES, referenced: 0, orphans: NOTHING });
    gate.open();
    await job.result();
    expect(await reconcile(other)).toMatchObject({ inUse: 0, referenced: COPIES, orphans: NOTHING });
  });

  it('leaves alone what a job has taken that ends between the looks at the array and at the jobs', async () => {
    const path = await makeSite();
    const gate = atArtifacts();
    const job = await protectUpTo(gate, await openEngine(path, { tap: gate.tap }));
    const store = endingFirst(path, gate, job);
    const other = await openEngine(path, { options: { worker: false, store } });
    expect(await reconcile(other)).toMatchObject({ inUse: 0, referenced: COPIES, orphans: NOTHING });
  });

  it('waits for what a bank lists late before it asks what is needed', async () => {
    const path = await makeSite();
    const gate = atArtifacts();
    const job = await protectUpTo(gate, await openEngine(path, { tap: gate.tap }));
    const { bronze } = providersIn(path);
    const { bank } = bronze;
    const listingDelay = 7_000;
    let isListed = false;
    const late: Bank = {
      ...bank,
      capabilities: { ...bank.capabilities, listingDelay },
      list: (prefix, options) => bank.list(isListed ? prefix : `hidden-${prefix}`, options),
    };
    const clock: Clock = {
      ...hastyClock,
      sleep: async (milliseconds) => {
        isListed ||= milliseconds >= listingDelay;
      },
    };
    const store = endingFirst(path, gate, job);
    const other = await openEngine(path, {
      options: { worker: false, clock, store, providers: [{ ...bronze, bank: late }] },
    });
    expect(await reconcile(other)).toMatchObject({ inUse: 0, referenced: COPIES, orphans: NOTHING });
  });

  it('counts what is not ours, and never removes it', async () => {
    const path = await makeSite();
    const gate = atArtifacts();
    const engine = await openEngine(path, { tap: gate.tap });
    await protectUpTo(gate, engine);
    const array = plainArray(path);
    const volume = { array: 'files', id: 'web-root', size: 0 };
    for (const name of ['faf-0123456789ab-0123456789abcdef0123456789a', 'faf-something', 'nightly-1'])
      await array?.snapshot([volume], name, call);
    const before = await arraySnapshots({ path });
    const other = await openEngine(path, { options: { store: sqliteStore(join(path, 'other.db')) } });
    const found = await reconcile(other);
    expect(found).toMatchObject({ inUse: 0, referenced: 0, orphans: NOTHING });
    const { installation } = await engine.reconcile({ provider: 'gold', preview: true });
    const [unnamed, ...named] = found.foreign;
    expect(unnamed).toEqual({ installation: null, snapshots: 1, isRecorded: false });
    expect(new Set(named)).toEqual(
      new Set([
        { installation: '0123456789ab', snapshots: 1, isRecorded: false },
        { installation, snapshots: COPIES, isRecorded: true },
      ]),
    );
    expect(await arraySnapshots({ path })).toEqual(before);
  });

  it('adopts what an installation left whose job store is lost, if the bank tells of it', async () => {
    const path = await makeSite();
    const gate = atArtifacts();
    const first = await openEngine(path, { tap: gate.tap });
    const kept = await protect(sessionOf(first, 'other'));
    await protectUpTo(gate, first);
    const { installation } = await first.reconcile({ provider: 'bronze', preview: true });
    await first.close();
    for (const ending of ['', '-wal', '-shm']) await rm(join(path, `fafnir.db${ending}`), { force: true });
    const second = await openEngine(path);
    const refused = await failure(() => reconcile(second, { adopt: [installation, 'ffffffffffff'] }));
    expect(refused).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('ffffffffffff') });
    expect(await arraySnapshots({ path })).toHaveLength(2 * COPIES);
    expect(await reconcile(second)).toMatchObject({
      removed: 0,
      foreign: [{ installation, isRecorded: true }],
    });
    expect(await reconcile(second, { adopt: [installation] })).toMatchObject({
      referenced: COPIES,
      removed: COPIES,
      foreign: [],
    });
    expect(await arraySnapshots({ path })).toHaveLength(COPIES);
    expect((await (await sessionOf(second, 'other').verify(kept)).result()).copies).toBe(COPIES);
  });

  it('removes nothing while a checkpoint of any tenant cannot be read', async () => {
    const path = await makeSite();
    const engine = await openEngine(path);
    await protect(sessionOf(engine));
    await loseCommits(path);
    const checkpoint = await protect(sessionOf(engine, 'other'));
    await rm(join(path, 'bank', 'other', 'artifacts'), { recursive: true });
    const found = await engine.reconcile({ provider: 'bronze' });
    expect(found.undecided).toMatchObject({
      count: 1,
      first: [{ tenant: 'other', bank: 'bank', checkpoint, error: { code: expect.any(String) } }],
    });
    expect(found.arrays).toMatchObject([{ orphans: { count: 2 * COPIES }, removed: 0, failed: NOTHING }]);
    expect(await arraySnapshots({ path })).toHaveLength(2 * COPIES);
  });

  it('removes nothing while a key is not held', async () => {
    const path = await makeSite();
    const engine = await openEngine(path);
    await protect(sessionOf(engine));
    await engine.close();
    const keys = memoryKeys({ name: 'others', key: new Uint8Array(32).fill(9) });
    const { bank, bronze } = { ...providersIn(path), bank: providersIn(path).bronze.bank };
    const other = await openEngine(path, { options: { providers: [{ ...bronze, bank, keys }] } });
    const found = await other.reconcile({ provider: 'bronze' });
    expect(found.undecided).toMatchObject({
      count: 1,
      first: [{ tenant: 'acme', checkpoint: null, error: { code: 'UNKNOWN_KEY' } }],
    });
    expect(await arraySnapshots({ path })).toHaveLength(COPIES);
  });

  it('leaves alone what was made by a provider that this engine does not have', async () => {
    const path = await makeSite();
    const elsewhere = await openEngine(path, { bank: 'elsewhere' });
    await protect(sessionOf(elsewhere));
    await elsewhere.close();
    const { gold } = providersIn(path);
    const engine = await openEngine(path, { options: { providers: [gold] } });
    expect((await engine.reconcile({ provider: 'gold' })).arrays).toMatchObject([
      { inUse: COPIES, orphans: NOTHING },
    ]);
    expect(await arraySnapshots({ path })).toHaveLength(COPIES);
  });

  it('keeps a copy that was called lost, for it may be found again', async () => {
    const path = await makeSite();
    const engine = await openEngine(path);
    const id = await protect(sessionOf(engine));
    const volume = { array: 'files', id: 'db-data' };
    const copy = { kind: 'array', location: 'files' } as const;
    await append(path, sessionOf(engine), id, { kind: 'copy-lost', reason: 'test', volume, copy });
    expect(await reconcile(engine)).toMatchObject({ referenced: COPIES, orphans: NOTHING, missing: NOTHING });
  });

  it('tells which copies are missing, and calls none missing that was given up', async () => {
    const path = await makeSite();
    const engine = await openEngine(path);
    const checkpoint = await protect(sessionOf(engine));
    const removed = await protect(sessionOf(engine, 'other'));
    await (await sessionOf(engine, 'other').remove(removed)).result();
    const [gone] = await arraySnapshots({ path });
    if (gone === undefined) throw new Error('there is a snapshot');
    await plainArray(path)?.remove(gone, call);
    const expected = { tenant: 'acme', checkpoint, name: gone.name, volume: gone.volume.id };
    expect((await reconcile(engine)).missing).toEqual({ count: 1, first: [expected] });
    expect(await sessionOf(engine).checkpoints.get(checkpoint)).toMatchObject({ state: 'available' });
  });

  it('refuses options that it does not know, and providers', async () => {
    const engine = await openEngine(await makeSite());
    const odd = { provider: 'bronze', adopt: ['0123'] };
    expect(await failure(() => engine.reconcile(odd))).toMatchObject({ code: 'INVALID_OPTIONS' });
    const unknown = { provider: 'bronze', remove: true };
    expect(await failure(() => engine.reconcile(unknown))).toMatchObject({ code: 'INVALID_OPTIONS' });
    expect(await failure(() => engine.reconcile({ provider: 'lead' }))).toMatchObject({
      code: 'UNKNOWN_PROVIDER',
    });
  });

  it('does nothing once it is aborted', async () => {
    const path = await makeSite();
    const engine = await openEngine(path);
    await protect(sessionOf(engine));
    await loseCommits(path);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(engine.reconcile({ provider: 'bronze', signal })).rejects.toThrow('enough');
    expect(await arraySnapshots({ path })).toHaveLength(COPIES);
  });

  it('records its installation in the bank before there is a snapshot', async () => {
    const path = await makeSite();
    const seen: string[] = [];
    const tap: Tap = (what, run, signal, ids) => {
      if (/installations|array\.snapshot/.test(what)) seen.push(what.split(' ')[0] ?? '');
      return direct(what, run, signal, ids);
    };
    const engine = await openEngine(path, { tap });
    await protect(sessionOf(engine));
    expect(seen.slice(0, 3)).toEqual(['bank.head', 'bank.put', 'array.snapshot']);
  });
});
