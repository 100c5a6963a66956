import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type {
  CheckpointId,
  Engine,
  NewPlan,
  OpenCheckpoint,
  Provider,
  Session,
  StorageArray,
} from '../../../src/index.ts';
import { createEngine, defineProvider, FafnirError } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { isPaused, openPauses, pausingProvider } from './pausing.ts';
import { direct, Fault, type Tap, tappedPart } from './taps.ts';
import { all, arraySnapshots, failure, hastyClock, providersIn } from './world.ts';
import { KEYS } from '../archive/vaults.ts';

const CAREFUL = { name: 'careful', provider: 'gold', resources: SHOP, onFailure: 'continue' } as const;

/** A directory with the shop on site `a`. */
async function site(): Promise<{ path: string } & AsyncDisposable> {
  const directory = await temporaryDirectory();
  await writeShop(join(directory.path, 'a'));
  return directory;
}

const open = (path: string, ...providers: readonly Provider[]): Promise<Engine> =>
  createEngine({ store: sqliteStore(join(path, 'fafnir.db')), providers, clock: hastyClock });
const acmeOf = (engine: Engine): Session => engine.for({ tenant: 'acme', actor: 'test' });

/** Lets the first call that matches wait, before or after its effect, until it is aborted or let go. */
class Halt {
  readonly #reached = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<void>();
  readonly #matches: (what: string) => boolean;
  readonly #time: 'before' | 'after';
  #met = false;

  constructor(matches: (what: string) => boolean, time: 'before' | 'after') {
    this.#matches = matches;
    this.#time = time;
  }

  /** Resolves when a call waits. */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** Lets it go on. */
  letGo(): void {
    this.#gone.resolve();
  }

