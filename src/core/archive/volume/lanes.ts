/** At most so many calls at once; others wait for their turn. */
export class Permits {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Makes the call in its turn, unless it is no longer wanted by then. */
  async use<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    using _permit = await this.hold(signal);
    return await work();
  }

  /** A permit, when it is its turn; to be given back once. */
  async hold(signal: AbortSignal): Promise<Disposable> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (!signal.aborted) return { [Symbol.dispose]: () => this.#giveBack() };
    this.#giveBack();
    throw signal.reason;
  }

  #giveBack(): void {
    const next = this.#waiting.shift();
    // Whoever waits longest has the permit without it becoming free in between.
    if (next === undefined) this.#free += 1;
    else next();
  }
}

/** How much is done at once, and until when. */
export interface LaneOptions {
  /** Most items under way. */
  readonly concurrency: number;
  /** Ends the work. */
  readonly signal: AbortSignal;
}

/**
 * Works on items as they come, an item being taken when there is room for it. After a failure no item is begun, the
 * others are aborted, and it rejects when none is under way any more: whoever gets the error closes what they work on.
 */
export async function eachInLanes<Item>(
  items: (signal: AbortSignal) => Iterable<Item> | AsyncIterable<Item>,
  { concurrency, signal }: LaneOptions,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const ended = AbortSignal.any([signal, failed.signal]);
  const underWay = new Set<Promise<void>>();
  const begin = (item: Item): void => {
    const running = work(item, ended)
      .catch((error: unknown) => failed.abort(error))
      .finally(() => underWay.delete(running));
    underWay.add(running);
  };
  try {
    ended.throwIfAborted();
    for await (const item of items(ended)) {
      begin(item);
      // Before the next item is taken, for it may hold much.
      if (underWay.size >= concurrency) await Promise.race(underWay);
      ended.throwIfAborted();
    }
  } catch (error) {
    failed.abort(error);
  }
  await Promise.all(underWay);
  failed.signal.throwIfAborted();
}

/**
 * Fetches things in order, so many more than the one that is used. When the loop is left, or one fails, those under way
 * are aborted and waited for.
 */
export async function* fetchedAhead<Item, Fetched>(
  items: Iterable<Item> | AsyncIterable<Item>,
  { ahead, signal }: { readonly ahead: number; readonly signal: AbortSignal },
  fetch: (item: Item, signal: AbortSignal) => Promise<Fetched>,
  drop: (fetched: Fetched) => void = () => undefined,
): AsyncGenerator<Fetched> {
  const left = new AbortController();
  const ended = AbortSignal.any([signal, left.signal]);
  const coming: Promise<Fetched>[] = [];
  try {
    for await (const item of items) {
      const fetching = fetch(item, ended);
      // Whoever comes to it hears of it.
      fetching.catch(() => undefined);
      coming.push(fetching);
      if (coming.length <= ahead) continue;
      const [first] = coming.splice(0, 1);
      if (first !== undefined) yield await first;
    }
    while (coming.length > 0) {
      const [first] = coming.splice(0, 1);
      if (first !== undefined) yield await first;
    }
  } finally {
    left.abort();
    for (const result of await Promise.allSettled(coming)) {
      if (result.status === 'fulfilled') drop(result.value);
    }
  }
}
