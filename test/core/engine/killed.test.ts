import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import pMap from 'p-map';
import { expect, it } from 'vitest';
import type { JobRecord, Session } from '../../../src/index.ts';
import { createEngine } from '../../../src/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { readVolume, SHOP, temporaryDirectory, writeShop } from './application.ts';
import { all, arraySnapshots, filesBelow, protect, providersIn, VOLUMES } from './world.ts';

const DOOMED = fileURLToPath(new URL('fixtures/doomed.ts', import.meta.url));
// Kills of each operation.
const MOMENTS = Number(process.env.FAFNIR_KILLS ?? 5);
const AT_ONCE = 4;
const SEED = 20_261_121;

/** Before or after the effect of a call, or so many milliseconds after it began. */
type Moment = 'before' | 'after' | number;

/** Runs an operation in a child process that kills itself at a moment; resolves with the calls of one that lives. */
async function doomed(path: string, operation: string, call: number, moment: Moment): Promise<number> {
  const child = spawn(process.execPath, [DOOMED, path, operation, String(call), String(moment)]);
  const [closed, output, errors] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ]);
  const [code, signal] = closed;
  if (signal === null && code !== 0) throw new Error(`the child failed by itself: ${errors}`);
  return Number(output);
}

/** Moments spread over the calls of an operation, the same in every run. */
function moments(calls: number): { readonly call: number; readonly moment: Moment }[] {
  let state = SEED;
  const chance = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: MOMENTS }, (_, at) => ({
    call: 1 + Math.floor(((at + chance()) * calls) / MOMENTS),
    moment: at % 3 === 0 ? 'before' : at % 3 === 1 ? 'after' : Math.floor(chance() * 8),
  }));
}

/** A fresh engine brings the jobs to their ends; what it leaves must be sound. True where it took one up. */
async function afterwards(
  path: string,
  check: (acme: Session, job: JobRecord) => Promise<void>,
): Promise<boolean> {
  await using engine = await createEngine({
    store: sqliteStore(join(path, 'fafnir.db')),
    providers: Object.values(providersIn(path)),
    leaseMilliseconds: 1_000,
  });
  const acme = engine.for({ tenant: 'acme', actor: 'survivor' });
  let tookUp = false;
  for await (const { id } of acme.jobs.list()) {
    await acme.jobs
      .handle(id)
      .result()
      .catch(() => undefined);
    const job = await acme.jobs.get(id);
    expect(['succeeded', 'failed']).toContain(job?.state);
    if (job === undefined) continue;
    tookUp ||= job.epoch > 1;
    await check(acme, job);
  }
  const counted = new Set<unknown>();
  for await (const { id, state } of acme.checkpoints.list()) {
    if (state !== 'available') continue;
    await (await acme.verify(id)).result();
    for (const { volume } of (await acme.checkpoints.get(id)).artifacts) {
      for (const { kind, reference } of volume?.copies ?? [])
        if (kind === 'array') counted.add(reference.name);
    }
  }
  const uncounted = (await arraySnapshots({ path })).filter(({ name }) => !counted.has(name));
  expect(uncounted).toEqual([]);
  return tookUp;
}

async function expectRestored(path: string): Promise<void> {
  for (const id of VOLUMES) {
    const [original, restored] = await Promise.all(
      ['a', 'b'].map((site) => readVolume(join(path, site), id)),
    );
    expect(original?.equals(restored ?? Buffer.of()), `bytes of ${id}`).toBe(true);
  }
}

it('a protect that is killed anywhere is finished by the next engine', async () => {
  await using directory = await temporaryDirectory();
  const template = join(directory.path, 'template');
  await writeShop(join(template, 'a'));
  const whole = join(directory.path, 'whole');
  await cp(template, whole, { recursive: true });
  const calls = await doomed(whole, 'protect', 0, 'before');
  expect(calls).toBeGreaterThan(MOMENTS);
  const tookUp = await pMap(
    moments(calls),
    async ({ call, moment }) => {
      const path = join(directory.path, String(call));
      await cp(template, path, { recursive: true });
      const before = await filesBelow(join(path, 'a', 'volumes'));
      await doomed(path, 'protect', call, moment);
      const tookUp = await afterwards(path, async (acme, job) => {
        if (job.operation !== 'protect') return;
        const available = await all(acme.checkpoints.list());
        expect(available.map(({ state }) => state)).toEqual(job.state === 'succeeded' ? ['available'] : []);
      });
      expect(await filesBelow(join(path, 'a', 'volumes'))).toEqual(before);
      return tookUp;
    },
    { concurrency: AT_ONCE },
  );
  // How many calls there are hangs on how busy the machine is, so that some may live.
  expect(tookUp.filter(Boolean).length).toBeGreaterThan(MOMENTS / 2);
});

it('a restore that is killed anywhere is finished by the next engine, byte for byte', async () => {
  await using directory = await temporaryDirectory();
  const template = join(directory.path, 'template');
  await writeShop(join(template, 'a'));
  {
    await using engine = await createEngine({
      store: sqliteStore(join(template, 'fafnir.db')),
      providers: Object.values(providersIn(template)),
    });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    await protect({ acme, plan });
  }
  const whole = join(directory.path, 'whole');
  await cp(template, whole, { recursive: true });
  const calls = await doomed(whole, 'restore', 0, 'before');
  expect(calls).toBeGreaterThan(MOMENTS);
  await expectRestored(whole);
  const tookUp = await pMap(
    moments(calls),
    async ({ call, moment }) => {
      const path = join(directory.path, String(call));
      await cp(template, path, { recursive: true });
      await doomed(path, 'restore', call, moment);
      const tookUp = await afterwards(path, async (_acme, job) => {
        if (job.operation !== 'restore') return;
        if (job.state === 'succeeded') await expectRestored(path);
        else expect(await filesBelow(join(path, 'b'))).toEqual({});
      });
      return tookUp;
    },
    { concurrency: AT_ONCE },
  );
  // How many calls there are hangs on how busy the machine is, so that some may live.
  expect(tookUp.filter(Boolean).length).toBeGreaterThan(MOMENTS / 2);
});
