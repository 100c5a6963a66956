import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { renderTable } from '../../bench/run.ts';
import { type Case, KINDS, type Verdict } from './case.ts';
import { caseStoreOf, type StoreName, STORES } from './case-store.ts';
import { Harness } from './harness.ts';
import { figuresOf, renderVerdict } from './report.ts';
import { type Shard, type Size, sampleCases, shardOf } from './sample.ts';
import { scenarioOf } from './scenario.ts';
import { type SiteName, SITES } from './site.ts';
import { siteOf } from './sites.ts';

const SAMPLE: Size = {
  kills: 100,
  doubleKills: 16,
  lostDatabases: 12,
  zombies: 20,
  lateEffects: 20,
  mutants: 6,
};
const FULL: Size = {
  kills: 'all',
  doubleKills: 120,
  lostDatabases: 80,
  zombies: 'all',
  lateEffects: 'all',
  mutants: 8,
};
// What a zombie does is told by the job store, whatever the site: there, processes die.
const DEATHS_ALONE = { lostDatabases: 0, zombies: 0, lateEffects: 0, mutants: 0 };
/** What is run, and how many deaths that must have. */
const SIZES: Readonly<Record<SiteName, Record<'sample' | 'full', readonly [Size, deaths: number]>>> = {
  files: { sample: [SAMPLE, 100], full: [FULL, 400] },
  rbd: {
    sample: [{ ...DEATHS_ALONE, kills: 40, doubleKills: 8 }, 40],
    full: [{ ...DEATHS_ALONE, kills: 'all', doubleKills: 80 }, 400],
  },
  // A case takes as long as a cloud takes to make servers.
  openstack: {
    // More than there must be: what a cloud is asked for hangs on how fast it is, and some places are not met again.
    sample: [{ ...DEATHS_ALONE, kills: 6, doubleKills: 0 }, 5],
    full: [{ ...DEATHS_ALONE, kills: 36, doubleKills: 6 }, 30],
  },
};

type Print = (line: string) => void;

/** Runs what the command line asks for. Resolves with the exit code: 1 where a goal was missed. */
export async function runCrash(commandLine: readonly string[], print: Print): Promise<number> {
  const { values } = parseArgs({
    args: [...commandLine],
    options: {
      site: { type: 'string', default: 'files' },
      store: { type: 'string', default: 'sqlite' },
      full: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      shard: { type: 'string', default: '1/1' },
      json: { type: 'boolean', default: false },
      scenario: { type: 'string', multiple: true, default: [] },
      kind: { type: 'string' },
      at: { type: 'string' },
      second: { type: 'string' },
      mutant: { type: 'boolean', default: false },
    },
  });
  const site = parseSite(values.site);
  await using harness = await Harness.open(siteOf(site, caseStoreOf(parseStore(values.store))));
  const { scenario: scenarios, at } = values;
  if (at !== undefined) return await runOne(harness, parseCase({ kind: 'kill', ...values, at }), print);
  if (values.kind !== undefined || values.second !== undefined || values.mutant)
    throw new Error('--kind, --second and --mutant need --at, the number or the place of a boundary');
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error('--seed needs a whole number');
  const shard = parseShard(values.shard);
  const [size, deaths] = SIZES[site][values.full ? 'full' : 'sample'];
  const cases = shardOf(sampleCases(await harness.places(scenarios), size, seed), shard);
  print(`${cases.length} cases, seed ${seed}, shard ${shard.number} of ${shard.of}`);
  const verdicts = await harness.run(cases, (verdict) => {
    if (isBroken(verdict)) print(renderVerdict(verdict, harness.site));
  });
  const figures = figuresOf(verdicts, Math.floor(deaths / shard.of));
  print(renderTable(figures));
  if (values.json) print(JSON.stringify({ figures }));
  return figures.some(({ met }) => met === false) ? 1 : 0;
}

function parseShard(text: string): Shard {
  const [number = 0, of = 0] = /^\d+\/\d+$/.test(text) ? text.split('/').map(Number) : [];
  if (number < 1 || number > of) throw new Error('--shard needs two numbers such as 1/3');
  return { number, of };
}

function parseSite(text: string): SiteName {
  const site = SITES.find((one) => one === text);
  if (site !== undefined) return site;
  throw new Error(`no site ${text}; there are ${SITES.join(', ')}`);
}

function parseStore(text: string): StoreName {
  const store = STORES.find((one) => one === text);
  if (store !== undefined) return store;
  throw new Error(`no store ${text}; there are ${STORES.join(', ')}`);
}

const isBroken = ({ case: { mutant }, problems }: Verdict): boolean => mutant !== true && problems.length > 0;

async function runOne(harness: Harness, one: Case, print: Print): Promise<number> {
  const [verdict] = await harness.run([one], (given) => print(renderVerdict(given, harness.site)));
  return verdict?.problems.length === 0 ? 0 : 1;
}

function parseCase(given: {
  scenario: readonly string[];
  kind: string;
  at: string;
  second?: string;
  mutant: boolean;
}): Case {
  const { name: scenario } = scenarioOf(given.scenario.join(' '));
  const kind = KINDS.find((one) => one === given.kind);
  if (kind === undefined) throw new Error(`no kind ${given.kind}; there are ${KINDS.join(', ')}`);
  return {
    scenario,
    kind,
    at: boundaryOf(given.at),
    mutant: given.mutant,
    ...(given.second === undefined ? {} : { second: boundaryOf(given.second) }),
  };
}

const boundaryOf = (text: string): string | number => (/^\d+$/.test(text) ? Number(text) : text);

const here = fileURLToPath(import.meta.url);
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === here) {
  process.exitCode = await runCrash(process.argv.slice(2), console.log);
}
