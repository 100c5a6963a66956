import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sqliteStore } from '../../src/stores/sqlite.ts';
import type { Strike } from './boundaries.ts';
import { dumpRows, freeJobs } from './dump.ts';
import type { Order } from './fixtures/child.ts';
import { look, type Problem } from './look.ts';
import type { Message } from './messages.ts';
import { Child } from './process.ts';
import { scenarioOf } from './scenario.ts';
import { pathsOf, TENANT } from './world.ts';

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

const LEASE = 30_000;
const ZOMBIE_LEASE = 1_000;
/** How long a zombie may take to notice that it is one: it asks three times per lease. */
const TIME_TO_NOTICE = 1_500;

/** Runs one case on a copy of what its scenario begins with. */
export async function runCase(prepared: string, one: Case): Promise<Verdict> {
  return await inCopy(prepared, async (directory) => {
    const told: Message[] = [];
    const problems = [...(await (isZombie(one) ? runZombie : runKills)(directory, one, told))];
    problems.push(
      ...(await look(directory, {
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
export async function listBoundaries(prepared: string, scenario: string): Promise<readonly string[]> {
  return await inCopy(prepared, async (directory) => {
    await using child = new Child(orderOf(directory, { scenario, kind: 'kill', at: 0 }, 0, 'SIGKILL'));
    const excuse = await child.ended();
    if (excuse !== undefined) throw new Error(excuse);
    return child.told('boundaries').flatMap(({ places }) => places);
  });
}

async function inCopy<Result>(
  prepared: string,
  work: (directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'fafnir-crash-'));
  try {
    await cp(prepared, directory, { recursive: true });
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Whether the worker of a case goes on after it has lost its job. */
export const isZombie = ({ kind }: Case): boolean => kind === 'zombie' || kind === 'late-effect';

/** What a child of a case is asked; the n-th to recover has a clock for which all claims before have ended. */
function orderOf(directory: string, one: Case, generation: number, signal: Strike['signal']): Order {
  const { scenario, mutant = false } = one;
  const at = [one.at, one.second][generation];
  return {
    role: generation === 0 ? 'work' : 'recover',
    directory,
    scenario,
    mutant,
    leaseMilliseconds: LEASE,
    ahead: generation * 2 * LEASE,
    ...(at === undefined ? {} : { strike: { at, signal, late: one.kind === 'late-effect' } }),
  };
}

async function runKills(directory: string, one: Case, told: Message[]): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  const run = async (generation: number): Promise<void> => {
    await using child = new Child(orderOf(directory, one, generation, 'SIGKILL'));
    problems.push(...(await endOf(child)));
    told.push(...child.messages);
  };
  await run(0);
  if (one.kind === 'lost-database') {
    const { store } = pathsOf(directory);
    for (const ending of ['', '-wal', '-shm']) await rm(`${store}${ending}`, { force: true });
  }
  if (one.kind === 'double-kill') await run(1);
  await run(2);
  return problems;
}

async function endOf(child: Child): Promise<readonly Problem[]> {
  const excuse = await child.ended();
  return excuse === undefined ? [] : [{ count: 'wrong ends', text: excuse }];
}

async function runZombie(directory: string, one: Case, told: Message[]): Promise<readonly Problem[]> {
  const { store } = pathsOf(directory);
  await using zombie = new Child({
    ...orderOf(directory, one, 0, 'SIGSTOP'),
    leaseMilliseconds: ZOMBIE_LEASE,
  });
  await zombie.until('struck');
  const past = delay(ZOMBIE_LEASE);
  if (scenarioOf(one.scenario).cancelAt !== undefined) await cancelAll(store);
  await using heir = new Child(orderOf(directory, one, 1, 'SIGSTOP'));
  await heir.until('struck');
  await past;

  // The heir's clock is ahead, so that its leases end later. What it has not taken is not lost.
  const kept = freeJobs(store, Date.now() + LEASE);
  const taken = dumpRows(store, kept);
  await zombie.resume();
  await zombie.until('fenced', TIME_TO_NOTICE);
  const noticed = dumpRows(store, kept);
  await heir.resume();
  const problems = [...(await endOf(heir))];
  const ended = dumpRows(store);
  problems.push(...(await endOf(zombie)));
  if (noticed !== taken || dumpRows(store) !== ended) {
    problems.push({
      count: 'zombies not fenced',
      text: 'a worker that had lost its job wrote to the job store',
    });
  }
  told.push(...zombie.messages, ...heir.messages);
  return problems;
}

// While a worker stops, others may still ask for its job's end: then an effect of its own meets the undoing by another.
async function cancelAll(path: string): Promise<void> {
  await using store = sqliteStore(path);
  for await (const { id } of store.list(TENANT, {})) await store.requestCancel(TENANT, id);
}
