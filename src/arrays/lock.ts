/** Runs work one after the other where the key is the same. */
export type Lock = <Result>(key: string, work: () => Promise<Result>) => Promise<Result>;

/** A lock within this process; the array keeps callers of different processes apart by names. */
export function createLock(): Lock {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
}
