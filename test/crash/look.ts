import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CheckpointId, JobRecord, ListedCheckpoint, OpenCheckpoint, Session } from '../../src/index.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { all } from '../core/engine/world.ts';
import { filesBelow, RESOURCES } from './application.ts';
import { judgeLedger } from './ledger.ts';
import type { Message } from './messages.ts';
import { lockingBank, plunder } from '../banks/locking-bank.ts';
import { pathsOf } from './paths.ts';
import { type Facts, readFacts, siteFiles, type Volumes } from './scenario.ts';
import type { CaseStore } from './case-store.ts';
import type { FoundSnapshot, SiteStorage } from './site-storage.ts';
import { judgeAudit } from './audit.ts';
import { judgeTicks } from './ticks.ts';
import { judgeHoldings, judgeUsage } from './usage.ts';
import { openWorld, TENANT } from './world.ts';

/** A pause may last for 10 seconds; some more for a slow machine. */
const LONGEST_PAUSE = 15_000;

/** What a broken promise is counted as. */
export type Count =
  | 'pauses left'
  | 'lost commits'
  | 'orphans'
  | 'zombies not fenced'
  | 'wrong ends'
  | 'effects more than twice';

/** A broken promise. */
export interface Problem {
  /** Which figure it belongs to. */
  readonly count: Count;
  /** What was seen. */
  readonly text: string;
}

/** Everything that must hold once all processes of a case have ended. */
export async function look(
  directory: string,
  of: {
    /** Where the application's volumes are. */
    readonly storage: SiteStorage;
    /** Where its jobs are. */
    readonly jobs: CaseStore;
    /** What the children told. */
    readonly told: readonly Message[];
    /** Whether the job database was lost on the way: then the bank alone has to do. */
    readonly lost: boolean;
    /** Whether a call arrived late. */
    readonly late?: boolean;
    /** How long pauses may still last, in milliseconds. */
    readonly patience?: number;
  },
): Promise<readonly Problem[]> {
  const { storage } = of;
  const facts = await readFacts(directory);
  // Before there is an engine that would fire what is left.
  const { schedule } = facts;
  const ticks =
    of.lost || schedule === undefined ? [] : await judgeTicks(schedule, facts.jobs, directory, of.jobs);
  // Before what comes late is removed: nothing else may be left for that. With the jobs, it was forgotten whose it is.
  const left = of.lost || of.late === true ? [] : await madeToRead(directory);
  const reconciled = of.lost ? [] : await reconcile(directory, of);
  const stayed = of.lost ? [] : await madeToRead(directory);
  const jobs = of.lost ? [] : await readJobs(directory, of.jobs);
  const problems: Problem[] = [];
  const wrong = (count: Count, texts: readonly string[]): void => {
    for (const text of texts) problems.push({ count, text });
  };
  if (!of.lost) {
    wrong('wrong ends', ticks);
    wrong('wrong ends', reconciled);
    wrong('wrong ends', judgeEnds(facts, jobs, of.told));
    wrong('wrong ends', await usageOf(directory, of.jobs, jobs));
    wrong('wrong ends', await auditOf(directory, of.jobs, jobs));
    wrong('wrong ends', await judgeDestination(directory, facts, jobs));
    wrong('wrong ends', await judgeSite(directory, facts, jobs));
    wrong('wrong ends', await storage.differences(directory));
    wrong('lost commits', await judgeHolds(directory, storage, facts, jobs));
    wrong('effects more than twice', judgeLedger(directory, of.late === true));
    wrong(
      'orphans',
      [...new Set([...left, ...stayed])].map((file) => `${file}, made to be read, is still there`),
    );
  }
  wrong('pauses left', await judgePauses(directory, of));
  const files = Object.keys(await filesBelow(pathsOf(directory).outside));
  const outside = files.map((file) => outsideText(file.replace(/~.*/, '')));
  const there = new Set([...(await storage.snapshots(directory)).map(textOf), ...outside]);
  wrong('lost commits', missingOthers(facts, there));
  // An engine that knows of no job: what it finds, it finds in the bank.
  await using world = await openWorld(directory, { storage, store: memoryStore() });
  const { session } = world;
  const available = await availableIn(session);
  const must = of.lost ? await committedIn(session, facts, of.told) : expectedAvailable(facts, jobs);
  const ids = new Set(available.map(({ commit }) => commit.id));
  wrong(
    'lost commits',
    [...must.keys()].filter((id) => !ids.has(id)).map((id) => `checkpoint ${id} is not available`),
  );
  if (!of.lost) {
    const extra = [...ids].filter((id) => !must.has(id));
    wrong(
      'wrong ends',
      extra.map((id) => `checkpoint ${id} is available, but should not be`),
    );
    const counted = countedBy(available);
    // What others made is nobody's orphan.
    const others = new Set(facts.others.map(textOf));
    const orphans = [...there].filter((one) => !counted.has(one) && !others.has(one));
    const gone = [...counted].filter((one) => !there.has(one));
    wrong(
      'orphans',
      orphans.map((one) => `${one} is in no available checkpoint`),
    );
    wrong(
      'lost commits',
      gone.map((one) => `a checkpoint counts on ${one}, which is gone`),
    );
  }
  // What is locked is whole without anything that is not.
  const locked = available.filter(({ commit }) => commit.lockedUntil !== undefined);
  if (locked.length > 0) await plunder(lockingBank(pathsOf(directory)));
  for (const { commit } of locked.length > 0 ? locked : available) {
    const volumes = must.get(commit.id) ?? facts.volumes;
    // Any other plan is that of a safety checkpoint, which has the volumes alone.
    const resources = commit.plan.id === facts.plan ? RESOURCES : Object.keys(volumes).length;
    wrong('lost commits', await judgeCheckpoint(directory, session, commit.id, volumes, resources));
  }
  return problems;
}

