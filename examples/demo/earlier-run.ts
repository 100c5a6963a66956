import { mkdir, rename, rm } from 'node:fs/promises';
import { identity, startEngine } from './engine.ts';
import { paths } from './settings.ts';
import { say } from './show.ts';

/**
 * Proves what an earlier run left, however it ended: every checkpoint that is called available must verify. Jobs that
 * were interrupted are taken up first, those whose leases still run are not waited for.
 */
export async function checkEarlierRun(): Promise<void> {
  await mkdir(paths.store, { recursive: true });
  await (await startEngine()).close({ drain: true });
  await using engine = await startEngine();
  const session = engine.for(identity);
  const states: string[] = [];
  for await (const { id, state } of session.checkpoints.list()) {
    states.push(state);
    if (state === 'available') await (await session.verify(id)).result();
  }
  say(
    `earlier run: ${states.length} checkpoints (${states.join(', ') || 'none'}), all available ones verified`,
  );
}

/** Removes what an earlier run left. */
export async function wipe(): Promise<void> {
  await rm(paths.discarded, { recursive: true, force: true });
  // In one step: a bank that is half removed would still list checkpoints.
  await rename(paths.bank, paths.discarded).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  for (const path of Object.values(paths)) await rm(path, { recursive: true, force: true });
  await mkdir(paths.store, { recursive: true });
}
