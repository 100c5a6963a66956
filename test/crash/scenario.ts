import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { CheckpointId, Job, JobId, PlanId, Session, SnapshotToAdopt } from '../../src/index.ts';
import { renamedSnapshot } from '../arrays/renamed-snapshot.ts';
import { changeApplication, filesBelow, ROOTS, VOLUMES, volumesOf, writeApplication } from './application.ts';
import { plainArray } from './files-storage.ts';
import type { CaseStore } from './case-store.ts';
import { pathsOf } from './paths.ts';
import { BEHIND, EVENT, type PreparedSchedule, prepareSchedule, type ScheduleFacts } from './ticks.ts';
import type { SiteName } from './site.ts';
import type { SiteStorage } from './site-storage.ts';
import { openWorld } from './world.ts';

/** The digest of each volume at some instant, by the volume's id. */
export type Volumes = Readonly<Record<string, string>>;

/** What is known of a case before it begins; it lies beside what it tells of. */
export interface Facts {
  /** The plan of the application. */
  readonly plan: PlanId;
  /** The checkpoints there are, with the bytes that each must restore to, the newest last. */
  readonly checkpoints: readonly { readonly id: CheckpointId; readonly volumes: Volumes }[];
  /** The jobs there are. */
  readonly jobs: readonly JobId[];
  /** The application's volumes as they are. */
  readonly volumes: Volumes;
  /** Snapshots that others made. */
  readonly others: readonly SnapshotToAdopt[];
  /** The schedule, where there is one. */
  readonly schedule?: ScheduleFacts;
  /** See `siteFiles`. */
  readonly files: Readonly<Record<string, string>>;
}

/** What is done while processes die. */
export interface Scenario {
  /** On the command line. */
  readonly name: string;
  /** Which provider protects the application, and how many checkpoints there are before; each sees a change. */
  readonly prepared: {
    readonly provider: 'plain' | 'tracked' | 'flagged' | 'two' | 'kept' | 'copied' | 'outside';
    readonly checkpoints: number;
    /** Whether others have snapshots of the application as it is. */
    readonly others?: true;
    /** A schedule of the plan. */
    readonly schedule?: PreparedSchedule;
  };
  /** The place at which the job is cancelled. */
  readonly cancelAt?: string;
  /** Starts the job; left out where the ticks of a schedule do. */
  start?(session: Session, facts: Facts): Promise<Job<object>>;
  /** What the host asks for again after a crash, as it does not know what became of it. */
  again?(session: Session, facts: Facts): Promise<unknown>;
}

const newest = ({ checkpoints }: Facts): CheckpointId => {
  const last = checkpoints.at(-1);
  if (last === undefined) throw new Error('this scenario needs a checkpoint to begin with');
  return last.id;
};
type Start = NonNullable<Scenario['start']>;
const protect: Start = (session, { plan }) => session.protect(plan);
const restore: Start = (session, facts) => session.restore(newest(facts), { to: 'silver' });
const archive: Start = (session, facts) => session.archive(newest(facts), { removeSnapshots: true });
const remove: Start = (session, facts) => session.remove(newest(facts));

const adopt: Start = (session, { plan, others: snapshots }) =>
  session.adopt(plan, { ownership: 'take', snapshots });

const fire: Start = async (session, { schedule }) => {
  if (schedule === undefined) throw new Error('this scenario needs a schedule');
  const tick = await session.schedules.fire(schedule.id, { event: EVENT });
  if (tick.state === 'missed') throw new Error(`the event was missed: ${tick.reason}`);
  return session.jobs.handle(tick.job);
};
const fireAgain: NonNullable<Scenario['again']> = async (session, facts) =>
  // It may be lost with the job database.
  facts.schedule && (await session.schedules.get(facts.schedule.id)) && fire(session, facts);

