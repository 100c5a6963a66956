import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VOLUMES } from './application.ts';
import { judgeAudit } from './audit.ts';
import type { Case, Verdict } from './case.ts';
import { Harness } from './harness.ts';
import { localSite } from './local-site.ts';
import { look } from './look.ts';
import { figuresOf, renderVerdict } from './report.ts';
import { runCrash } from './run.ts';
import { type Places, sampleCases, shardOf } from './sample.ts';
import { filesStorage, plainArray } from './files-storage.ts';
import { sqliteCases } from './sqlite-cases.ts';
import { pathsOf } from './paths.ts';
import { SCENARIOS, scenarioOf } from './scenario.ts';

/** Many processes, on a machine that may have other things to do. */
const SLOW = 240_000;

let harness: Harness;
let places: Places;

beforeAll(async () => {
  harness = await Harness.open(localSite(filesStorage));
  places = await harness.places();
}, SLOW);
afterAll(async () => {
  await harness[Symbol.asyncDispose]();
});

async function verdictsOf(cases: readonly Case[]): Promise<readonly Verdict[]> {
  return await harness.run(cases, () => undefined);
}

const broken = (verdicts: readonly Verdict[]): readonly string[] =>
  verdicts.filter(({ problems }) => problems.length > 0).map((one) => renderVerdict(one, harness.site));

const KILLS: readonly (readonly [scenario: string, at: string])[] = [
  ['protect', 'store.enqueue after'],
  ['protect', 'a.Local::Server.quiescing.quiesce after'],
  ['protect', 'a.array.snapshot after'],
  ['protect', 'a.array.remove before'],
  ['protect', 'bank.put commits before'],
  ['protect', 'bank.put commits after'],
  ['protect', 'store.append result commit before'],
  ['protect', 'store.append result commit after'],
  ['protect', 'store.finish after'],
  ['protect-again', 'bank.put manifests after'],
  ['restore', 'b.Local::Volume.create after'],
  ['restore', 'b.array.target.openForWrite.write after'],
  ['restore-joined', 'b.Local::Server.probe before'],
  ['restore-joined', 'b.Local::Server.probe after'],
  ['restore-probed-cancelled', 'store.requestCancel after'],
  ['restore-in-place', 'bank.put commits after'],
  ['restore-in-place', 'a.array.target.openForWrite.write after'],
  ['restore-in-place-reverted', 'a.array.revert after'],
  ['restore-cloned', 'a.array.clone after'],
  ['restore-copied', 'a.array.open after'],
  ['restore-copied-cancelled', 'a.array.open after'],
  ['archive-copied-cancelled', 'store.requestCancel after'],
  ['restore-outside', 'outside.held after'],
  ['verify-outside-cancelled', 'outside.held after'],
  ['remove', 'bank.put addenda before'],
  ['schedule-late', 'store.schedules.advance before'],
  ['schedule-late', 'store.schedules.advance after'],
  ['schedule-queued', 'store.schedules.advance after'],
  ['schedule-event', 'store.schedules.advance after'],
  ['adopt', 'a.array.find after'],
  ['adopt', 'bank.put commits after'],
  ['adopt-cancelled', 'store.requestCancel after'],
  ['adopt-copied-cancelled', 'store.requestCancel after'],
  ['protect-cancelled', 'store.requestCancel after'],
  ['restore-cancelled', 'b.Local::Server.remove after'],
];

const ZOMBIES: readonly (readonly [scenario: string, at: string])[] = [
  ['protect', 'store.append intent commit before'],
  ['protect', 'store.append result commit before'],
  ['restore', 'b.Local::Server.create after'],
  ['restore-in-place', 'a.array.target.openForWrite.write before'],
  ['restore-in-place-reverted', 'a.array.revert before'],
  ['protect-cancelled', 'a.array.open before'],
  ['protect-cancelled', 'store.append intent snapshot before'],
  // A part of a job that is another worker's by then.
  ['protect-again', 'store.enqueue before#2'],
];

describe('an engine whose processes die', { timeout: SLOW }, () => {
  it('ends right, wherever the worker was killed', async () => {
    const verdicts = await verdictsOf([
      ...KILLS.map(([scenario, at]) => ({ scenario, at, kind: 'kill' as const })),
      { scenario: 'protect', at: 'bank.put manifests before', kind: 'double-kill', second: 30 },
      { scenario: 'protect-again', at: 'bank.put commits after', kind: 'lost-database' },
    ]);
    expect(broken(verdicts)).toEqual([]);
    expect(verdicts.flatMap(({ struck }) => struck)).toHaveLength(KILLS.length + 3);
  });

  it('is not disturbed by a worker that stops and goes on', async () => {
    const verdicts = await verdictsOf([
      ...ZOMBIES.map(([scenario, at]) => ({
        scenario,
        at,
        kind: 'zombie' as const,
        second: 20,
      })),
      { scenario: 'protect', at: 'bank.put commits before', kind: 'late-effect' },
    ]);
    expect(broken(verdicts)).toEqual([]);
    expect(verdicts.every(({ struck }) => struck.length > 0)).toBe(true);
  });
});

