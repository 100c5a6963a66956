import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { Clock, Dispatcher } from '../../../src/core/contracts/index.ts';
import { pgBossDispatcher } from '../../../src/dispatchers/pg-boss.ts';
import { createEngine } from '../../../src/index.ts';
import { postgresStore } from '../../../src/stores/postgres.ts';
import { postgresLab } from '../../lab/postgres/postgres.ts';
import { freshSchema, query, run } from '../../lab/postgres/schemas.ts';
import { collected } from '../archive/volume/sparse.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { providersIn } from './world.ts';

const { url = '', skipped } = postgresLab();
const on = it.skipIf(skipped !== undefined);
const why = skipped ? ` (${skipped})` : '';
const name = `jobs asked for in a transaction of the host are run once it commits, by any of several hosts`;

on(`${name}${why}`, async () => {
  await using directory = await temporaryDirectory();
  await writeShop(join(directory.path, 'a'));
  const schema = await freshSchema(url);
  const store = () => postgresStore({ url, schema: schema.name, connections: 3 });
  const providers = () => Object.values(providersIn(directory.path)).slice(0, 1);
  try {
    const owner = store();
    await using asking = await createEngine({ store: owner, providers: providers(), worker: false });
    const frontend = asking.for({ tenant: 'acme', actor: 'frontend' });
    const plan = await frontend.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const within = (end: string, times: number) =>
      query(url, async (client) => {
        await client.query('BEGIN');
        await using engine = await createEngine({
          store: owner.within(client),
          providers: providers(),
          worker: false,
        });
        const session = engine.for({ tenant: 'acme', actor: 'host' });
        const asked = [];
        for (let time = 0; time < times; time += 1) asked.push((await session.protect(plan.id)).id);
        await client.query(end);
        return asked;
      });
    await within('ROLLBACK', 2);
    expect(await collected(frontend.jobs.list())).toEqual([]);
    const asked = await within('COMMIT', 3);
    expect((await collected(frontend.jobs.list({ state: 'queued' }))).map(({ id }) => id)).toEqual(asked);

    await using _first = await createEngine({ store: store(), providers: providers() });
    await using _second = await createEngine({ store: store(), providers: providers() });
    for (const id of asked) await frontend.jobs.handle(id).result();
    const ended = await collected(frontend.jobs.list());
    expect(ended.map(({ id, state, actor }) => [id, state, actor])).toEqual(
      asked.map((id) => [id, 'succeeded', 'host']),
    );
    expect(await collected(frontend.checkpoints.list({ plan: plan.id }))).toHaveLength(3);
  } finally {
    await schema.drop();
  }
});

/** The pause after which a worker looks by itself never ends. */
const unlooking: Clock = {
  ...systemClock,
  sleep: (milliseconds, call) => systemClock.sleep(milliseconds === 500 ? 3_600_000 : milliseconds, call),
};

const DISPATCHERS: readonly [string, (schema: string) => { dispatcher?: Dispatcher }][] = [
  ['NOTIFY', () => ({})],
  ['pg-boss', (schema) => ({ dispatcher: pgBossDispatcher({ url, schema: `${schema}_boss` }) })],
];

on.each(DISPATCHERS)(`%s alone makes a worker of another process begin a job${why}`, async (_, dispatch) => {
  await using directory = await temporaryDirectory();
  await writeShop(join(directory.path, 'a'));
  const schema = await freshSchema(url);
  const store = () => postgresStore({ url, schema: schema.name, connections: 3, ...dispatch(schema.name) });
  const { gold } = providersIn(directory.path);
  try {
    await using _worker = await createEngine({ store: store(), providers: [gold], clock: unlooking });
    await using asking = await createEngine({ store: store(), providers: [gold], worker: false });
    const frontend = asking.for({ tenant: 'acme', actor: 'frontend' });
    const plan = await frontend.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    for (const _ of [1, 2]) {
      const { checkpoint } = await (await frontend.protect(plan.id)).result();
      expect(checkpoint).toBeDefined();
    }
  } finally {
    await schema.drop();
    await run(url, `DROP SCHEMA IF EXISTS ${schema.name}_boss CASCADE`);
  }
});