/** What the engine does, once each. */
const EVERYTHING: readonly Scenario[] = [
  { name: 'protect', prepared: { provider: 'plain', checkpoints: 0 }, start: protect },
  { name: 'protect-again', prepared: { provider: 'tracked', checkpoints: 1 }, start: protect },
  {
    name: 'adopt',
    prepared: { provider: 'kept', checkpoints: 1, others: true },
    start: adopt,
  },
  { name: 'protect-background', prepared: { provider: 'flagged', checkpoints: 1 }, start: protect },
  {
    name: 'protect-locked',
    prepared: { provider: 'tracked', checkpoints: 1 },
    start: (session, { plan }) => session.protect(plan, { policy: { lock: 30 } }),
  },
  { name: 'protect-outside', prepared: { provider: 'outside', checkpoints: 0 }, start: protect },
  {
    name: 'verify-outside',
    prepared: { provider: 'outside', checkpoints: 1 },
    start: (session, facts) => session.verify(newest(facts)),
  },
  {
    name: 'verify-outside-cancelled',
    prepared: { provider: 'outside', checkpoints: 1 },
    cancelAt: 'outside.held after',
    start: (session, facts) => session.verify(newest(facts)),
  },
  { name: 'restore-outside', prepared: { provider: 'outside', checkpoints: 1 }, start: restore },
  { name: 'remove-outside', prepared: { provider: 'outside', checkpoints: 1 }, start: remove },
  { name: 'archive', prepared: { provider: 'kept', checkpoints: 1 }, start: archive },
  { name: 'archive-copied', prepared: { provider: 'copied', checkpoints: 1 }, start: archive },
  {
    name: 'archive-copied-cancelled',
    prepared: { provider: 'copied', checkpoints: 1 },
    cancelAt: 'a.array.open after',
    start: archive,
  },
  { name: 'restore-copied', prepared: { provider: 'copied', checkpoints: 1 }, start: restore },
  {
    name: 'restore-copied-cancelled',
    prepared: { provider: 'copied', checkpoints: 1 },
    cancelAt: 'a.array.open after',
    start: restore,
  },
  { name: 'restore', prepared: { provider: 'tracked', checkpoints: 1 }, start: restore },
  {
    name: 'restore-joined',
    prepared: { provider: 'tracked', checkpoints: 1 },
    start: (session, facts) => session.restore(newest(facts), { to: 'joined' }),
  },
  {
    name: 'restore-probed-cancelled',
    prepared: { provider: 'tracked', checkpoints: 1 },
    cancelAt: 'b.Local::Server.probe after',
    start: (session, facts) => session.restore(newest(facts), { to: 'joined' }),
  },
  {
    name: 'restore-in-place',
    prepared: { provider: 'tracked', checkpoints: 1 },
    // Of the bank, or the array would revert to the snapshot that it keeps.
    start: (session, facts) =>
      session.restore(newest(facts), { to: 'tracked', into: 'existing', location: 'bank' }),
  },
  {
    name: 'restore-in-place-reverted',
    prepared: { provider: 'kept', checkpoints: 1 },
    start: (session, facts) => session.restore(newest(facts), { to: 'kept', into: 'existing' }),
  },
  {
    name: 'restore-cloned',
    prepared: { provider: 'kept', checkpoints: 1 },
    start: (session, facts) => session.restore(newest(facts), { to: 'kept' }),
  },
  {
    name: 'restore-cloned-cancelled',
    prepared: { provider: 'kept', checkpoints: 1 },
    cancelAt: 'a.Local::Server.connect after',
    start: (session, facts) => session.restore(newest(facts), { to: 'kept' }),
  },
  {
    name: 'verify',
    prepared: { provider: 'tracked', checkpoints: 1 },
    start: (session, facts) => session.verify(newest(facts)),
  },
  { name: 'remove', prepared: { provider: 'tracked', checkpoints: 2 }, start: remove },
  {
    name: 'retain',
    prepared: { provider: 'tracked', checkpoints: 3 },
    start: (session, { plan }) => session.retain(plan, { policy: { archive: { last: 1 } } }),
  },
  {
    name: 'schedule-late',
    prepared: { provider: 'kept', checkpoints: 1, schedule: { ticks: 3, missed: 'run-once' } },
  },
  {
    name: 'schedule-queued',
    prepared: { provider: 'kept', checkpoints: 1, schedule: { ticks: 2, missed: 'catch-up' } },
  },
  {
    name: 'schedule-event',
    prepared: { provider: 'kept', checkpoints: 1, schedule: { ticks: 0, missed: 'run-once' } },
    start: fire,
    again: fireAgain,
  },
  {
    name: 'hold',
    prepared: { provider: 'tracked', checkpoints: 1 },
    start: (session, facts) => session.hold(newest(facts), { reason: 'crash' }),
  },
  {
    name: 'adopt-cancelled',
    prepared: { provider: 'kept', checkpoints: 1, others: true },
    cancelAt: 'bank.put commits after',
    start: adopt,
  },
  {
    name: 'adopt-copied-cancelled',
    prepared: { provider: 'copied', checkpoints: 1, others: true },
    cancelAt: 'a.array.open after',
    start: adopt,
  },
  {
    name: 'protect-cancelled',
    prepared: { provider: 'tracked', checkpoints: 1 },
    cancelAt: 'a.array.open after',
    start: protect,
  },
  {
    name: 'commit-cancelled',
    prepared: { provider: 'tracked', checkpoints: 1 },
    cancelAt: 'bank.put commits after',
    start: protect,
  },
  {
    name: 'restore-cancelled',
    prepared: { provider: 'tracked', checkpoints: 1 },
    cancelAt: 'b.Local::Server.connect after',
    start: restore,
  },
];

/** What strategies and policies make of an array's snapshots, where `EVERYTHING` has it not yet. */
const SNAPSHOTS: readonly Scenario[] = [
  { name: 'protect-kept', prepared: { provider: 'kept', checkpoints: 1 }, start: protect },
  { name: 'protect-two', prepared: { provider: 'two', checkpoints: 2 }, start: protect },
  { name: 'remove-kept', prepared: { provider: 'kept', checkpoints: 2 }, start: remove },
  { name: 'remove-flagged', prepared: { provider: 'flagged', checkpoints: 2 }, start: remove },
];
/** What neither takes, archives nor removes snapshots, or is the same wherever they are. */
const ELSEWHERE =
  /^(adopt|restore|verify|retain|hold|schedule|commit-cancelled)|-(outside|locked|copied|copied-cancelled)$/;

