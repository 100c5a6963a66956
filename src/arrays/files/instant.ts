import { type FileHandle, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { cloneFile } from './copy.ts';

const ATTEMPTS = 10;
/**
 * File times advance with the kernel's tick, of up to 10 ms. A second write within the tick of the first leaves no
 * trace, so a file can be told unchanged only when its last write is older than this, in milliseconds.
 */
const TICK = 20;

/** A file and where its clone goes. */
export interface ClonePair {
  /** The open source. */
  readonly from: FileHandle;
  /** The clone's path. */
  readonly to: string;
}

/**
 * Clones several files so that the clones hold one instant: that of the last clone. It is one exactly if none of
 * the others changed between its own clone and the last one. Resolves with the time; rejects with
 * `NOT_ONE_INSTANT` when the files do not rest for long enough, keeping no clone.
 */
export async function cloneAtOneInstant(pairs: readonly ClonePair[], call: CallOptions): Promise<Date> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    call.signal.throwIfAborted();
    const ordered = await lastWrittenLast(pairs);
    // The last one may change at any time: its own clone is the instant.
    const resting = ordered.slice(0, -1);
    if (resting.every(({ changed }) => isOlderThanTick(changed))) {
      for (const { pair } of ordered) await cloneFile(pair.from, pair.to, call);
      const instant = new Date();
      const now = await Promise.all(resting.map(({ pair }) => changeTime(pair.from)));
      if (resting.every(({ changed }, index) => changed === now[index])) return instant;
      await Promise.all(pairs.map(({ to }) => rm(to, { force: true })));
    }
    await delay(TICK + 5, undefined, { signal: call.signal });
  }
  throw new FafnirError(
    'NOT_ONE_INSTANT',
    `${pairs.length} volumes did not rest together in ${ATTEMPTS} attempts`,
  );
}

async function lastWrittenLast(
  pairs: readonly ClonePair[],
): Promise<{ readonly pair: ClonePair; readonly changed: bigint }[]> {
  const seen = await Promise.all(pairs.map(async (pair) => ({ pair, changed: await changeTime(pair.from) })));
  return seen.sort((one, other) => Number(one.changed - other.changed));
}

/** Every write sets it, and unlike the modification time nobody can set it back. */
async function changeTime(file: FileHandle): Promise<bigint> {
  return (await file.stat({ bigint: true })).ctimeNs;
}

function isOlderThanTick(changed: bigint): boolean {
  // Also for times to come, which the clock leaves when it is set back.
  return Math.abs(Date.now() - Number(changed / 1_000_000n)) > TICK;
}