/** What was made for as long as somebody reads: of no checkpoint's copies. */
async function madeToRead(directory: string): Promise<readonly string[]> {
  const { copies, outside } = pathsOf(directory);
  const restored = Object.keys(await filesBelow(outside)).filter((file) => file.endsWith('~restored'));
  return [...Object.keys(await filesBelow(copies)), ...restored];
}

async function reconcile(
  directory: string,
  { storage, jobs }: { readonly storage: SiteStorage; readonly jobs: CaseStore },
): Promise<readonly string[]> {
  await using world = await openWorld(directory, { storage, store: jobs.open(directory) });
  try {
    return await storage.reconcile(world.engine);
  } catch (error) {
    return [`a reconciliation failed: ${error}`];
  }
}

/** The jobs of a case. */
export async function readJobs(directory: string, cases: CaseStore): Promise<readonly JobRecord[]> {
  await using store = cases.open(directory);
  return await all(store.list(TENANT, {}));
}

async function usageOf(
  directory: string,
  cases: CaseStore,
  jobs: readonly JobRecord[],
): Promise<readonly string[]> {
  await using store = cases.open(directory);
  const records = await all(store.usage(TENANT, {}));
  return [...judgeUsage(records, jobs), ...judgeHoldings(await store.quotas.holdings(TENANT), records)];
}

async function auditOf(
  directory: string,
  cases: CaseStore,
  jobs: readonly JobRecord[],
): Promise<readonly string[]> {
  await using store = cases.open(directory);
  try {
    return await judgeAudit(await all(store.audit.list(TENANT, {})), jobs);
  } catch (error) {
    return [`the audit cannot be read: ${error}`];
  }
}

/** What is wrong about how jobs ended. */
export function judgeEnds(
  facts: Facts,
  jobs: readonly JobRecord[],
  told: readonly Message[],
): readonly string[] {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const cancelled = new Set<string>();
  const wrong: string[] = [];
  for (const message of told) {
    if (message.type === 'accepted' && !byId.has(message.job)) wrong.push(`job ${message.job} is lost`);
    if (message.type === 'ended' && byId.get(message.job)?.state !== message.state) {
      wrong.push(
        `job ${message.job} was told to be ${message.state}, but is ${byId.get(message.job)?.state}`,
      );
    }
    for (const { id, cancelRequested, decided } of message.type === 'found' ? message.jobs : []) {
      // A part that has nothing left to do ends as if it had not heard; what it did is undone with its parent.
      if (cancelRequested && !decided && byId.get(id)?.parent === undefined) cancelled.add(id);
    }
  }
  for (const job of jobs.filter(({ id }) => !facts.jobs.includes(id))) {
    const { id, operation, state, outcome, cancelRequested } = job;
    const allowed = cancelled.has(id)
      ? ['cancelled']
      : ['succeeded', ...(cancelRequested ? ['cancelled'] : [])];
    if (!allowed.includes(state)) {
      wrong.push(`${operation} ended ${state}, not ${allowed.join(' or ')}: ${JSON.stringify(outcome)}`);
    }
    if (outcome?.state === 'succeeded' && 'leftovers' in outcome.result) {
      wrong.push(`${operation} left something to clear up: ${JSON.stringify(outcome.result)}`);
    }
    if (outcome?.state === 'cancelled' && outcome.error.message.includes('undoing it failed')) {
      wrong.push(outcome.error.message);
    }
  }
  return wrong;
}

