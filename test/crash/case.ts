import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Strike } from './boundaries.ts';
import { dumpRows, freeJobs } from './dump.ts';
import type { Order } from './fixtures/child.ts';
import type { Problem } from './look.ts';
import type { Message } from './messages.ts';
import { Child } from './process.ts';
import { scenarioOf } from './scenario.ts';
import type { Site } from './site.ts';
import { TENANT } from './world.ts';

/** The ways to die. */
export const KINDS = ['kill', 'double-kill', 'zombie', 'late-effect', 'lost-database'] as const;

/** One way for one job to be disturbed. */
export interface Case {
  /** The scenario's name. */
  readonly scenario: string;
  /**
   * `kill`: the worker dies, another recovers. `double-kill`: the first to recover dies too. `zombie`: the worker
   * stops, another takes over, and stops too or ends, then the first goes on. `late-effect`: the same, and the call
   * that the first one stopped before is made whatever it learns. `lost-database`: the worker dies, and the job
   * database is gone.
   */
  readonly kind: (typeof KINDS)[number];
  /** The boundary at which the worker is struck: its place or its number. */
  readonly at: string | number;
  /** The boundary at which the one who recovers is struck. */
  readonly second?: string | number;
  /** Whether the store forgets to compare epochs. */
  readonly mutant?: boolean;
}

/** What came of a case. */
export interface Verdict {
  /** The case. */
  readonly case: Case;
  /** Where processes were struck; fewer than planned where one had ended before. */
  readonly struck: readonly { readonly number: number; readonly place: string }[];
  /** What was broken. */
  readonly problems: readonly Problem[];
}

/** Where cases are run. */
export interface Stage {
  /** The application. */
  readonly site: Site;
  /** Makes what a scenario begins with, in an existing, empty directory. */
  begin(scenario: string, directory: string): Promise<void>;
}

const LEASE = 30_000;
const ZOMBIE_LEASE = 1_000;
/** How long a zombie may take to notice that it is one: it asks three times per lease. */
const TIME_TO_NOTICE = 1_500;

/** Runs one case, from what its scenario begins with. */
export async function runCase(stage: Stage, one: Case): Promise<Verdict> {
  const { site } = stage;
  return await inDirectory(stage, one.scenario, async (directory) => {
    const told: Message[] = [];
    const place = { directory, site };
    const problems = [...(await (isZombie(one) ? runZombie : runKills)(place, one, told))];
    problems.push(
      ...(await site.look(directory, {
        told,
        lost: one.kind === 'lost-database',
        late: one.kind === 'late-effect',
      })),
    );
    const struck = told.flatMap((message) => (message.type === 'struck' ? [message] : []));
    return { case: one, struck, problems };
  });
}

/** The places of the boundaries that a scenario has when nobody dies, in order. */
export async function listBoundaries(stage: Stage, scenario: string): Promise<readonly string[]> {
  return await inDirectory(stage, scenario, async (directory) => {
    const { site } = stage;
    const order = orderOf({ directory, site }, { scenario, kind: 'kill', at: 0 }, 0, 'SIGKILL');
    await using child = new Child(order, site.longestChild);
    const excuse = await child.ended();
    if (excuse !== undefined) throw new Error(excuse);
    return child.told('boundaries').flatMap(({ places }) => places);
  });
}

async function inDirectory<Result>(
  stage: Stage,
  scenario: string,
  work: (directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'fafnir-crash-'));
  try {
    await stage.begin(scenario, directory);
    return await work(directory);
  } finally {
    await stage.site.clear(directory);
    await rm(directory, { recursive: true, force: true });
  }
}

/** Whether the worker of a case goes on after it has lost its job. */
export const isZombie = ({ kind }: Case): boolean => kind === 'zombie' || kind === 'late-effect';

/** Where a case is. */
interface Place {
  readonly directory: string;
  readonly site: Site;
}

/** What a child of a case is asked; the n-th to recover has a clock for which all claims before have ended. */
function orderOf({ directory, site }: Place, one: Case, generation: number, signal: Strike['signal']): Order {
  const { scenario, mutant = false } = one;
  const at = [one.at, one.second][generation];
  return {
    role: generation === 0 ? 'work' : 'recover',
    directory,
    site: site.name,
    store: site.jobs.name,
    scenario,
    mutant,
    leaseMilliseconds: LEASE,
    ahead: generation * 2 * LEASE,
    ...(at === undefined ? {} : { strike: { at, signal, late: one.kind === 'late-effect' } }),
  };
}

async function runKills(place: Place, one: Case, told: Message[]): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  const run = async (generation: number): Promise<void> => {
    await using child = new Child(orderOf(place, one, generation, 'SIGKILL'), place.site.longestChild);
    problems.push(...(await endOf(child)));
    told.push(...child.messages);
  };
  await run(0);
  if (one.kind === 'lost-database') await place.site.jobs.lose(place.directory);
  if (one.kind === 'double-kill') await run(1);
  await run(2);
  return problems;
}

async function endOf(child: Child): Promise<readonly Problem[]> {
  const excuse = await child.ended();
  return excuse === undefined ? [] : [{ count: 'wrong ends', text: excuse }];
}

async function runZombie(place: Place, one: Case, told: Message[]): Promise<readonly Problem[]> {
  const { directory, site } = place;
  const { jobs, longestChild } = site;
  const order = { ...orderOf(place, one, 0, 'SIGSTOP'), leaseMilliseconds: ZOMBIE_LEASE };
  await using zombie = new Child(order, longestChild);
  await zombie.until('struck');
  const past = delay(ZOMBIE_LEASE);
  if (scenarioOf(one.scenario).cancelAt !== undefined) await cancelAll(place);
  await using heir = new Child(orderOf(place, one, 1, 'SIGSTOP'), longestChild);
  await heir.until('struck');
  await past;

  // The heir's clock is ahead, so that its leases end later. What it has not taken is not lost.
  const before = await jobs.tables(directory);
  const kept = freeJobs(before, Date.now() + LEASE);
  const taken = dumpRows(before, kept);
  await zombie.resume();
  await zombie.until('fenced', TIME_TO_NOTICE);
  const noticed = dumpRows(await jobs.tables(directory), kept);
  await heir.resume();
  const problems = [...(await endOf(heir))];
  const ended = dumpRows(await jobs.tables(directory));
  problems.push(...(await endOf(zombie)));
  if (noticed !== taken || dumpRows(await jobs.tables(directory)) !== ended) {
    problems.push({
      count: 'zombies not fenced',
      text: 'a worker that had lost its job wrote to the job store',
    });
  }
  told.push(...zombie.messages, ...heir.messages);
  return problems;
}

// While a worker stops, others may still ask for its job's end: then an effect of its own meets the undoing by another.
async function cancelAll({ site, directory }: Place): Promise<void> {
  await using store = site.jobs.open(directory);
  for await (const { id } of store.list(TENANT, {})) await store.requestCancel(TENANT, id);
}
