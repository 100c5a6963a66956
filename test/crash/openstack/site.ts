import { mkdir, writeFile } from 'node:fs/promises';
import { openStackLab } from '../../lab/openstack/openstack.ts';
import { newProject, type Project } from '../../lab/openstack/project.ts';
import type { CaseStore } from '../case-store.ts';
import { pathsOf } from '../paths.ts';
import { type Facts, SCENARIOS } from '../scenario.ts';
import type { Site } from '../site.ts';
import { makeApplication } from './application.ts';
import { clearCloud, inventoryOf, lookAtCloud } from './look.ts';
import { crossRequests } from './requests.ts';
import { type Cloud, openCloudWorld, writeCloud } from './world.ts';

/**
 * What changes something in the cloud, before it and after it; requests that do, when they were sent; and the records of
 * what was done. All else is read, or is struck on files.
 */
const STRUCK = new RegExp(
  [
    '(POST|PUT|DELETE) ',
    '[ab]\\.array\\.(snapshot|remove|open|target\\.[a-zA-Z]+|target\\.openForWrite\\.[a-z]+) ',
    '[ab]\\.OS::\\w+::\\w+\\.(create|connect|remove) ',
    'store\\.(claim|append|finish) ',
    'bank\\.put (commits|addenda) ',
  ]
    .map((beginning) => `^${beginning}`)
    .join('|'),
);

/** A small application in a project of the OpenStack lab; it is made once, and restored to another project. */
export function openStackSite(jobs: CaseStore): Site {
  const { openstack: lab, skipped } = openStackLab();
  if (lab === undefined) throw new Error(`no site openstack: ${skipped}`);
  let made: Promise<Cloud> | undefined;
  const projects: Project[] = [];
  // What is no case's own; what one left that broke a promise is told of once.
  const known = new Set<string>();

  const make = async (): Promise<Cloud> => {
    const a = await newProject(lab);
    projects.push(a);
    const b = await newProject(lab);
    projects.push(b);
    const volumes = await makeApplication(a, lab);
    const placeOf = async (project: Project) => ({
      id: project.id,
      account: project.account,
      inventory: await inventoryOf(lab, project),
    });
    return { a: await placeOf(a), b: await placeOf(b), volumes };
  };

  return {
    name: 'openstack',
    jobs,
    scenarios: SCENARIOS.openstack,
    // What is prepared lies in the bank alone; the application is all cases', and none changes it.
    isCopied: true,
    casesAtOnce: 1,
    longestChild: 10 * 60_000,
    watch: crossRequests,
    isStruck: (place) => STRUCK.test(place),
    async prepare({ prepared }, directory) {
      made ??= make();
      const cloud = await made;
      await writeCloud(directory, cloud);
      const { facts, bank } = pathsOf(directory);
      await mkdir(bank);
      await using world = await openCloudWorld(directory, lab, { store: jobs.open(directory) });
      const { session } = world;
      const resources = [{ type: 'OS::Keystone::Project' }];
      const plan = await session.plans.create({ name: 'shop', provider: prepared.provider, resources });
      const [checkpoints, done]: [Facts['checkpoints'][number][], Facts['jobs'][number][]] = [[], []];
      for (let count = 0; count < prepared.checkpoints; count += 1) {
        const job = await session.protect(plan.id);
        const { checkpoint } = await job.result();
        checkpoints.push({ id: checkpoint, volumes: {} });
        done.push(job.id);
      }
      const prior: Facts = { plan: plan.id, checkpoints, jobs: done, volumes: {}, others: [], files: {} };
      await writeFile(facts, JSON.stringify(prior));
      // Of a checkpoint stay the snapshots that tell what changes later; to the cases of other scenarios they are known.
      const inventory = await inventoryOf(lab, cloud.a);
      await writeCloud(directory, { ...cloud, a: { ...cloud.a, inventory } });
      for (const one of inventory) known.add(one);
    },
    open: (directory, opening) => openCloudWorld(directory, lab, opening),
    look: (directory, seen) => lookAtCloud(directory, { lab, jobs }, seen, known),
    async clear(directory) {
      for (const one of await clearCloud(directory, lab, known)) known.add(one);
      await jobs.clear(directory);
    },
    async [Symbol.asyncDispose]() {
      for (const project of projects.toReversed()) await project.end();
    },
  };
}
