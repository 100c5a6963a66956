// The main job, end to end: an application is protected twice, its site is lost, and it is restored to another site.
import { FafnirError, type Session, type StandIn } from 'fafnir';
import { changeVolumes } from './change-volumes.ts';
import { type Comparison, compare, type Recorded, record } from './compare.ts';
import { discard } from './discard.ts';
import { checkEarlierRun, wipe } from './earlier-run.ts';
import { bytesInBank, identity, makeKeys, siteA, siteB, startEngine } from './engine.ts';
import { MAP, makeSites, ROOTS } from './make-site.ts';
import { readApplication } from './read-application.ts';
import { directory, paths } from './settings.ts';
import { follow, say, showTree, sizeText } from './show.ts';

async function demo(): Promise<Comparison> {
  say(`working in ${directory}`);
  await makeKeys();
  await checkEarlierRun();
  await wipe();

  say('making an application on site A');
  await makeSites();
  const application = await readApplication(siteA, ROOTS);
  showTree(application);

  await using engine = await startEngine();
  const session = engine.for(identity);
  const plan = await session.plans.create({ name: 'shop', provider: siteA.name, resources: ROOTS });

  say('protecting it');
  const first = await follow('protect', await session.protect(plan.id));
  const stored = await bytesInBank();
  say(`  ${sizeText(first.bytes)} in volumes, ${sizeText(stored)} stored`);

  say('changing 1 % of every volume, and protecting it again');
  const changed = await changeVolumes();
  const originals: Recorded[] = [];
  for (const { resource } of application.values()) originals.push(await record(siteA, paths.siteA, resource));
  const second = await follow('protect', await session.protect(plan.id));
  const added = (await bytesInBank()) - stored;
  const saved = Math.round((1 - added / stored) * 100);
  say(`  ${sizeText(changed)} changed, ${sizeText(added)} stored: ${saved} % less than the first time`);

  say('losing site A, and restoring to site B');
  await discard(paths.siteA);
  const kept: Recorded[] = [];
  for (const { to } of MAP.resources ?? []) kept.push(await record(siteB, paths.siteB, to));
  const restore = await session.restore(second.checkpoint, { to: siteB.name, map: MAP });
  const restored = await follow('restore', restore);
  const standIns: StandIn[] = [];
  for await (const standIn of session.jobs.standIns(restore.id)) standIns.push(standIn);

  say('comparing every byte and every description with what was recorded');
  const comparison = await compare({
    originals,
    kept,
    standIns,
    map: MAP,
    provider: siteB,
    site: paths.siteB,
  });
  const { resources, volumes, bytes } = comparison;
  if (resources !== restored.resources || volumes !== restored.volumes || bytes !== restored.bytes) {
    throw new Error('the restore says it made other resources than those that were found');
  }

  say('verifying the checkpoint, and removing the one before');
  await follow('verify ', await session.verify(second.checkpoint));
  await follow('remove ', await session.remove(first.checkpoint));
  await showCheckpoints(session);
  return comparison;
}

async function showCheckpoints(session: Session): Promise<void> {
  for await (const checkpoint of session.checkpoints.list()) {
    const when = 'createdAt' in checkpoint ? checkpoint.createdAt : 'unknown';
    say(`  ${checkpoint.id}  ${when}  ${checkpoint.state}`);
  }
}

try {
  const { resources, volumes, bytes, differences } = await demo();
  if (differences.length > 0) throw new Error(`what was restored differs: ${differences.join('; ')}`);
  say(`peak memory: ${sizeText(process.resourceUsage().maxRSS * 1024)}`);
  say(`restored ${resources} resources, ${volumes} volumes, ${bytes} bytes: identical`);
} catch (error) {
  const hint = FafnirError.is(error) ? `\n${error.code}: ${error.hint}` : '';
  console.error(`the demo failed: ${error instanceof Error ? error.message : String(error)}${hint}`);
  process.exitCode = 1;
}
