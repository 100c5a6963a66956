import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { systemClock } from '../../../src/core/clock.ts';
import {
  type CallOptions,
  createEngine,
  defineProvider,
  type Engine,
  type Provider,
  type Session,
  type SnapshotStrategy,
} from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { arraySnapshots, availableOf, failure, filesBelow } from './world.ts';
import { KEYS } from '../archive/vaults.ts';

const forever: AbortSignal = new AbortController().signal;

/** A request that arrives when it is let go, whatever became of whoever made it. */
class Delayed {
  readonly #sent = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<void>();
  readonly #arrived = Promise.withResolvers<unknown>();
  #isNext = false;

  /** Delays the next call. */
  arm(): void {
    this.#isNext = true;
  }

  async around<Value>(call: CallOptions, run: (call: CallOptions) => Promise<Value>): Promise<Value> {
    if (!this.#isNext) return run(call);
    this.#isNext = false;
    this.#sent.resolve();
    const late = this.#released.promise.then(() => run({ signal: forever }));
    this.#arrived.resolve(late.catch((error: unknown) => error));
    return late;
  }

  /** Resolves when the call is on its way. */
  sent(): Promise<void> {
    return this.#sent.promise;
  }

  /** Lets it arrive; resolves when it has. */
  async arrive(): Promise<void> {
    this.#released.resolve();
    await this.#arrived.promise;
  }
}

// Long enough for calls that are not held up, on a machine that has much else to do.
const PATIENCE = 1_500;

interface World extends AsyncDisposable {
  readonly path: string;
  readonly engine: Engine;
  readonly acme: Session;
}

async function openWorld(of: {
  snapshot?: Delayed;
  create?: Delayed;
  createVolume?: Delayed;
  strategy?: SnapshotStrategy;
}): Promise<World> {
  const directory = await temporaryDirectory();
  const { path } = directory;
  await writeShop(join(path, 'a'));
  const bank = filesystemBank(join(path, 'bank'));
  const provider = (name: string, site: string): Provider => {
    const root = join(path, site);
    const array = createFilesArray({ name: 'files', root }, {});
    const { protectables = [] } = local({ root });
    const slow = {
      ...array,
      snapshot: (...[volumes, name, call]: Parameters<typeof array.snapshot>) =>
        through(of.snapshot, call, (late) => array.snapshot(volumes, name, late)),
    };
    return defineProvider({
      name,
      site,
      parts: [
        {
          contract: 1,
          name: site,
          arrays: [slow],
          strategies: [of.strategy ?? volumeSnapshot()],
          protectables: protectables.map((plugin) => ({
            ...plugin,
            create: (...[description, request, call]: Parameters<typeof plugin.create>) =>
              through(plugin.type === 'Local::Volume' ? of.createVolume : of.create, call, (late) =>
                plugin.create(description, request, late),
              ),
          })),
        },
      ],
      banks: [{ bank, keys: KEYS, role: 'primary' }],
    });
  };
  const engine = await createEngine({
    store: memoryStore(),
    providers: [provider('gold', 'a'), provider('silver', 'b')],
    clock: {
      ...systemClock,
      sleep: (milliseconds, call) => systemClock.sleep(Math.min(milliseconds, 100), call),
    },
    // A plugin that does not stop when it is told to is soon no longer waited for.
    stepPolicies: {
      snapshot: { attempts: 1, timeoutMilliseconds: PATIENCE },
      create: { attempts: 1, timeoutMilliseconds: PATIENCE },
    },
  });
  return {
    path,
    engine,
    acme: engine.for({ tenant: 'acme', actor: 'test' }),
    async [Symbol.asyncDispose]() {
      await engine.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

const through = <Value>(
  delayed: Delayed | undefined,
  call: CallOptions,
  run: (call: CallOptions) => Promise<Value>,
): Promise<Value> => (delayed === undefined ? run(call) : delayed.around(call, run));

describe('what arrives after its job was undone', () => {
  it('is found by its name and removed, where it is a snapshot', async () => {
    const snapshot = new Delayed();
    await using world = await openWorld({ snapshot });
    const { acme, engine } = world;
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    snapshot.arm();
    const job = await acme.protect(plan.id);
    await snapshot.sent();
    expect(await failure(() => job.result())).toMatchObject({ code: 'PLUGIN_FAILED' });
    expect(await arraySnapshots(world)).toEqual([]);
    await snapshot.arrive();
    const late = await arraySnapshots(world);
    expect(late).not.toEqual([]);
    expect(await engine.reconcile()).toEqual([
      {
        tenant: 'acme',
        job: job.id,
        removed: late.map(({ name, volume }) => `snapshot ${name} of volume ${volume.id} on array files`),
      },
    ]);
    expect(await arraySnapshots(world)).toEqual([]);
    expect(await acme.reconcile()).toEqual([]);
  });

  it.each(['create', 'createVolume'] as const)('is removed, where it is a resource (%s)', async (which) => {
    const delayed = new Delayed();
    await using world = await openWorld({ [which]: delayed });
    const { acme } = world;
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    delayed.arm();
    const job = await acme.restore(checkpoint, { to: 'silver' });
    await delayed.sent();
    expect(await failure(() => job.result())).toMatchObject({ code: 'PLUGIN_FAILED' });
    await delayed.arrive();
    await acme.reconcile();
    expect(await filesBelow(join(world.path, 'b'))).toEqual({});
    expect(await availableOf(world)).toHaveLength(1);
  });

  it('is not confused with what a checkpoint counts on', async () => {
    await using world = await openWorld({ strategy: storageArraySnapshot() });
    const { acme, engine } = world;
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    const before = await arraySnapshots(world);
    expect(before).not.toEqual([]);
    expect(await engine.reconcile()).toEqual([]);
    expect(await arraySnapshots(world)).toEqual(before);
    expect((await (await acme.verify(checkpoint)).result()).copies).toBeGreaterThan(0);
  });
});
