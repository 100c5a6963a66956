import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { filesystemBank } from '../src/banks/filesystem.ts';
import { createEngine, defineProvider } from '../src/index.ts';
import { local } from '../src/providers/local.ts';
import { memoryStore } from '../src/stores/memory.ts';
import { memoryKeys } from '../src/testing/memory-keys.ts';
import type { Figure } from './figure.ts';

const run$ = promisify(execFile);
const ROUNDS = 3;
const MEBIBYTE = 1024 * 1024;
const VOLUMES = ['a', 'b'];
const VOLUME_SIZE = 256 * MEBIBYTE;

/**
 * Protecting two volumes of 256 MiB, half full of the machine's own programs, into a directory bank, beside
 * `zstd -1` and `cp` of the same files. Every step of ours includes reading back what was written.
 */
export async function run(): Promise<readonly Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'fafnir-bench-'));
  try {
    const site = join(directory, 'a');
    await makeSite(site);
    const seconds: Record<string, number[]> = {};
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [name, taken] of Object.entries(await measure(directory, site, round))) {
        seconds[name] = [...(seconds[name] ?? []), taken];
      }
    }
    const median = (name: string): number =>
      (seconds[name] ?? []).toSorted((a, b) => a - b)[ROUNDS >> 1] ?? NaN;
    const figure = (name: string, ours: string, rival: string): Figure => ({
      name,
      value: median(ours),
      unit: 's',
      rival,
      ratio: median(ours) / median(rival),
      goal: null,
      met: null,
      rounds: ROUNDS,
    });
    return [
      figure('full', 'protect', 'zstd -1 && sync'),
      figure('unchanged', 'protect again', 'zstd -1 && sync'),
      figure('1 % changed', 'protect changed', 'zstd -1 && sync'),
      figure('restore', 'restore', 'cp --sparse=always && sync'),
      figure('verify', 'verify', 'zstd -t'),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(directory: string, site: string, round: number): Promise<Record<string, number>> {
  const bank = filesystemBank(join(directory, `bank-${round}`));
  const banks = [{ bank, keys: memoryKeys(), role: 'primary' as const }];
  const gold = defineProvider({ name: 'gold', site: 'a', parts: [local({ root: site })], banks });
  const target = join(directory, `b-${round}`);
  await mkdir(target);
  const silver = defineProvider({ name: 'silver', site: 'b', parts: [local({ root: target })], banks });
  await using engine = await createEngine({ store: memoryStore(), providers: [gold, silver] });
  const tenant = engine.for({ tenant: 'bench', actor: 'bench' });
  const resources = VOLUMES.map((id) => ({ type: 'Local::Volume', id }));
  const plan = await tenant.plans.create({ name: 'volumes', provider: 'gold', resources });
  const protect = async (): Promise<void> => {
    await (await tenant.protect(plan.id)).result();
  };
  const taken: Record<string, number> = {
    protect: await timed(protect),
    'protect again': await timed(protect),
  };
  await changeOnePercent(site, round);
  taken['protect changed'] = await timed(protect);
  let newest = '' as Parameters<typeof tenant.restore>[0];
  for await (const { id } of tenant.checkpoints.list()) newest = id;
  taken.restore = await timed(async () => {
    await (await tenant.restore(newest, { to: 'silver' })).result();
  });
  taken.verify = await timed(async () => {
    await (await tenant.verify(newest)).result();
  });
  const files = VOLUMES.map((id) => join(site, 'volumes', `${id}.raw`));
  const packed = join(directory, `packed-${round}`);
  await mkdir(packed);
  const zst = files.map((_, at) => join(packed, `${at}.zst`));
  taken['zstd -1 && sync'] = await timed(async () => {
    for (const [at, file] of files.entries())
      await run$('zstd', ['-1', '-T2', '-q', '-f', file, '-o', zst[at] ?? '']);
    await run$('sync');
  });
  taken['zstd -t'] = await timed(async () => {
    await run$('zstd', ['-t', '-q', ...zst]);
  });
  taken['cp --sparse=always && sync'] = await timed(async () => {
    await run$('cp', ['--sparse=always', ...files, packed]);
    await run$('sync');
  });
  await Promise.all(
    [packed, target, join(directory, `bank-${round}`)].map((path) => rm(path, { recursive: true })),
  );
  return taken;
}

async function timed(work: () => Promise<void>): Promise<number> {
  // What earlier work left to be written would otherwise be paid for here.
  await run$('sync');
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

async function makeSite(site: string): Promise<void> {
  await mkdir(join(site, 'volumes'), { recursive: true });
  const programs = (await readdir('/usr/bin')).sort().map((name) => join('/usr/bin', name));
  for (const id of VOLUMES) {
    const path = join(site, 'volumes', `${id}.raw`);
    await writeFile(path, '');
    await using volume = await open(path, 'r+');
    let filled = 0;
    while (filled < VOLUME_SIZE / 2) {
      const program = programs.shift();
      if (program === undefined) break;
      const facts = await stat(program);
      if (!facts.isFile() || facts.size > 16 * MEBIBYTE) continue;
      await using file = await open(program);
      await volume.write(await file.readFile(), 0, null, filled);
      filled += facts.size;
    }
    await volume.truncate(VOLUME_SIZE);
  }
}

async function changeOnePercent(site: string, round: number): Promise<void> {
  const run = Buffer.alloc(MEBIBYTE, `changed in round ${round} `);
  for (const id of VOLUMES) {
    await using volume = await open(join(site, 'volumes', `${id}.raw`), 'r+');
    for (let at = 0; at < VOLUME_SIZE; at += 100 * MEBIBYTE)
      await volume.write(run, 0, run.length, at + 4096);
  }
}
