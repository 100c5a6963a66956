import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryStore } from '../../src/stores/memory.ts';
import { postgresStore } from '../../src/stores/postgres.ts';
import { openDatabase } from '../../src/stores/sqlite/open.ts';
import { sqliteStore } from '../../src/stores/sqlite.ts';
import { freshSchema, query } from '../lab/postgres/schemas.ts';
import { postgresLab } from '../lab/postgres/postgres.ts';
import { BROKEN_STORES, soundLeases } from '../testing/broken-stores.ts';
import { commandLists, compareAll, emptyWorld, type Stores } from './model/commands.ts';

const USUAL_RUNS = 300;
/** For a night: FAFNIR_MODEL_RUNS=20000. */
const RUNS = Number(process.env.FAFNIR_MODEL_RUNS ?? USUAL_RUNS);
/** So that a double which is found today is found tomorrow. */
const SEED = 20_260_101;

let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fafnir-model-'));
});

afterAll(() => rm(directory, { recursive: true }));

type Endings = Map<string, number>;

/** The property that stores answer every list of commands as the plain model does. */
function agreeing(stores: () => Stores, endings: Endings = new Map()) {
  return fc.asyncProperty(commandLists, async (commands) => {
    const world = emptyWorld(endings);
    const real = stores();
    await fc.asyncModelRun(() => ({ model: world, real }), commands);
    await compareAll(world, real);
  });
}

/** What must have happened in a run that tried everything. */
const ENDINGS = [
  ...['enqueue: something', 'enqueue: ALREADY_EXISTS', 'enqueue: FENCED'],
  ...['claim: something', 'claim: undefined'],
  ...['heartbeat: something', 'heartbeat: FENCED'],
  ...['acquire: undefined', 'acquire: something', 'acquire: FENCED'],
  ...['postpone: undefined', 'postpone: FENCED'],
  ...['append: undefined', 'append: JOURNAL_MISMATCH', 'append: FENCED'],
  ...['finish: undefined', 'finish: FENCED'],
  ...['requestCancel: true', 'requestCancel: false'],
  'usage: something',
];

describe('the model of job stores', () => {
  it('agrees with memory and SQLite on the same commands', { timeout: 60_000 + RUNS * 200 }, async () => {
    const path = join(directory, 'fafnir.db');
    await using sqlite = sqliteStore(path);
    const clearing = openDatabase(path);
    const stores = (): Stores => {
      clearing.exec('DELETE FROM resource_leases; DELETE FROM segments; DELETE FROM jobs');
      return new Map([
        ['memory', memoryStore()],
        ['sqlite', sqlite],
      ]);
    };
    const endings: Endings = new Map();
    try {
      await fc.assert(agreeing(stores, endings), { numRuns: RUNS });
    } finally {
      clearing.close();
    }
    expect([...endings.keys()].sort()).toEqual(ENDINGS.sort());
  });

  const { url = '', skipped } = postgresLab();
  const name = `agrees with PostgreSQL on the same commands${skipped ? ` (${skipped})` : ''}`;
  it.skipIf(skipped !== undefined)(name, { timeout: 120_000 + RUNS * 1_000 }, async () => {
    const { name: schema, drop } = await freshSchema(url);
    await using postgres = postgresStore({ url, schema });
    await postgres.installation();
    try {
      await query(url, async (clearing) => {
        const emptied = fc.asyncProperty(commandLists, async (commands) => {
          await clearing.query(
            `SET search_path = ${schema}; DELETE FROM resource_leases; DELETE FROM steps; DELETE FROM jobs`,
          );
          const world = emptyWorld(new Map());
          const real: Stores = new Map([['postgres', postgres]]);
          await fc.asyncModelRun(() => ({ model: world, real }), commands);
          await compareAll(world, real);
        });
        await fc.assert(emptied, { numRuns: RUNS / 5 });
      });
    } finally {
      await drop();
    }
  });

  it('agrees with a sound double', async () => {
    await fc.assert(
      agreeing(() => new Map([['double', soundLeases()]])),
      { numRuns: 100, seed: SEED },
    );
  });

  it.each(BROKEN_STORES)('finds a store that forgets $forgets', async ({ create }) => {
    const property = agreeing(() => new Map([['double', create()]]));
    const found = await fc.check(property, { numRuns: USUAL_RUNS, seed: SEED });
    expect(String(found.errorInstance)).toMatch(/^AssertionError: double, /);
  });
});
