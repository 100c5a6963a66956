import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openHost, type Place } from './host.ts';

const PROGRAM = fileURLToPath(new URL('worker.ts', import.meta.url));
const VOLUMES = 16;
const SIZE = 2 ** 20;
/** Enough for each host to have had some. */
const WARMING = 16;
const KILL_EVERY = 5_000;

/** How long hosts take to archive the volumes of one checkpoint, in seconds; every five seconds one may be killed. */
export async function archiveWith(
  of: { readonly url: string; readonly schema: string },
  hosts: number,
  { volumes = VOLUMES, isKilling = false }: { readonly volumes?: number; readonly isKilling?: boolean } = {},
): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'fafnir-bench-'));
  const place = { ...of, directory };
  const workers: ChildProcess[] = [];
  let killing: NodeJS.Timeout | undefined;
  try {
    const [ids, others] = [
      await writeVolumes(directory, 'disk', volumes),
      await writeVolumes(directory, 'other', WARMING),
    ];
    await using asking = await openHost(place, false);
    const acme = asking.for({ tenant: 'acme', actor: 'bench' });
    const planOf = (name: string, some: readonly string[]) => {
      const resources = some.map((id) => ({ type: 'Local::Volume', id }));
      return acme.plans.create({ name, provider: 'gold', resources });
    };
    const [plan, warming] = [await planOf('shop', ids), await planOf('others', others)];
    workers.push(...(await Promise.all(Array.from({ length: hosts }, () => startWorker(place)))));
    // Hosts live long: how long a process takes to load what it archives with is not asked here.
    await (await acme.protect(warming.id)).result();
    if (isKilling) killing = setInterval(() => void replaceOne(workers, place), KILL_EVERY);
    const start = performance.now();
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    const seconds = (performance.now() - start) / 1000;
    const { copies } = await (await acme.verify(checkpoint)).result();
    if (copies !== volumes) throw new Error(`${copies} copies of ${volumes} volumes are good`);
    return seconds;
  } finally {
    clearInterval(killing);
    for (const worker of workers) worker.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
}

async function writeVolumes(directory: string, name: string, count: number): Promise<readonly string[]> {
  await mkdir(join(directory, 'a', 'volumes'), { recursive: true });
  const ids = Array.from({ length: count }, (_, number) => `${name}-${number}`);
  for (const id of ids) await writeFile(join(directory, 'a', 'volumes', `${id}.raw`), randomBytes(SIZE));
  return ids;
}

async function startWorker(place: Place): Promise<ChildProcess> {
  const worker = spawn(process.execPath, [PROGRAM, JSON.stringify(place)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await Promise.race([once(worker.stdout, 'data'), once(worker, 'exit')]);
  if (worker.exitCode !== null) throw new Error(`a worker ended with ${worker.exitCode}`);
  return worker;
}

/** The one that has lived longest dies, and another comes. */
async function replaceOne(workers: ChildProcess[], place: Place): Promise<void> {
  workers.shift()?.kill('SIGKILL');
  workers.push(await startWorker(place));
}
