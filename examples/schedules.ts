import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, createEngine, defineProvider, type ScheduleTick } from 'fafnir';
import { filesystemBank } from 'fafnir/banks/filesystem';
import { createKeyFile, keyFile } from 'fafnir/keys/file';
import { local } from 'fafnir/providers/local';
import { sqliteStore } from 'fafnir/stores/sqlite';

// An application of one volume, and a provider for the directory that it lives in.
const directory = process.argv[2] ?? (await mkdtemp(join(tmpdir(), 'fafnir-')));
const root = join(directory, 'a');
await mkdir(join(root, 'volumes'), { recursive: true });
await writeFile(join(root, 'volumes', 'disk.raw'), 'hello '.repeat(100_000));
await createKeyFile({ path: join(directory, 'keys.json') });
const keys = keyFile({ path: join(directory, 'keys.json') });
const banks = [{ bank: filesystemBank(join(directory, 'bank')), keys, role: 'primary' as const }];
const gold = defineProvider({ name: 'gold', site: 'a', parts: [local({ root })], banks });

// Two days pass in moments: the clock jumps where this program says so.
let ahead = 0;
const clock: Clock = {
  now: () => Date.now() + ahead,
  monotonic: () => performance.now(),
  sleep: async (milliseconds, { signal }) => {
    await sleep(Math.min(milliseconds, 20), undefined, { signal });
  },
};
const store = sqliteStore(join(directory, 'fafnir.db'));
await using engine = await createEngine({ store, providers: [gold], clock });
const acme = engine.for({ tenant: 'acme', actor: 'me' });
const resources = [{ type: 'Local::Volume', id: 'disk' }];
const plan = await acme.plans.create({ name: 'disk', provider: 'gold', resources });

// Every night by the clock of Berlin, at a minute of its own, and once before an upgrade.
const nightly = await acme.schedules.create({
  plan: plan.id,
  when: { cron: '30 2 * * *', timeZone: 'Europe/Berlin', jitter: 15 * 60_000 },
});
for (const site of [undefined, 'a']) {
  // The second night is an incident: the operator has the whole site stand still.
  if (site !== undefined) await engine.schedules.pause({ site });
  const ticked = new Promise<ScheduleTick>((resolve) => {
    engine.on('schedule.tick', ({ tick }) => resolve(tick));
  });
  const { wakeAt } = (await acme.schedules.get(nightly.id)) ?? nightly;
  ahead = (wakeAt ?? 0) - Date.now();
  const tick = await ticked;
  // A tick is missed while the job of the one before is open.
  if (tick.state === 'fired') await acme.jobs.handle(tick.job).result();
}
await engine.schedules.resume({ site: 'a' });
await acme.schedules.fire(nightly.id, { event: 'before upgrade 7' });
for await (const tick of acme.schedules.ticks(nightly.id)) {
  const what = tick.event ?? 'night';
  if (tick.state === 'missed') console.log(`${what}: missed, ${tick.reason}`);
  else console.log(`${what}: ${JSON.stringify(await acme.jobs.handle(tick.job).result())}`);
}
