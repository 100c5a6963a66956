import { cephLab } from './ceph.ts';
import { clear, left, PREFIXES } from './pool.ts';

/**
 * Removes what tests that were stopped have left in the pool. Resolves with a look at what has come into it since;
 * undefined where there is no lab.
 */
export async function begin(): Promise<(() => Promise<readonly string[]>) | undefined> {
  const { ceph } = cephLab();
  if (ceph === undefined) return undefined;
  for (const prefix of PREFIXES) await clear(ceph, prefix);
  const before = new Set(await left(ceph, ''));
  return async () => (await left(ceph, '')).filter((name) => !before.has(name));
}
