import { cephLab } from './ceph.ts';
import { left } from './pool.ts';

/** Tells last, of the whole pool, what the tests left in it: images and snapshots. Any fails the run. */
export async function setup(): Promise<() => Promise<void>> {
  const { ceph } = cephLab();
  if (ceph === undefined) return async () => undefined;
  const before = new Set(await left(ceph, ''));
  return async () => {
    const orphans = (await left(ceph, '')).filter((name) => !before.has(name));
    for (const name of orphans) console.error(`left in the pool: ${name}`);
    console.log(`orphans left: ${orphans.length}`);
    if (orphans.length > 0) process.exitCode = 1;
  };
}
