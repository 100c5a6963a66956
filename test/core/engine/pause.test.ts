import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import type {
  CheckpointId,
  JobStore,
  JsonObject,
  PlanId,
  Session,
  SnapshotOptions,
} from '../../../src/index.ts';
import { createEngine, FafnirError } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { type Around, isPaused, logOf, openPauses, pausingProvider } from './pausing.ts';
import { all, arraySnapshots, availableOf, failure, hastyClock, providersIn } from './world.ts';

const PAUSED = fileURLToPath(new URL('fixtures/paused.ts', import.meta.url));
const server = (id: string) => ({ type: 'Local::Server', id });

interface Paused extends AsyncDisposable {
  readonly path: string;
  readonly store: JobStore;
  readonly acme: Session;
  plan(...servers: readonly string[]): Promise<PlanId>;
}

/** An engine over a site whose servers can be paused; the job store is a file. */
async function openPaused(path: string, around?: Around, freezer?: JsonObject): Promise<Paused> {
  const store = sqliteStore(join(path, 'fafnir.db'));
  const providers = [pausingProvider(path, around, freezer)];
  const engine = await createEngine({ store, providers, clock: hastyClock });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  return {
    path,
    store,
    acme,
    async plan(...servers) {
      const resources = servers.length === 0 ? SHOP : servers.map(server);
      return (await acme.plans.create({ name: servers.join() || 'shop', provider: 'gold', resources })).id;
    },
    [Symbol.asyncDispose]: () => engine.close(),
  };
}

/** A directory with the shop on site `a`. */
async function site(): Promise<{ path: string } & AsyncDisposable> {
  const directory = await temporaryDirectory();
  await writeShop(join(directory.path, 'a'));
  return directory;
}

type Achieved = { readonly consistency: string; readonly pauseMilliseconds: number | null };

/** What was achieved for each volume of a checkpoint. */
async function achieved(acme: Session, checkpoint: CheckpointId): Promise<Record<string, Achieved>> {
  const { artifacts } = await acme.checkpoints.get(checkpoint);
  return Object.fromEntries(
    artifacts.flatMap(({ volume }) => {
      if (volume === null) return [];
      const { consistency, pauseMilliseconds } = volume;
      return [[volume.volume.id, { consistency, pauseMilliseconds }]];
    }),
  );
}

/** Nothing is paused, and nothing is left of what was. */
async function expectReleased(path: string, ...servers: readonly string[]): Promise<void> {
  for (const id of servers) expect(isPaused(path, id), `${id} is paused`).toBe(false);
  expect(await openPauses(path)).toEqual([]);
}

/** Lets a snapshot wait until its job is stopped, and tells when it waits. */
function waiting(matches: (volume: string) => boolean = () => true): {
  around: Around;
  reached: Promise<void>;
} {
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  const around: Around = (take, volumes, { signal }) => {
    if (!volumes.some(({ id }) => matches(id))) return take();
    resolve();
    return aborted(signal);
  };
  return { around, reached };
}

