import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { type CheckpointId, FafnirError, type Session } from 'fafnir';
import { discard } from './discard.ts';
import { identity, startEngine } from './engine.ts';
import { paths } from './settings.ts';
import { say } from './show.ts';

/**
 * Proves what an earlier run left, however it ended: every checkpoint that is called available must verify. Jobs that
 * were interrupted are taken up first; those whose leases still run are not waited for.
 */
export async function checkEarlierRun(): Promise<void> {
  if (!existsSync(paths.bank)) return say('no earlier run left a checkpoint');
  await mkdir(paths.store, { recursive: true });
  await (await startEngine()).close({ drain: true });

  await using engine = await startEngine();
  const session = engine.for(identity);
  let last = 'none';
  for await (const { operation, state } of session.jobs.list()) last = `${operation} ${state}`;
  const states: string[] = [];
  let verified = 0;
  for await (const { id, state } of session.checkpoints.list()) {
    states.push(state);
    if (state !== 'available') continue;
    if (await verifies(session, id)) verified += 1;
  }
  const left = states.length === 0 ? 'no checkpoint' : `checkpoints: ${states.join(', ')}`;
  say(`an earlier run left ${left}; available and verified: ${verified}; last job: ${last}`);
}

// False where a removal that was interrupted has been finished in the meantime; any other failure is one.
async function verifies(session: Session, id: CheckpointId): Promise<boolean> {
  try {
    await (await session.verify(id)).result();
    return true;
  } catch (error) {
    if (FafnirError.is(error, 'NOT_AVAILABLE')) return false;
    throw error;
  }
}

/** Removes what an earlier run left. */
export async function wipe(): Promise<void> {
  // The bank first and at once: one that is half removed would still list checkpoints.
  if (existsSync(paths.bank)) await discard(paths.bank);
  for (const path of Object.values(paths)) await rm(path, { recursive: true, force: true });
  await mkdir(paths.store, { recursive: true });
}
