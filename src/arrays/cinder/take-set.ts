import { randomUUID } from 'node:crypto';
import type { CallOptions, SnapshotOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { mapSettled } from '../../core/map-settled.ts';
import type { Cinder } from './cinder.ts';
import { type CinderSnapshot, snapshotMetadata } from './records.ts';
import { isWhollyRemoved, removeAttempts } from './remove-parts.ts';

/** Snapshots that are asked for at once, whatever is allowed for the rest: until the last is there, somebody may be paused. */
const TAKEN_AT_ONCE = 16;

/** What is to be taken, and what of the name there is. */
export interface WantedSet {
  /** Where. */
  readonly cinder: Cinder;
  /** The name of all of them. */
  readonly name: string;
  /** Of which volumes, each one once. */
  readonly volumeIds: readonly string[];
  /**
   * Every snapshot of the name in the array, also what was removed of group snapshots; none where nobody has asked for
   * it.
   */
  readonly present: readonly CinderSnapshot[];
  /** Where they are to be of one instant: the group whose members just these are now. */
  readonly findGroup?: () => Promise<string>;
  /** Requests at once, but for those that take a snapshot. */
  readonly concurrency: number;
}

/**
 * Snapshots volumes under one name, all or none, one request each or one for their group; resolves with them in the order
 * of the volumes. Each has the mark of its attempt, and those of an attempt are marked as complete when all are there. So
 * what a dead caller left tells how far it came: an attempt that has all is finished, and any other goes, also where the
 * last of its requests come later.
 */
export async function takeSet(wanted: WantedSet, call: SnapshotOptions): Promise<readonly CinderSnapshot[]> {
  const { cinder, volumeIds, concurrency } = wanted;
  const left = [...Map.groupBy(wanted.present, ({ attempt }) => attempt).values()]
    .filter(isWhollyRemoved)
    .flat();
  await removeAttempts(cinder, left, { concurrency, ...call });
  const present = wanted.present.filter((one) => !left.includes(one));
  const whole = findWhole({ ...wanted, present }) ?? (await takeAnew({ ...wanted, present }, call));
  const ordered = volumeIds.map((volumeId) => {
    const found = whole.find((one) => one.volumeId === volumeId);
    if (found !== undefined) return found;
    throw new FafnirError('UNAVAILABLE', `a snapshot of ${volumeId} was removed while it was taken`);
  });
  await mapSettled(
    whole.filter(({ status }) => status !== 'available'),
    ({ id }, _, signal) => cinder.awaitSnapshot(id, { signal }),
    { concurrency, signal: call.signal },
  );
  call.taken?.();
  // Not to be stopped: between the first and the last the set would be neither there nor not there.
  await mapSettled(
    whole.filter(({ origin }) => origin === 'partial'),
    ({ id, attempt }, _, signal) =>
      cinder.markSnapshot(id, snapshotMetadata(attempt, 'complete'), { signal }),
    { concurrency, signal: finishing().signal },
  );
  return ordered;
}

/** The attempt of which all are there; undefined where there is none, and the name is free. */
function findWhole({
  name,
  volumeIds,
  present,
  findGroup,
}: WantedSet): readonly CinderSnapshot[] | undefined {
  const attempts = Map.groupBy(present, ({ attempt }) => attempt);
  const covers = (some: readonly CinderSnapshot[]): boolean =>
    coversAll(volumeIds, some) &&
    !some.some(({ isRemoved }) => isRemoved) &&
    (findGroup === undefined || some.every(({ groupSnapshotId }) => groupSnapshotId !== undefined));
  const [complete] = present
    .filter(({ origin }) => origin === 'complete')
    .map(({ attempt }) => attempt)
    .sort();
  if (complete !== undefined) {
    const some = attempts.get(complete) ?? [];
    if (covers(some)) return some;
  } else if (present.every(({ origin }) => origin === 'partial')) {
    return [...attempts.values()].find((some) => covers(some) && !some.some(isFailed));
  }
  throw new FafnirError(
    'ALREADY_EXISTS',
    `snapshot ${name} exists for other volumes, or some were removed, or others made it`,
  );
}

async function takeAnew(wanted: WantedSet, call: CallOptions): Promise<readonly CinderSnapshot[]> {
  const { cinder, name, volumeIds, present, concurrency } = wanted;
  await removeAttempts(cinder, present, { concurrency, ...call });
  const groupId = await wanted.findGroup?.();
  const attempt = randomUUID();
  const metadata = snapshotMetadata(attempt, 'partial');
  try {
    if (groupId === undefined) {
      await mapSettled(
        volumeIds,
        (volumeId, _, signal) => cinder.createSnapshot({ name, volumeId, metadata }, { signal }),
        { concurrency: TAKEN_AT_ONCE, signal: call.signal },
      );
      return await ofAttempt(wanted, attempt, call);
    }
    await cinder.createGroupSnapshot({ name, groupId, attempt }, call);
    const parts = await ofAttempt(wanted, attempt, call);
    if (coversAll(volumeIds, parts)) return parts;
    // Cinder takes whoever is a member by then.
    throw notOneInstant(`the members of group ${groupId} changed while its snapshot ${name} was taken`);
  } catch (error) {
    try {
      const { signal } = finishing();
      const left = await ofAttempt(wanted, attempt, { signal });
      await removeAttempts(cinder, left, { concurrency, signal });
    } catch (left) {
      // It can be found by its name, and the next attempt removes it; what went wrong first is what counts.
      throw FafnirError.is(error) ? withCause(error, left) : error;
    }
    throw error;
  }
}

async function ofAttempt(
  { cinder, name }: WantedSet,
  attempt: string,
  call: CallOptions,
): Promise<readonly CinderSnapshot[]> {
  const found: CinderSnapshot[] = [];
  for await (const snapshot of cinder.snapshots({ name }, call)) {
    if (snapshot.attempt === attempt) found.push(snapshot);
  }
  return found;
}

const coversAll = (volumeIds: readonly string[], some: readonly CinderSnapshot[]): boolean =>
  some.length === volumeIds.length && volumeIds.every((id) => some.some(({ volumeId }) => volumeId === id));

const isFailed = ({ status }: CinderSnapshot): boolean => status.startsWith('error');

/** What was to be of one instant is not; to ask again for the same changes nothing. */
export const notOneInstant = (message: string): FafnirError =>
  new FafnirError('NOT_ONE_INSTANT', message, {
    retryable: false,
    hint: 'Protect again: what the volumes are worth together is then asked for anew.',
  });

/** A call that nobody stops; its deadlines bound it. */
const finishing = (): CallOptions => ({ signal: new AbortController().signal });

const withCause = (error: FafnirError, left: unknown): FafnirError => {
  const { code, message, retryable, hint } = error;
  return new FafnirError(code, message, { retryable, hint, cause: new AggregateError([error, left]) });
};