/** Rejects when the call is to stop. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

// Copies are made side by side, in no order.
const isCopy = (line: string): boolean => line.startsWith('open ');
const isNoCopy = (line: string): boolean => !isCopy(line);

describe('a server that is protected', () => {
  it('is paused for its snapshot, and not for its copies', async () => {
    await using directory = await site();
    const { path } = directory;
    const seen: boolean[] = [];
    await using world = await openPaused(path, async (take) => {
      seen.push(isPaused(path, 'db'));
      const taken = await take();
      seen.push(isPaused(path, 'db'));
      return taken;
    });
    const { checkpoint } = await (await world.acme.protect(await world.plan('db'))).result();
    expect(seen).toEqual([true, true]);
    const log = await logOf(path);
    expect(log.filter(isNoCopy)).toEqual([
      'freeze db',
      'snapshot db-data db-root',
      'taken db-data db-root',
      'release db',
    ]);
    expect(log.slice(3).filter(isCopy).toSorted()).toEqual(['open db-data', 'open db-root']);
    const volumes = await achieved(world.acme, checkpoint);
    expect(Object.keys(volumes).toSorted()).toEqual(['db-data', 'db-root']);
    for (const { consistency, pauseMilliseconds } of Object.values(volumes)) {
      expect(consistency).toBe('application');
      expect(pauseMilliseconds).toBeGreaterThan(0);
    }
    await expectReleased(path, 'db');
  });

  it('is paused apart from others, each around its own snapshot', async () => {
    await using directory = await site();
    await using world = await openPaused(directory.path);
    const { checkpoint } = await (await world.acme.protect(await world.plan())).result();
    const log = await logOf(directory.path);
    for (const [id, volumes] of [
      ['db', 'db-data db-root'],
      ['web', 'web-root'],
    ] as const) {
      const own = [`freeze ${id}`, `snapshot ${volumes}`, `taken ${volumes}`, `release ${id}`];
      expect(log.filter((line) => own.includes(line))).toEqual(own);
    }
    const consistencies = Object.values(await achieved(world.acme, checkpoint)).map((one) => one.consistency);
    expect(consistencies).toEqual(['application', 'application', 'application']);
  });

  it('is paused together with the one that it shares a volume with', async () => {
    await using directory = await site();
    const { path } = directory;
    const file = join(path, 'a', 'servers', 'web.json');
    const record = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(
      file,
      JSON.stringify({ ...record, volumes: [{ volume: 'web-root' }, { volume: 'db-data' }] }),
    );
    await using world = await openPaused(path);
    const { checkpoint } = await (await world.acme.protect(await world.plan('web', 'db'))).result();
    const log = await logOf(path);
    expect(log.slice(0, 2).toSorted()).toEqual(['freeze db', 'freeze web']);
    expect(log.slice(2, 4)).toEqual(['snapshot db-data db-root web-root', 'taken db-data db-root web-root']);
    expect(log.filter(isNoCopy).slice(4).toSorted()).toEqual(['release db', 'release web']);
    const consistencies = Object.values(await achieved(world.acme, checkpoint)).map((one) => one.consistency);
    expect(consistencies).toEqual(['application', 'application', 'application']);
    await expectReleased(path, 'db', 'web');
  });

  it('stays paused while a snapshot is tried again', async () => {
    await using directory = await site();
    let tries = 0;
    await using world = await openPaused(directory.path, async (take) => {
      tries += 1;
      if (tries === 1) throw new FafnirError('UNAVAILABLE', 'no answer');
      return take();
    });
    const { checkpoint } = await (await world.acme.protect(await world.plan('web'))).result();
    expect((await logOf(directory.path)).filter(isNoCopy).slice(0, 5)).toEqual([
      'freeze web',
      'snapshot web-root',
      'snapshot web-root',
      'taken web-root',
      'release web',
    ]);
    expect(await achieved(world.acme, checkpoint)).toMatchObject({
      'web-root': { consistency: 'application' },
    });
  });
});

describe('a pause ends', () => {
  it('when the snapshot fails, and the next job begins another', async () => {
    await using directory = await site();
    const { path } = directory;
    let broken = true;
    await using world = await openPaused(path, (take) =>
      broken ? Promise.reject(new FafnirError('ACCESS_DENIED', 'not allowed')) : take(),
    );
    const plan = await world.plan('db');
    const job = await world.acme.protect(plan);
    expect((await failure(() => job.result())).code).toBe('ACCESS_DENIED');
    expect(await logOf(path)).toEqual(['freeze db', 'snapshot db-data db-root', 'release db']);
    await expectReleased(path, 'db');
    expect(await availableOf(world)).toEqual([]);
    broken = false;
    const { checkpoint } = await (await world.acme.protect(plan)).result();
    expect(await achieved(world.acme, checkpoint)).toMatchObject({
      'db-data': { consistency: 'application' },
    });
  });

  it('when the job is cancelled during the snapshot', async () => {
    await using directory = await site();
    const { path } = directory;
    const { around, reached } = waiting();
    await using world = await openPaused(path, around);
    const job = await world.acme.protect(await world.plan('db'));
    await reached;
    expect(isPaused(path, 'db')).toBe(true);
    expect(await job.cancel()).toBe(true);
    expect((await failure(() => job.result())).code).toBe('CANCELLED');
    const log = await logOf(path);
    expect(log.slice(0, 3)).toEqual(['freeze db', 'snapshot db-data db-root', 'release db']);
    // The undoing may have ended it once more.
    expect(log.slice(3).filter((line) => line !== 'release db')).toEqual([]);
    await expectReleased(path, 'db');
    expect(await arraySnapshots(world)).toEqual([]);
  });

  it('before the engine has closed that put its job down during the snapshot', async () => {
    await using directory = await site();
    const { path } = directory;
    const { around, reached } = waiting();
    const world = await openPaused(path, around);
    await world.acme.protect(await world.plan('db'));
    await reached;
    await world[Symbol.asyncDispose]();
    try {
      await expectReleased(path, 'db');
    } finally {
      // Whatever is still under way must not outlive the directory.
      await vi.waitFor(() => expectReleased(path, 'db'), { timeout: 30_000 });
    }
  });

  it('when the freezer cannot say that it began, and no snapshot is taken', async () => {
    await using directory = await site();
    await using world = await openPaused(directory.path, undefined, { broken: true });
    const job = await world.acme.protect(await world.plan('db'));
    expect((await failure(() => job.result())).message).toMatch(/frozen, but cannot say so/);
    expect(await logOf(directory.path)).toEqual(['freeze db', 'release db']);
    await expectReleased(directory.path, 'db');
  });

  it('when it begins after its deadline, and the job fails', async () => {
    await using directory = await site();
    await using world = await openPaused(directory.path, undefined, { slow: 200 });
    const job = await world.acme.protect(await world.plan('db'), { pauseMilliseconds: 100 });
    expect(await failure(() => job.result())).toMatchObject({ code: 'UNAVAILABLE', retryable: false });
    expect(await logOf(directory.path)).not.toContain('snapshot db-data db-root');
    await expectReleased(directory.path, 'db');
  });

  it('at its deadline, though the snapshot goes on, which is then not called consistent', async () => {
    await using directory = await site();
    const { path } = directory;
    const allowed = 3_000;
    await using world = await openPaused(path, async (take) => {
      expect(isPaused(path, 'db')).toBe(true);
      await vi.waitFor(() => expect(isPaused(path, 'db')).toBe(false), { timeout: 30_000 });
      return take();
    });
    const job = await world.acme.protect(await world.plan('db'), { pauseMilliseconds: allowed });
    const { checkpoint } = await job.result();
    const rows = await world.store.journal(world.acme.tenant, job.id);
    expect(rows).toContainEqual(
      expect.objectContaining({
        step: 'pause/Local::Server/db',
        value: { milliseconds: expect.any(Number), kept: false, ended: true },
      }),
    );
    for (const { consistency, pauseMilliseconds } of Object.values(await achieved(world.acme, checkpoint))) {
      expect(consistency).not.toBe('application');
      expect(pauseMilliseconds).toBeGreaterThanOrEqual(allowed);
    }
    await expectReleased(path, 'db');
  });

  it.each(['before', 'after'])(
    'when the process is killed %s the snapshot, which is not called consistent',
    async (moment) => {
      await using directory = await site();
      const { path } = directory;
      const child = spawn(process.execPath, [PAUSED, path, moment], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = once(child, 'close');
      await once(child.stdout, 'data');
      expect(isPaused(path, 'db')).toBe(true);
      child.kill('SIGKILL');
      await ended;
      await vi.waitFor(() => expect(isPaused(path, 'db')).toBe(false), { timeout: 30_000 });

      await using world = await openPaused(path);
      const [job] = await all(world.acme.jobs.list());
      if (job === undefined) throw new Error('the job is lost');
      const { checkpoint } = await world.acme.jobs.handle<{ checkpoint: CheckpointId }>(job.id).result();
      expect((await world.acme.jobs.get(job.id))?.epoch).toBeGreaterThan(1);
      const volumes = Object.values(await achieved(world.acme, checkpoint));
      expect(volumes).toHaveLength(2);
      for (const { consistency, pauseMilliseconds } of volumes) {
        expect(consistency).not.toBe('application');
        // Nobody knows how long it lasted; no longer than it was allowed to.
        expect(pauseMilliseconds).toBe(10_000);
      }
      expect((await logOf(path)).filter((line) => line.startsWith('freeze'))).toEqual(['freeze db']);
      await expectReleased(path, 'db');
      expect(await arraySnapshots(world)).toEqual([]);
    },
  );
});

describe('a job that another engine takes up', () => {
  it('keeps each pause apart from that of a server whose id begins alike', async () => {
    await using directory = await site();
    const { path } = directory;
    const [servers, volumes] = [join(path, 'a', 'servers'), join(path, 'a', 'volumes')];
    const record = JSON.parse(await readFile(join(servers, 'web.json'), 'utf8'));
    await writeFile(
      join(servers, 'web2.json'),
      JSON.stringify({ ...record, volumes: [{ volume: 'web2-root' }] }),
    );
    await copyFile(join(volumes, 'web-root.raw'), join(volumes, 'web2-root.raw'));
    const { around, reached } = waiting((volume) => volume === 'web-root');
    const first = await openPaused(path, around);
    const job = await first.acme.protect(await first.plan('web', 'web2'));
    await reached;
    await vi.waitFor(async () => {
      const steps = (await first.store.journal(first.acme.tenant, job.id)).map(({ step }) => step);
      expect(steps).toContain('pause/Local::Server/web2');
    });
    await first[Symbol.asyncDispose]();
    await vi.waitFor(() => expectReleased(path, 'web', 'web2'), { timeout: 30_000 });

    await using second = await openPaused(path);
    const { checkpoint } = await second.acme.jobs.handle<{ checkpoint: CheckpointId }>(job.id).result();
    const { 'web-root': web, 'web2-root': web2 } = await achieved(second.acme, checkpoint);
    expect(web2?.consistency).toBe('application');
    expect(web?.consistency).not.toBe('application');
  });
});

describe('an array that says when it has the instant', () => {
  /** Takes the snapshots, lets the pause end, and then does the rest. */
  const finishing =
    (path: string, rest: (call: SnapshotOptions) => Promise<void> = async () => undefined): Around =>
    async (take, _, call) => {
      const snapshots = await take();
      call.taken?.();
      await vi.waitFor(() => expect(isPaused(path, 'db')).toBe(false), { timeout: 30_000 });
      await rest(call);
      return snapshots;
    };

  it('keeps nobody paused for what it does afterwards', async () => {
    await using directory = await site();
    const { path } = directory;
    await using world = await openPaused(path, finishing(path));
    const { checkpoint } = await (await world.acme.protect(await world.plan('db'))).result();
    const log = await logOf(path);
    expect(log.slice(0, 4)).toEqual([
      'freeze db',
      'snapshot db-data db-root',
      'release db',
      'taken db-data db-root',
    ]);
    expect(log.slice(4).toSorted()).toEqual(['open db-data', 'open db-root']);
    for (const { consistency, pauseMilliseconds } of Object.values(await achieved(world.acme, checkpoint))) {
      expect(consistency).toBe('application');
      expect(pauseMilliseconds).toBeGreaterThan(0);
    }
    await expectReleased(path, 'db');
  });

  it('is asked for the same snapshots again where it fails afterwards', async () => {
    await using directory = await site();
    const { path } = directory;
    const asked: unknown[] = [];
    const around = finishing(path, async ({ isFirst }) => {
      asked.push(isFirst);
      if (asked.length === 1) throw new FafnirError('UNAVAILABLE', 'no answer');
    });
    await using world = await openPaused(path, around);
    const { checkpoint } = await (await world.acme.protect(await world.plan('db'))).result();
    expect(asked).toEqual([true, false]);
    expect((await logOf(path)).filter((line) => line.startsWith('freeze'))).toHaveLength(1);
    expect(await achieved(world.acme, checkpoint)).toMatchObject({
      'db-data': { consistency: 'application' },
      'db-root': { consistency: 'application' },
    });
  });

  it('leaves nothing where it fails afterwards for good', async () => {
    await using directory = await site();
    const { path } = directory;
    const refused = new FafnirError('ACCESS_DENIED', 'not allowed');
    await using world = await openPaused(
      path,
      finishing(path, () => Promise.reject(refused)),
    );
    const job = await world.acme.protect(await world.plan('db'));
    expect((await failure(() => job.result())).code).toBe('ACCESS_DENIED');
    expect(await availableOf(world)).toEqual([]);
    expect(await arraySnapshots(world)).toEqual([]);
    await expectReleased(path, 'db');
  });

  it('leaves nothing where the job is cancelled afterwards', async () => {
    await using directory = await site();
    const { path } = directory;
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const around = finishing(path, async ({ signal }) => {
      resolve();
      await aborted(signal);
    });
    await using world = await openPaused(path, around);
    const job = await world.acme.protect(await world.plan('db'));
    await reached;
    expect(await job.cancel()).toBe(true);
    expect((await failure(() => job.result())).code).toBe('CANCELLED');
    expect(await arraySnapshots(world)).toEqual([]);
    await expectReleased(path, 'db');
  });

  it('is asked for the same snapshots by the next worker', async () => {
    await using directory = await site();
    const { path } = directory;
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const first = await openPaused(
      path,
      finishing(path, async ({ signal }) => {
        resolve();
        await aborted(signal);
      }),
    );
    const job = await first.acme.protect(await first.plan('db'));
    await reached;
    const steps = async (): Promise<string[]> =>
      (await first.store.journal(first.acme.tenant, job.id)).map(({ step }) => step);
    await vi.waitFor(async () => expect(await steps()).toContain('pause/Local::Server/db'));
    await first[Symbol.asyncDispose]();
    const taken = await arraySnapshots(first);
    expect(taken).toHaveLength(2);

    const asked: unknown[] = [];
    const around: Around = async (take, _, { isFirst }) => {
      asked.push(isFirst);
      const again = await take();
      expect(again.map(({ takenAt }) => takenAt)).toEqual(taken.map(({ takenAt }) => takenAt));
      return again;
    };
    await using second = await openPaused(path, around);
    const { checkpoint } = await second.acme.jobs.handle<{ checkpoint: CheckpointId }>(job.id).result();
    expect(asked).toEqual([false]);
    expect((await logOf(path)).filter((line) => line.startsWith('freeze'))).toHaveLength(1);
    expect(await achieved(second.acme, checkpoint)).toMatchObject({
      'db-data': { consistency: 'application' },
      'db-root': { consistency: 'application' },
    });
  });
});

describe('a provider without a freezer', () => {
  it('pauses nothing and says so', async () => {
    await using directory = await site();
    const { gold } = providersIn(directory.path);
    await using engine = await createEngine({ store: memoryStore(), providers: [gold] });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({ name: 'db', provider: 'gold', resources: [server('db')] });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    for (const { consistency, pauseMilliseconds } of Object.values(await achieved(acme, checkpoint))) {
      expect(consistency).not.toBe('application');
      expect(pauseMilliseconds).toBeNull();
    }
  });
});
