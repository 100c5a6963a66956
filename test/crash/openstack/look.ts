import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openStackClient } from '../../../src/clients/openstack/index.ts';
import type { CheckpointId, JobId, ResourceKey, Session } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { all } from '../../core/engine/world.ts';
import { cloudOf } from '../../lab/openstack/containers.ts';
import { inventory } from '../../lab/openstack/inventory.ts';
import type { OpenStack } from '../../lab/openstack/openstack.ts';
import { differences, removeRestored } from '../../lab/openstack/restored.ts';
import type { CaseStore } from '../case-store.ts';
import { judgeLedger } from '../ledger.ts';
import { availableIn, type Count, judgeEnds, type Problem, readJobs, succeeded } from '../look.ts';
import { readFacts } from '../scenario.ts';
import type { Seen } from '../site.ts';
import { type Cloud, openCloudWorld, type Place, readCloud } from './world.ts';

/**
 * Everything that must hold of a case on a cloud: jobs ended as documented, nothing was made twice, nothing is there that
 * should not be, as the services list it, and what was restored equals what was protected. `known` was there before.
 */
export async function lookAtCloud(
  directory: string,
  { lab, jobs: cases }: { readonly lab: OpenStack; readonly jobs: CaseStore },
  { told }: Pick<Seen, 'told'>,
  known: ReadonlySet<string>,
): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  const wrong = (count: Count, texts: readonly string[]): void => {
    for (const text of texts) problems.push({ count, text });
  };
  const facts = await readFacts(directory);
  const cloud = await readCloud(directory);
  const jobs = await readJobs(directory, cases);
  wrong('wrong ends', judgeEnds(facts, jobs, told));
  wrong('effects more than twice', judgeLedger(directory, false));

  const [restore] = succeeded(facts, jobs, 'restore');
  if (restore === undefined) wrong('orphans', await notAsBefore(lab, cloud.b, known));
  else {
    await using world = await openCloudWorld(directory, lab, {
      store: cases.open(directory),
    });
    wrong('wrong ends', await judgeRestored(lab, cloud, world.session, restore.id));
    await removeFrom(lab, cloud.b);
    wrong('orphans', await notAsBefore(lab, cloud.b, known));
  }

  // An engine that knows of no job: what it finds, it finds in the bank.
  await using world = await openCloudWorld(directory, lab, { store: memoryStore() });
  const { session } = world;
  const before = facts.checkpoints.map(({ id }) => id);
  const made = succeeded(facts, jobs, 'protect').map(({ id }) => id as string as CheckpointId);
  const available = (await availableIn(session)).map(({ commit }) => commit.id);
  const expected = [...before, ...made].toSorted().join();
  if (available.toSorted().join() !== expected)
    wrong('lost commits', [`available are ${available}, not ${expected}`]);
  for (const id of made) {
    const job = await session.restore(id, { to: 'silver' });
    const failure = await job.result().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failure !== undefined)
      wrong('lost commits', [`checkpoint ${id} is available, but does not restore: ${failure}`]);
    else wrong('lost commits', await judgeRestored(lab, cloud, session, job.id));
    await removeFrom(lab, cloud.b);
    wrong('orphans', await notAsBefore(lab, cloud.b, known));
    await (await session.remove(id)).result();
  }
  wrong('orphans', await notAsBefore(lab, cloud.a, known));
  return problems;
}

/** What is otherwise in a project than when nothing was under way. */
async function notAsBefore(
  lab: OpenStack,
  place: Place,
  known: ReadonlySet<string>,
): Promise<readonly string[]> {
  const now = await inventoryOf(lab, place);
  return [
    ...strangers(place, now, known).map((one) => `${one} is left over`),
    ...place.inventory.filter((one) => !now.includes(one)).map((one) => `${one} is gone`),
  ];
}

const strangers = (
  { inventory: before }: Place,
  now: readonly string[],
  known: ReadonlySet<string>,
): readonly string[] => now.filter((one) => !before.includes(one) && !known.has(one));

/** Everything in a project. */
export async function inventoryOf(
  lab: OpenStack,
  { id, account }: Pick<Place, 'id' | 'account'>,
): Promise<readonly string[]> {
  await using client = openStackClient(cloudOf(lab, account));
  return await inventory(client, { project: id });
}

/** Removes what a restore made, by the tokens that it carries. */
async function removeFrom(lab: OpenStack, { id, account }: Place): Promise<void> {
  await using client = openStackClient(cloudOf(lab, account));
  await removeRestored({ client, id });
}

/** Removes what a case made in the cloud. Resolves with what does not go that way. */
export async function clearCloud(
  directory: string,
  lab: OpenStack,
  known: ReadonlySet<string>,
): Promise<readonly string[]> {
  const { a, b } = await readCloud(directory);
  await removeFrom(lab, b);
  const { checkpoints } = await readFacts(directory);
  await using world = await openCloudWorld(directory, lab, { store: memoryStore() });
  for (const { commit } of await availableIn(world.session)) {
    if (checkpoints.some(({ id }) => id === commit.id)) continue;
    await (await world.session.remove(commit.id)).result();
  }
  const left = [a, b].map(async (place) => strangers(place, await inventoryOf(lab, place), known));
  return (await Promise.all(left)).flat();
}

/** How what a job restored differs from the application, in what there is of it, in descriptions and in bytes. */
async function judgeRestored(
  lab: OpenStack,
  { a, b, volumes }: Cloud,
  session: Session,
  job: JobId,
): Promise<readonly string[]> {
  const standIns: { readonly from: ResourceKey; readonly to: ResourceKey }[] = await all(
    session.jobs.standIns(job),
  );
  await using from = openStackClient(cloudOf(lab, a.account));
  await using to = openStackClient(cloudOf(lab, b.account));
  const ids = new Map(standIns.map((one) => [one.from.id, one.to.id]));
  const counts = [a, b].map(async ({ id, account }) => countsOf(await inventoryOf(lab, { id, account })));
  const [there, here] = await Promise.all(counts);
  const different = volumes.map(async (volume) => {
    const [one, other] = [volume, ids.get(volume)].map((id) => join(lab.files, `volume-${id}`));
    return await promisify(execFile)('cmp', [one ?? '', other ?? '']).then(
      () => [],
      (error: unknown) => [`volume ${volume} was restored with other bytes: ${error}`],
    );
  });
  return [
    ...(there === here ? [] : [`there are ${here}, but of the application ${there}`]),
    ...(await differences({ client: from, id: a.id }, { client: to, id: b.id }, standIns)),
    ...(await Promise.all(different)).flat(),
  ];
}

/** How many of each collection; snapshots are of those volumes that were there. */
function countsOf(things: readonly string[]): string {
  const collections = things.map((one) => one.split('/')[0] ?? '').filter((one) => one !== 'snapshots');
  const counts = [...new Set(collections)].map((one) => [one, collections.filter((it) => it === one).length]);
  return counts.map(([collection, count]) => `${count} ${collection}`).join(', ');
}
