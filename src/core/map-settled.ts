import pMap from 'p-map';

/**
 * Like `pMap`, but rejects only when no call is under way any more: the others are aborted and waited for, since
 * whoever gets the error closes what they work on.
 */
export async function mapSettled<Item, Result>(
  items: readonly Item[],
  map: (item: Item, at: number, signal: AbortSignal) => Promise<Result>,
  options: { readonly concurrency: number; readonly signal: AbortSignal },
): Promise<Result[]> {
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const underWay = new Set<Promise<Result>>();
  const tracked = (item: Item, at: number): Promise<Result> => {
    const running = map(item, at, signal);
    underWay.add(running);
    const over = (): boolean => underWay.delete(running);
    running.then(over, over);
    return running;
  };
  try {
    return await pMap(items, tracked, options);
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(underWay);
    throw error;
  }
}