/** A hold that was set is there, and no other. */
async function judgeHolds(
  directory: string,
  storage: SiteStorage,
  facts: Facts,
  jobs: readonly JobRecord[],
): Promise<readonly string[]> {
  await using world = await openWorld(directory, { storage, store: memoryStore() });
  const listed = await all(world.session.checkpoints.list());
  const found = new Set(listed.flatMap((one) => ('holds' in one ? one.holds.map(({ id }) => id) : [])));
  const expected = new Set(succeeded(facts, jobs, 'hold').map(({ id }) => id));
  const wrong = [...found, ...expected].filter((id) => !found.has(id) || !expected.has(id));
  return wrong.map((id) => `hold ${id} is not as its job ended`);
}

/** The jobs of an operation that were done, but those of the preparation. */
export const succeeded = (
  facts: Facts,
  jobs: readonly JobRecord[],
  operation: string,
): readonly JobRecord[] =>
  jobs.filter(
    (job) => !facts.jobs.includes(job.id) && job.operation === operation && job.state === 'succeeded',
  );

/** The checkpoints that the ends of the jobs promise, with their bytes. */
function expectedAvailable(facts: Facts, jobs: readonly JobRecord[]): ReadonlyMap<CheckpointId, Volumes> {
  const expected = new Map(facts.checkpoints.map(({ id, volumes }) => [id, volumes]));
  for (const operation of ['protect', 'adopt'])
    for (const { id } of succeeded(facts, jobs, operation))
      expected.set(id as string as CheckpointId, facts.volumes);
  for (const { input } of succeeded(facts, jobs, 'remove')) expected.delete(input.checkpoint as CheckpointId);
  if (succeeded(facts, jobs, 'retain').length > 0)
    for (const { id } of facts.checkpoints.slice(0, -1)) expected.delete(id);
  return expected;
}

/** The checkpoints that the bank itself must still show: all with a commit, but those that were given up. */
async function committedIn(
  session: Session,
  facts: Facts,
  told: readonly Message[],
): Promise<ReadonlyMap<CheckpointId, Volumes>> {
  const prepared = new Map(facts.checkpoints.map(({ id, volumes }) => [id, volumes]));
  const started = told.flatMap((message) => (message.type === 'accepted' ? [message.job as string] : []));
  const committed = new Map(prepared);
  for await (const { id, state } of session.checkpoints.list()) {
    if (state === 'removed') committed.delete(id);
    else if (!prepared.has(id) && started.includes(id)) committed.set(id, facts.volumes);
  }
  return committed;
}

/** The checkpoints that the bank shows as available. */
export async function availableIn(session: Session): Promise<readonly OpenCheckpoint[]> {
  const listed = await all(session.checkpoints.list());
  const available = listed.filter((one): one is ListedCheckpoint => one.state === 'available');
  return await Promise.all(available.map(({ id }) => session.checkpoints.get(id)));
}

async function judgeCheckpoint(
  directory: string,
  session: Session,
  id: CheckpointId,
  volumes: Volumes,
  expected: number,
): Promise<readonly string[]> {
  try {
    await (await session.verify(id)).result();
    const job = await session.restore(id, { to: 'mirror' });
    const { resources } = await job.result();
    if (resources !== expected) return [`checkpoint ${id} restores ${resources} resources`];
    const standIns = await all(session.jobs.standIns(job.id));
    const restored = await filesBelow(join(pathsOf(directory).mirror, 'volumes'));
    return Object.entries(volumes).flatMap(([volume, digest]) => {
      const to = standIns.find(({ from }) => from.type === 'Local::Volume' && from.id === volume)?.to.id;
      return restored[`${to}.raw`] === digest ? [] : [`checkpoint ${id} restores other bytes of ${volume}`];
    });
  } catch (error) {
    return [`checkpoint ${id} is available, but cannot be verified and restored: ${error}`];
  }
}