describe('a store that does not compare epochs', () => {
  it('is caught', async () => {
    const verdicts = await verdictsOf([
      {
        scenario: 'verify',
        at: 'a.array.find after',
        kind: 'zombie',
        second: 'bank.get data before',
        mutant: true,
      },
    ]);
    expect(verdicts.flatMap(({ problems }) => problems)).toContainEqual({
      count: 'zombies not fenced',
      text: expect.any(String),
    });
    expect(figuresOf(verdicts, 0).find(({ name }) => name.includes('mutant'))).toMatchObject({ met: true });
  });
});

describe('the look afterwards', () => {
  const unstruck = { storage: filesStorage, jobs: sqliteCases, told: [], lost: false, patience: 200 };

  async function lookAt(
    spoil: (directory: string) => Promise<void>,
    scenario = 'protect-again',
  ): Promise<readonly string[]> {
    const directory = await mkdtemp(join(tmpdir(), 'fafnir-crash-'));
    try {
      await harness.site.prepare(scenarioOf(scenario), directory);
      await writeFile(join(directory, 'ledger.jsonl'), '');
      await spoil(directory);
      return (await look(directory, unstruck)).map(({ count }) => count);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  it('finds nothing where nothing happened', async () => {
    expect(await lookAt(() => Promise.resolve())).toEqual([]);
  });

  it('sees a checkpoint that was lost', async () => {
    const commits = (directory: string): string => join(pathsOf(directory).bank, 'acme', 'commits');
    expect(await lookAt((directory) => rm(commits(directory), { recursive: true }))).toContain(
      'lost commits',
    );
  });

  it('sees a pack that was lost', async () => {
    const packs = (directory: string): string => join(pathsOf(directory).bank, 'acme', 'data');
    expect(await lookAt((directory) => rm(packs(directory), { recursive: true }))).toEqual(['lost commits']);
  });

  it('sees a snapshot that no checkpoint lists', async () => {
    const snapshot = async (directory: string): Promise<void> => {
      const volume = { array: 'files', id: 'db-root', size: 1 };
      const array = plainArray(pathsOf(directory).application);
      await array.snapshot([volume], 'stray', { signal: new AbortController().signal });
    };
    expect(await lookAt(snapshot)).toEqual(['orphans']);
  });

  it('sees a copy that was made to be read', async () => {
    const copy = async (directory: string): Promise<void> => {
      const { copies } = pathsOf(directory);
      await mkdir(copies);
      await writeFile(join(copies, 'reader'), '');
    };
    expect(await lookAt(copy)).toEqual(['orphans']);
  });

  it('sees that a snapshot is gone that a checkpoint counts on', async () => {
    const snapshots = (directory: string): string => join(pathsOf(directory).application, 'snapshots');
    const gone = (directory: string): Promise<void> => rm(snapshots(directory), { recursive: true });
    expect(await lookAt(gone)).toEqual(Object.keys(VOLUMES).map(() => 'lost commits'));
  });

  it('sees ticks that nobody dealt with', async () => {
    expect(await lookAt(() => Promise.resolve(), 'schedule-late')).toContain('wrong ends');
  });

  it('sees an event that nobody recorded', async () => {
    expect(await lookAt(() => Promise.resolve(), 'schedule-event')).toContain('wrong ends');
  });

  it('sees a resource that no restore accounts for', async () => {
    const stray = (directory: string): string => join(pathsOf(directory).destination, 'stray.json');
    expect(await lookAt((directory) => writeFile(stray(directory), '{}'))).toEqual(['wrong ends']);
  });

  it('sees a usage record that was lost', async () => {
    const forget = async (directory: string): Promise<void> => {
      using database = new DatabaseSync(pathsOf(directory).store);
      database.exec('UPDATE jobs SET usage = NULL WHERE parent IS NULL');
    };
    expect(await lookAt(forget)).toContain('wrong ends');
  });

  it('sees an audit record that was lost, or written twice', async () => {
    const edit =
      (sql: string) =>
      async (directory: string): Promise<void> => {
        using database = new DatabaseSync(pathsOf(directory).store);
        database.exec(sql);
      };
    const lost = edit('DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)');
    expect(await lookAt(lost)).toContain('wrong ends');
    const twice = edit(`INSERT INTO audit SELECT chain, number + 1, at, hash, record FROM audit
      ORDER BY number DESC LIMIT 1`);
    expect(await lookAt(twice)).toContain('wrong ends');
  });

  it('sees a checkpoint of which the audit never told, or told twice', async () => {
    const job = { id: 'c1', parent: 'r1', operation: 'protect', state: 'succeeded' } as never;
    const told = { action: 'checkpoint.committed', object: { checkpoint: 'c1' } } as never;
    expect(await judgeAudit([], [job])).toEqual([expect.stringMatching(/tells 0 times of checkpoint c1/)]);
    expect(await judgeAudit([told, told], [job])).toContainEqual(
      expect.stringMatching(/tells 2 times of checkpoint c1/),
    );
    expect(await judgeAudit([told], [])).toContainEqual(expect.stringMatching(/c1, which no job makes/));
  });

  it('sees a pause that did not end', async () => {
    const paused = (directory: string): string => join(pathsOf(directory).paused, 'web');
    expect(await lookAt((directory) => writeFile(paused(directory), ''))).toEqual(['pauses left']);
  });

  it('sees that the protected site was changed', async () => {
    const record = (directory: string): string =>
      join(pathsOf(directory).application, 'networks', 'net.json');
    expect(await lookAt((directory) => appendFile(record(directory), ' '))).toEqual(['wrong ends']);
  });

  it('sees an effect that a worker ran twice, and one that was made again', async () => {
    const line = { worker: 1, effect: 'a.array.snapshot', name: 'one' };
    const write = async (directory: string): Promise<void> => {
      for (const result of ['first', 'second']) {
        for (const entry of [
          { ...line, time: 'before' },
          { ...line, time: 'after', result },
        ]) {
          await appendFile(join(directory, 'ledger.jsonl'), `${JSON.stringify(entry)}\n`);
        }
      }
    };
    expect(await lookAt(write)).toEqual(['effects more than twice', 'effects more than twice']);
  });
});

describe('a sample', () => {
  const size = { kills: 30, doubleKills: 4, lostDatabases: 4, zombies: 8, lateEffects: 8, mutants: 2 };

  it('is the same for the same seed, and another for another', () => {
    expect(sampleCases(places, size, 7)).toEqual(sampleCases(places, size, 7));
    expect(sampleCases(places, size, 7)).not.toEqual(sampleCases(places, size, 8));
  });

  it('reaches every scenario', () => {
    const reached = new Set(sampleCases(places, { ...size, kills: 1 }, 7).map(({ scenario }) => scenario));
    expect([...reached].sort()).toEqual(SCENARIOS.files.map(({ name }) => name).sort());
  });

  it('is divided into shards that are all of it', () => {
    const cases = sampleCases(places, size, 7);
    const shards = [1, 2, 3].map((number) => shardOf(cases, { number, of: 3 }));
    expect(new Set(shards.flat())).toEqual(new Set(cases));
    expect(shards.flat()).toHaveLength(cases.length);
  });

  it('of all deaths has every boundary once, and those are many', () => {
    const kills = sampleCases(places, { ...size, kills: 'all' }, 7).filter(({ kind }) => kind === 'kill');
    expect(kills).toHaveLength([...places.values()].flat().length);
    expect(kills.length).toBeGreaterThanOrEqual(400);
    expect(new Set(kills.map(({ scenario, at }) => `${scenario} ${at}`)).size).toBe(kills.length);
  });
});

describe('the command line', () => {
  it('runs one case again, by its number', async () => {
    const lines: string[] = [];
    expect(await runCrash(['--scenario', 'verify', '--at', '10'], (line) => lines.push(line))).toBe(0);
    expect(lines.join('\n')).toMatch(/^verify, kill at 10 .*\n {2}again: npm run crash -- --scenario verify/);
  });

  it.each([
    [['--scenario', 'nothing', '--at', '1'], /no scenario nothing; there are protect, /],
    [['--scenario', 'verify', '--kind', 'nothing', '--at', '1'], /no kind nothing; there are kill, /],
    [['--scenario', 'nothing'], /no scenario nothing; there are protect, /],
    [['--scenario', 'verify', '--kind', 'zombie'], /need --at/],
    [['--store', 'none'], /no store none; there are sqlite, postgres/],
    [['--seed', 'x'], /whole number/],
    [['--site', 'nowhere'], /no site nowhere; there are files, rbd/],
  ])('refuses %j', async (commandLine, reason) => {
    await expect(runCrash(commandLine, () => undefined)).rejects.toThrow(reason);
  });
});