/** What a cloud takes part in. */
const CLOUD: readonly Scenario[] = [
  { name: 'cloud-protect', prepared: { provider: 'plain', checkpoints: 0 }, start: protect },
  { name: 'cloud-restore', prepared: { provider: 'plain', checkpoints: 1 }, start: restore },
  {
    name: 'cloud-restore-cancelled',
    prepared: { provider: 'plain', checkpoints: 1 },
    cancelAt: 'b.OS::Nova::Server.create after',
    start: restore,
  },
];

/** What is done on a site. */
export const SCENARIOS: Readonly<Record<SiteName, readonly Scenario[]>> = {
  files: EVERYTHING,
  rbd: [...EVERYTHING.filter(({ name }) => !ELSEWHERE.test(name)), ...SNAPSHOTS],
  openstack: CLOUD,
};

/** The scenario of this name. */
export function scenarioOf(name: string): Scenario {
  const scenarios = [...EVERYTHING, ...SNAPSHOTS, ...CLOUD];
  const scenario = scenarios.find((one) => one.name === name);
  if (scenario !== undefined) return scenario;
  throw new Error(`no scenario ${name}; there are ${scenarios.map((one) => one.name).join(', ')}`);
}

/** Where a case is made. */
interface Making {
  readonly storage: SiteStorage;
  readonly jobs: CaseStore;
}

/** Makes what a scenario begins with, in an existing, empty directory. */
export async function prepare({ prepared }: Scenario, directory: string, making: Making): Promise<void> {
  const made = await prepareApplication(prepared, directory, making);
  const schedule = prepared.schedule && (await scheduleBehind(prepared.schedule, made, directory, making));
  const facts: Facts = { ...made, ...(schedule && { schedule }) };
  await writeFile(pathsOf(directory).facts, JSON.stringify(facts));
}

// By an engine of its own: pauses go by the machine's clock, and one whose clock is right would fire what is due.
async function scheduleBehind(
  asked: PreparedSchedule,
  { plan }: Facts,
  directory: string,
  { storage, jobs }: Making,
): Promise<ScheduleFacts> {
  await using world = await openWorld(directory, { storage, store: jobs.open(directory), ahead: -BEHIND });
  return await prepareSchedule(world.session, plan, asked, Date.now() - BEHIND);
}

async function prepareApplication(
  prepared: Scenario['prepared'],
  directory: string,
  { storage, jobs: cases }: Making,
): Promise<Facts> {
  const paths = pathsOf(directory);
  const { application } = paths;
  await mkdir(paths.destination);
  await mkdir(paths.mirror);
  await mkdir(paths.paused);
  await writeApplication(application);
  await storage.publish(directory);
  await using world = await openWorld(directory, { storage, store: cases.open(directory) });
  const { session } = world;
  const plan = await session.plans.create({ name: 'shop', provider: prepared.provider, resources: ROOTS });
  const checkpoints: Facts['checkpoints'][number][] = [];
  const jobs: JobId[] = [];
  for (let made = 0; made < prepared.checkpoints; made += 1) {
    const job = await session.protect(plan.id);
    const { checkpoint, archive } = await job.result();
    checkpoints.push({ id: checkpoint, volumes: await volumesOf(application) });
    jobs.push(job.id);
    if (archive !== undefined) {
      await session.jobs.handle(archive).result();
      jobs.push(archive);
    }
    await changeApplication(application, made);
    await storage.publish(directory);
  }
  const volumes = await volumesOf(application);
  const others = prepared.others ? await takeAsOthers(application) : [];
  const files = await siteFiles(directory);
  return { plan: plan.id, checkpoints, jobs, volumes, others, files };
}

/** Snapshots of all volumes, as somebody takes them who does not know Fafnir. */
async function takeAsOthers(application: string): Promise<Facts['others']> {
  const array = plainArray(application);
  const volumes = Object.keys(VOLUMES).map((id) => ({ array: array.name, id, size: 0 }));
  await renamedSnapshot(array, application)(volumes, 'Nightly_1');
  return volumes.map(({ id }) => ({ array: array.name, volume: id, name: 'Nightly_1' }));
}

/** What was known when the case was prepared. */
export const readFacts = async (directory: string): Promise<Facts> =>
  JSON.parse(await readFile(pathsOf(directory).facts, 'utf8'));

/** Every file of the application's site but its snapshots and the records of its pauses. */
export async function siteFiles(directory: string): Promise<Facts['files']> {
  const files = Object.entries(await filesBelow(pathsOf(directory).application));
  return Object.fromEntries(files.filter(([path]) => !/^(snapshots|pauses)\//.test(path)));
}