/** The snapshots and copies outside that checkpoints count on. */
function countedBy(available: readonly OpenCheckpoint[]): ReadonlySet<string> {
  const copies = available.flatMap(({ artifacts }) =>
    artifacts.flatMap(({ volume }) => volume?.copies ?? []),
  );
  return new Set(
    copies.flatMap(({ kind, reference, volume }) => {
      if (kind === 'archive') return [];
      if (kind === 'external') return outsideText(String(reference.token));
      return textOf({ name: String(reference.name), volume: volume.id });
    }),
  );
}

/** What others made stays, whatever became of its adoption. */
const missingOthers = ({ others }: Facts, there: ReadonlySet<string>): readonly string[] =>
  others
    .map(textOf)
    .filter((one) => !there.has(one))
    .map((one) => `${one}, which others made, is gone`);

const textOf = ({ name, volume }: FoundSnapshot): string => `snapshot ${name} of ${volume}`;
const outsideText = (token: string): string => `copy ${token} outside`;

const isElsewhere = ({ input }: JobRecord): boolean => input.to === 'silver' || input.to === 'joined';

/** A restore that succeeded left all of the application, once; any other left nothing. */
async function judgeDestination(
  directory: string,
  facts: Facts,
  jobs: readonly JobRecord[],
): Promise<readonly string[]> {
  const files = await filesBelow(pathsOf(directory).destination);
  const names = Object.keys(files);
  const restore = succeeded(facts, jobs, 'restore').find(isElsewhere);
  if (restore === undefined) {
    return names.length === 0 ? [] : [`nothing was restored, but there is ${names.join(', ')}`];
  }
  const records = names.filter((name) => name.endsWith('.json'));
  const volumes = facts.checkpoints.find(({ id }) => id === restore.input.checkpoint)?.volumes ?? {};
  const different = Object.entries(volumes).filter(([id, digest]) => files[`volumes/${id}.raw`] !== digest);
  return [
    ...(records.length === RESOURCES
      ? []
      : [`${records.length} resources were restored: ${records.join(', ')}`]),
    ...(names.length === RESOURCES + Object.keys(volumes).length
      ? []
      : [`more was restored: ${names.join(', ')}`]),
    ...different.map(([id]) => `volume ${id} was restored with other bytes`),
  ];
}

/** Every pause is over, at its deadline at the latest, and forgotten too unless all jobs were. */
async function judgePauses(
  directory: string,
  { lost, patience = LONGEST_PAUSE }: { readonly lost: boolean; readonly patience?: number },
): Promise<readonly string[]> {
  const { paused, application } = pathsOf(directory);
  const end = performance.now() + patience;
  while ((await readdir(paused)).length > 0 && performance.now() < end) await delay(50);
  const records = lost ? [] : Object.keys(await filesBelow(join(application, 'pauses')));
  return [
    ...(await readdir(paused)).map((server) => `server ${server} is still paused`),
    ...records.map((record) => `the record of pause ${record} is still there`),
  ];
}

const isInPlace = ({ input }: JobRecord): boolean => input.into === 'existing';

/** Only a restore in place changes what is protected: its volumes. Only a restore to the same site leaves anything beside it. */
async function judgeSite(
  directory: string,
  facts: Facts,
  jobs: readonly JobRecord[],
): Promise<readonly string[]> {
  const now = await siteFiles(directory);
  const restores = succeeded(facts, jobs, 'restore').filter((job) => !isElsewhere(job));
  const expected: Record<string, string> = { ...facts.files };
  for (const restore of restores) {
    const volumes = facts.checkpoints.find(({ id }) => id === restore.input.checkpoint)?.volumes ?? {};
    const restored = isInPlace(restore) ? [] : Object.keys(now).filter((path) => !(path in facts.files));
    if (!isInPlace(restore) && restored.length !== RESOURCES + Object.keys(volumes).length) continue;
    for (const path of restored) if (path.endsWith('.json')) expected[path] = now[path] ?? '';
    for (const [id, digest] of Object.entries(volumes)) {
      const beside = restored.find((path) => path.startsWith(`volumes/${id}-`) && path.endsWith('.raw'));
      expected[isInPlace(restore) ? `volumes/${id}.raw` : (beside ?? `volumes/${id} beside`)] = digest;
    }
  }
  const paths = new Set([...Object.keys(now), ...Object.keys(expected)]);
  return [...paths]
    .filter((path) => now[path] !== expected[path])
    .map((path) => `${path} of the protected site is not as it was`);
}
