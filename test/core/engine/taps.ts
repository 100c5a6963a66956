import type { Bank, Part, Protectable, StorageArray } from '../../../src/index.ts';

/**
 * Stands between the engine and a plugin: may count, fail, hold up or let through each call. `ids` are those of the
 * resources or volumes that the call is for, where it is for certain ones.
 */
export type Tap = <Value>(
  what: string,
  run: () => Promise<Value>,
  signal: AbortSignal,
  ids?: readonly string[],
) => Promise<Value>;

/** Lets everything through. */
export const direct: Tap = (_what, run) => run();

/** A part whose plugins are called through a tap, under names such as `array.snapshot` or `create Local::Server`. */
export function tappedPart(part: Part, tap: Tap): Part {
  return {
    ...part,
    protectables: part.protectables?.map((plugin) => tappedProtectable(plugin, tap)) ?? [],
    arrays: part.arrays?.map((array) => tappedArray(array, tap)) ?? [],
  };
}

function tappedProtectable(plugin: Protectable, tap: Tap): Protectable {
  const { type, quiescing } = plugin;
  return {
    ...plugin,
    find: (ids, call) => tap(`find ${type}`, () => plugin.find(ids, call), call.signal),
    dependencies: (resources, call) =>
      tap(`dependencies ${type}`, () => plugin.dependencies(resources, call), call.signal),
    capture: (resource, call) =>
      tap(`capture ${type}`, () => plugin.capture(resource, call), call.signal, [resource.id]),
    create: (description, request, call) =>
      tap(`create ${type}`, () => plugin.create(description, request, call), call.signal),
    connect: (resource, request, call) =>
      tap(`connect ${type}`, () => plugin.connect(resource, request, call), call.signal),
    remove: (request, call) => tap(`remove ${type}`, () => plugin.remove(request, call), call.signal),
    ...(plugin.volumes && {
      volumes: (resource, call) =>
        tap(`volumes ${type}`, async () => (await plugin.volumes?.(resource, call)) ?? [], call.signal, [
          resource.id,
        ]),
    }),
    ...(quiescing && {
      quiescing: {
        quiesce: (resource, pause, call) =>
          tap(`quiesce ${type}`, () => quiescing.quiesce(resource, pause, call), call.signal, [resource.id]),
        unquiesce: (token, call) =>
          tap(`unquiesce ${type}`, () => quiescing.unquiesce(token, call), call.signal, [token]),
      },
    }),
  };
}

function tappedArray(array: StorageArray, tap: Tap): StorageArray {
  const { target } = array;
  return {
    ...array,
    // The same on every file system, so that what a test sees does not depend on where its directory is.
    capabilities: (call) =>
      tap(
        'array.capabilities',
        async () => ({ ...(await array.capabilities(call)), changeBase: 'none' as const }),
        call.signal,
      ),
    snapshot: (volumes, name, call) =>
      tap(
        'array.snapshot',
        () => array.snapshot(volumes, name, call),
        call.signal,
        volumes.map(({ id }) => id),
      ),
    find: (name, call) => tap('array.find', () => array.find(name, call), call.signal),
    remove: (snapshot, call) => tap('array.remove', () => array.remove(snapshot, call), call.signal),
    open: (snapshot, options, call) =>
      tap('array.open', () => array.open(snapshot, options, call), call.signal, [snapshot.volume.id]),
    ...(array.revert && {
      revert: (snapshot, call) =>
        tap('array.revert', async () => array.revert?.(snapshot, call), call.signal, [snapshot.volume.id]),
    }),
    ...(target && {
      target: {
        ...target,
        openForWrite: (volume, call) =>
          tap('array.openForWrite', () => target.openForWrite(volume, call), call.signal),
      },
    }),
  };
}

/** A bank that is called through a tap, under names such as `bank.put acme/commits/…`. */
export function tappedBank(bank: Bank, tap: Tap): Bank {
  const extend = bank.extend?.bind(bank);
  return {
    contract: 1,
    name: bank.name,
    capabilities: bank.capabilities,
    put: (key, body, options) => tap(`bank.put ${key}`, () => bank.put(key, body, options), options.signal),
    get: (key, read, call) => tap(`bank.get ${key}`, () => bank.get(key, read, call), call.signal),
    head: (key, call) => tap(`bank.head ${key}`, () => bank.head(key, call), call.signal),
    async *list(prefix, options) {
      await tap(`bank.list ${prefix}`, () => Promise.resolve(), options.signal);
      yield* bank.list(prefix, options);
    },
    remove: (keys, call) => tap('bank.remove', () => bank.remove(keys, call), call.signal),
    ...(extend && {
      extend: (keys, until, call) => tap('bank.extend', () => extend(keys, until, call), call.signal),
    }),
  };
}

/** Where a fault hits: before the call has its effect, or after it. */
export type FaultTime = 'before' | 'after';

/** Counts the calls it lets through, by name. */
export class Recorder {
  /** What was called, in order. */
  readonly calls: string[] = [];
  /** Records and lets through. */
  readonly tap: Tap = (what, run) => {
    this.calls.push(what);
    return run();
  };
}

/** Fails calls with the error it is given: the n-th that matches, or all from there on. */
export class Fault {
  #seen = 0;
  readonly #of: {
    readonly matches: (what: string, ids: readonly string[]) => boolean;
    readonly at: number;
    readonly time: FaultTime;
    readonly lasting: boolean;
    readonly error: () => unknown;
  };

  constructor(of: {
    matches?: (what: string, ids: readonly string[]) => boolean;
    at?: number;
    time?: FaultTime;
    lasting?: boolean;
    error?: () => unknown;
  }) {
    const { matches = () => true, at = 1, time = 'before', lasting = false } = of;
    this.#of = { matches, at, time, lasting, error: of.error ?? (() => new Error('injected fault')) };
  }

  /** True once the call that was to fail has been made. */
  get struck(): boolean {
    return this.#seen >= this.#of.at;
  }

  /** Fails the call when its turn has come. */
  readonly tap: Tap = async (what, run, _signal, ids = []) => {
    const { matches, at, time, lasting, error } = this.#of;
    if (!matches(what, ids)) return run();
    this.#seen += 1;
    const strikes = lasting ? this.#seen >= at : this.#seen === at;
    if (strikes && time === 'before') throw error();
    const value = await run();
    if (!strikes) return value;
    if (isDisposable(value)) await value[Symbol.asyncDispose]();
    throw error();
  };
}

/** Holds up the first call that matches until it is opened or the call is aborted. */
export class Gate {
  /** Resolves when a call waits at the gate. */
  readonly reached: Promise<void>;
  /** Lets the waiting call, and all later ones, through. */
  open: () => void = () => undefined;
  readonly #matches: (what: string) => boolean;
  readonly #opened: Promise<void>;
  #arrive: () => void = () => undefined;

  constructor(matches: (what: string) => boolean) {
    this.#matches = matches;
    this.reached = new Promise((resolve) => {
      this.#arrive = resolve;
    });
    this.#opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  /** Waits at the gate when it is this call's turn. */
  readonly tap: Tap = async (what, run, signal) => {
    if (!this.#matches(what)) return run();
    this.#arrive();
    await Promise.race([this.#opened, aborted(signal)]);
    return run();
  };
}

const isDisposable = (value: unknown): value is AsyncDisposable =>
  typeof value === 'object' && value !== null && Symbol.asyncDispose in value;

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