  readonly tap: Tap = async (what, run, signal) => {
    if (this.#met || !this.#matches(what)) return run();
    this.#met = true;
    if (this.#time === 'before') await this.#wait(signal);
    const value = await run();
    if (this.#time === 'after') await this.#wait(signal);
    return value;
  };

  async #wait(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => aborted.reject(signal.reason), { once: true });
    this.#reached.resolve();
    await Promise.race([this.#gone.promise, aborted.promise]);
  }
}

/** Nothing is paused, and nothing is left of what was. */
async function expectReleased(path: string): Promise<void> {
  for (const id of ['db', 'web']) expect(isPaused(path, id), `${id} is paused`).toBe(false);
  if (existsSync(join(path, 'a', 'pauses'))) expect(await openPauses(path)).toEqual([]);
}

/** What was achieved for each volume. */
const achieved = ({
  artifacts,
}: OpenCheckpoint): Record<string, { consistency: string; pause: number | null }> =>
  Object.fromEntries(
    artifacts.flatMap(({ volume }) =>
      volume === null
        ? []
        : [[volume.volume.id, { consistency: volume.consistency, pause: volume.pauseMilliseconds }]],
    ),
  );

/** Protects the shop, whose servers can be paused, through a tap. */
async function protectPaused(
  path: string,
  tap: Tap,
  plan: NewPlan = CAREFUL,
): Promise<OpenCheckpoint | FafnirError> {
  await using engine = await open(path, pausingProvider(path, undefined, {}, tap));
  const acme = acmeOf(engine);
  const { id } = await acme.plans.create(plan);
  // A long deadline, so that it is not what ends a pause.
  const job = await acme.protect(id, { pauseMilliseconds: 600_000 });
  const made = await job.result().catch((error: unknown) => {
    if (FafnirError.is(error)) return error;
    throw error;
  });
  await expectReleased(path);
  return made instanceof FafnirError ? made : acme.checkpoints.get(made.checkpoint);
}

const ofDb = (what: string, time: 'before' | 'after', error?: () => unknown): Fault =>
  new Fault({
    matches: (name, ids) => name === what && ids.includes('db'),
    time,
    ...(error && { error }),
  });

describe('a run that goes on, with servers that are paused', () => {
  it.each(['before', 'after'] as const)(
    'whose pause fails %s it began does not call it one',
    async (time) => {
      await using directory = await site();
      const made = await protectPaused(directory.path, ofDb('quiesce Local::Server', time).tap);
      if (made instanceof FafnirError) throw made;
      expect(made.state).toBe('partial');
      expect(made.missing.map(({ resource, cause }) => [resource.id, cause.id])).toEqual([
        ['shop', 'db'],
        ['db', 'db'],
      ]);
      const volumes = achieved(made);
      expect(volumes['web-root']).toMatchObject({ consistency: 'application' });
      for (const id of ['db-data', 'db-root']) expect(volumes[id]?.consistency).not.toBe('application');
    },
  );

  it('whose network fails pauses what is left of it, or says that it did not', async () => {
    await using directory = await site();
    const fault = new Fault({
      matches: (what, ids) => what === 'capture Local::Network' && ids.includes('back'),
    });
    const made = await protectPaused(directory.path, fault.tap);
    if (made instanceof FafnirError) throw made;
    expect(Object.keys(achieved(made)).sort()).toEqual(['db-data', 'db-root', 'web-root']);
    for (const { consistency, pause } of Object.values(achieved(made)))
      expect(consistency === 'application').toBe(pause !== null);
  });

  it.each([
    ['once', undefined],
    ['once, for a moment', () => new FafnirError('UNAVAILABLE', 'no answer')],
  ] as const)('ends a pause that could not be ended %s', async (_, error) => {
    await using directory = await site();
    const fault = new Fault({
      matches: (what) => what === 'unquiesce Local::Server',
      ...(error && { error }),
    });
    await protectPaused(directory.path, fault.tap);
    expect(fault.struck).toBe(true);
  });

  it('that could not say that a pause ended tells how long it was, if it counts it', async () => {
    await using directory = await site();
    const fault = new Fault({ matches: (what) => what === 'unquiesce Local::Server', time: 'after' });
    const made = await protectPaused(directory.path, fault.tap);
    if (made instanceof FafnirError) throw made;
    for (const { consistency, pause } of Object.values(achieved(made)))
      expect(consistency === 'application').toBe(pause !== null);
  });

  it('that stops at the first failure ends a pause that could not be ended once', async () => {
    await using directory = await site();
    const fault = new Fault({ matches: (what) => what === 'unquiesce Local::Server' });
    const made = await protectPaused(directory.path, fault.tap, { ...CAREFUL, onFailure: 'fail' });
    expect(made).toBeInstanceOf(FafnirError);
    expect(await arraySnapshots(directory)).toEqual([]);
  });

  const PHASES: readonly [string, 'before' | 'after', RegExp][] = [
    ['begins a pause', 'before', /^quiesce/],
    ['began a pause', 'after', /^quiesce/],
    ['takes a snapshot', 'before', /^array\.snapshot/],
    ['took a snapshot', 'after', /^array\.snapshot/],
    ['ends a pause', 'before', /^unquiesce/],
    ['ended a pause', 'after', /^unquiesce/],
    ['captures', 'before', /^capture Local::Volume/],
    ['archives', 'before', /^bank\.put acme\/data/],
    ['archived', 'after', /^bank\.put acme\/manifests/],
    ['completed', 'before', /^bank\.put acme\/artifacts/],
    ['commits', 'before', /^bank\.put acme\/commits/],
    ['committed', 'after', /^bank\.put acme\/commits/],
  ];
  it.each(PHASES)('cancelled when it %s leaves nothing, paused or taken', async (_, time, pattern) => {
    await using directory = await site();
    const { path } = directory;
    const halt = new Halt((what) => pattern.test(what), time);
    await using engine = await open(path, pausingProvider(path, undefined, {}, halt.tap));
    const acme = acmeOf(engine);
    const job = await acme.protect((await acme.plans.create(CAREFUL)).id, { pauseMilliseconds: 600_000 });
    await halt.reached;
    const asked = job.cancel();
    // What ends a pause is not aborted.
    if (pattern.source.startsWith('^unquiesce')) halt.letGo();
    expect(await asked).toBe(true);
    expect((await failure(() => job.result())).code).toBe('CANCELLED');
    await expectReleased(path);
    expect(await arraySnapshots(directory)).toEqual([]);
    const states = (await all(acme.checkpoints.list())).map(({ state }) => state);
    expect(states.filter((state) => state !== 'removed')).toEqual([]);
  });
});

it('keeps the change base of a volume that it lacks, until a newer one takes its place', async () => {
  await using directory = await site();
  const { path } = directory;
  const root = join(path, 'a');
  const fault = new Fault({
    matches: (what, ids) => isAtFault && what === 'array.open' && ids.includes('db-data'),
    at: 1,
    lasting: true,
  });
  let isAtFault = false;
  const part = tappedPart(
    { ...local({ root }), arrays: [createFilesArray({ name: 'files', root }, {})] },
    fault.tap,
  );
  // Says that it can compare, and then takes everything for changed.
  const comparing = (array: StorageArray): StorageArray => ({
    ...array,
    capabilities: async (call) => ({ ...(await array.capabilities(call)), changeBase: 'snapshot' }),
    open: (snapshot, _options, call) => array.open(snapshot, {}, call),
  });
  const provider = defineProvider({
    name: 'gold',
    site: 'a',
    parts: [{ ...part, arrays: part.arrays?.map(comparing) ?? [] }],
    banks: [{ bank: filesystemBank(join(path, 'bank')), keys: KEYS, role: 'primary' }],
  });
  await using engine = await open(path, provider);
  const acme = acmeOf(engine);
  const { id } = await acme.plans.create(CAREFUL);
  const idsThere = async (): Promise<string[]> =>
    (await arraySnapshots(directory)).map(({ volume }) => volume.id).sort();
  expect(await (await acme.protect(id)).result()).toMatchObject({ state: 'available' });
  expect(await idsThere()).toEqual(['db-data', 'db-root', 'web-root']);
  isAtFault = true;
  expect(await (await acme.protect(id)).result()).toMatchObject({ state: 'partial', volumes: 2 });
  expect(await idsThere()).toEqual(['db-data', 'db-root', 'web-root']);
  isAtFault = false;
  const { checkpoint } = await (await acme.protect(id)).result();
  expect(await idsThere()).toEqual(['db-data', 'db-root', 'web-root']);
  await (await acme.remove(checkpoint)).result();
  expect(await idsThere()).toEqual([]);
});

describe('a run that goes on after a failure and is taken up by another engine', () => {
  const MOMENTS: readonly ['before' | 'after', string][] = [
    ['after', 'capture Local::Volume'],
    ['before', 'bank.put acme/artifacts'],
    ['before', 'bank.put acme/commits'],
    ['after', 'bank.put acme/commits'],
    ['before', 'array.remove'],
    ['after', 'array.remove'],
  ];
  const FAULTS = [
    ['gold', 'array.snapshot'],
    ['bronze', 'capture Local::Volume'],
  ] as const;
  const CASES = MOMENTS.flatMap(([time, what]) =>
    FAULTS.flatMap(([provider, fault]) =>
      [true, false].map((healed) => ({ time, what, provider, fault, healed })),
    ),
  );

  it.each(CASES)(
    '$time $what, $provider, $fault, healed: $healed',
    async ({ time, what, provider, ...of }) => {
      await using directory = await site();
      const { path } = directory;
      const fault = new Fault({
        matches: (name, ids) => name === of.fault && ids.includes('db-data'),
        lasting: true,
      });
      const halt = new Halt((name) => name.startsWith(what), time);
      const tap: Tap = (name, run, ...more) => fault.tap(name, () => halt.tap(name, run, ...more), ...more);
      const first = await open(path, ...Object.values(providersIn(path, tap)));
      const plan = await acmeOf(first).plans.create({ ...CAREFUL, provider });
      const { id } = await acmeOf(first).protect(plan.id);
      await halt.reached;
      await first.close();

      await using second = await open(
        path,
        ...Object.values(providersIn(path, of.healed ? direct : fault.tap)),
      );
      const acme = acmeOf(second);
      const { checkpoint, ...result } = await acme.jobs.handle<Result>(id).result();
      expect((await acme.jobs.get(id))?.epoch).toBe(2);
      expect(result).not.toHaveProperty('leftovers');
      const opened = await acme.checkpoints.get(checkpoint);
      expect(opened).toMatchObject({ state: result.state, commit: { missing: result.missing } });
      expect(opened.missing).toHaveLength(result.missing);
      expect(result.state).toBe(result.missing === 0 ? 'available' : 'partial');
      if (!of.healed) expect(result.state).toBe('partial');
      const kept = opened.artifacts.flatMap(({ volume }) => volume?.copies ?? []);
      const counted = kept.flatMap(({ kind, volume }) => (kind === 'array' ? [volume.id] : []));
      expect((await arraySnapshots(directory)).map(({ volume }) => volume.id).toSorted()).toEqual(
        counted.toSorted(),
      );
      await (await acme.verify(checkpoint)).result();
      const resources = [{ type: 'Local::Server', id: 'web' }];
      expect(await (await acme.restore(checkpoint, { to: 'silver', resources })).result()).toMatchObject({
        volumes: 1,
      });
    },
  );
});

type Result = { readonly checkpoint: CheckpointId; readonly state: string; readonly missing: number };
