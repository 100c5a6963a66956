import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { filesystemBank } from '../../src/banks/filesystem.ts';
import { inlineThreads } from '../../src/core/archive/threads/inline.ts';
import type { Vault } from '../../src/core/archive/vault.ts';
import { collect } from '../../src/core/archive/volume/collect.ts';
import { pageCount } from '../../src/core/archive/volume/geometry.ts';
import { getManifest, type ManifestReference } from '../../src/core/archive/volume/manifest.ts';
import { PackStore } from '../../src/core/archive/volume/pack-store.ts';
import { ArchiveReader } from '../../src/core/archive/volume/read-archive.ts';
import { idAt } from '../../src/core/archive/volume/read-plan.ts';
import { vaultOf } from '../core/archive/vaults.ts';
import { countingCall, keysOf, targetOf } from '../core/archive/volumes.ts';
import { volumeBytes } from './archive-volumes.ts';

/** An archive that a child has told of. */
export interface Committed extends ManifestReference {
  readonly volume: number;
  readonly generation: number;
}

/** What a child is asked, as its one argument. */
export interface ArchiverOrder {
  readonly directory: string;
  /** What the volumes hold follows from it. */
  readonly seed: number;
  /** The boundary of a call to the bank at which it kills itself. */
  readonly strike?: number;
  /** How many archives it makes, unless it is killed. */
  readonly steps: number;
}

/** What a child tells. */
export type ArchiverMessage =
  | { readonly type: 'ready' | 'verified' | 'collected' }
  | { readonly type: 'committed'; readonly archive: Committed };

/** What came of it. */
export interface ArchiveKills {
  readonly kills: number;
  /** Those of them at a call to the bank; the others came by the clock. */
  readonly atCalls: number;
  readonly archives: number;
  readonly verified: number;
  readonly collected: number;
  /** Packs that the last collection removed. */
  readonly packs: number;
  /** Files that dead writers left, all of which the bank swept. */
  readonly temporary: number;
  /** What was wrong. */
  readonly wrong: readonly string[];
}

const program = fileURLToPath(new URL('fixtures/archiver.ts', import.meta.url));
const LONGEST = 60_000;
const LONGEST_DELAY = 600;
const MOST_BOUNDARIES = 240;
const STEPS_AT_MOST = 8;
const TWO_DAYS = 2 * 24 * 60 * 60;

/** Kills processes that archive volumes, so many times, then lets one finish, and looks at what is in the bank. */
export async function killArchives({
  kills,
  seed,
}: {
  readonly kills: number;
  readonly seed: number;
}): Promise<ArchiveKills> {
  const directory = await mkdtemp(join(tmpdir(), 'fafnir-crash-archive-'));
  try {
    return await new Killing(directory, seed).run(kills);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

class Killing {
  readonly #directory: string;
  readonly #seed: number;
  readonly #committed: Committed[] = [];
  readonly #wrong: string[] = [];
  #random: number;
  #atCalls = 0;
  #verified = 0;
  #collected = 0;

  constructor(directory: string, seed: number) {
    this.#directory = directory;
    this.#seed = seed;
    this.#random = seed;
  }

  async run(kills: number): Promise<ArchiveKills> {
    let killed = 0;
    for (let tries = 0; killed < kills && tries < 3 * kills; tries += 1) {
      if (await this.#startOne(tries % 2 === 0)) killed += 1;
    }
    if (killed < kills) this.#wrong.push(`only ${killed} children were killed`);
    if (await this.#startOne(undefined)) this.#wrong.push('the last child did not finish');
    const { packs, temporary } = await this.#look();
    return {
      kills: killed,
      atCalls: this.#atCalls,
      archives: this.#committed.length,
      verified: this.#verified,
      collected: this.#collected,
      packs,
      temporary,
      wrong: this.#wrong,
    };
  }

  /** Resolves with whether the child was killed; `atCall` undefined lets it finish. */
  async #startOne(atCall: boolean | undefined): Promise<boolean> {
    await writeFile(join(this.#directory, 'committed.json'), JSON.stringify(this.#committed));
    const strike = atCall === true ? 1 + this.#below(MOST_BOUNDARIES) : undefined;
    const order: ArchiverOrder = {
      directory: this.#directory,
      seed: this.#seed,
      steps: atCall === undefined ? 1 : STEPS_AT_MOST,
      ...(strike !== undefined && { strike }),
    };
    const child = spawn(process.execPath, [program, JSON.stringify(order)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    const wait = this.#below(LONGEST_DELAY);
    createInterface({ input: child.stdout }).on('line', (line) => {
      const message: ArchiverMessage = JSON.parse(line);
      if (message.type === 'committed') this.#committed.push(message.archive);
      else if (message.type === 'verified') this.#verified += 1;
      else if (message.type === 'collected') this.#collected += 1;
      else if (atCall === false) void killAfter(child, wait);
    });
    const late = setTimeout(() => {
      this.#wrong.push(`a child had not ended after ${LONGEST} ms`);
      child.kill('SIGKILL');
    }, LONGEST);
    await once(child, 'close');
    clearTimeout(late);
    const isKilled = child.signalCode === 'SIGKILL';
    if (!isKilled && child.exitCode !== 0) {
      this.#wrong.push(
        `a child ended with ${child.signalCode ?? child.exitCode}: ${complaint.slice(0, 2_000)}`,
      );
    }
    if (isKilled && strike !== undefined) this.#atCalls += 1;
    return isKilled;
  }

  /** A number from a seed, the same each time. */
  #below(limit: number): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * limit);
  }

  async #look(): Promise<Pick<ArchiveKills, 'packs' | 'temporary'>> {
    const temporary = await ageTemporaries(join(this.#directory, 'bank'));
    const vault = this.#vault();
    await this.#check(this.#committed, 'before the last collection');
    const newest = this.#committed.slice(-6);
    let packs = 0;
    for (const live of [this.#committed, newest, []]) {
      try {
        const vault = this.#vault();
        const manifests = await Promise.all(live.map((one) => getManifest(vault, one, countingCall())));
        const request = { vault, threads: inlineThreads(), live: manifests, preview: false };
        packs += (await collect(request, countingCall())).packs;
        await this.#lookForGarbage(live);
      } catch (error) {
        this.#wrong.push(`a collection with ${live.length} archives live: ${String(error)}`);
      }
      await this.#check(live, `after a collection with ${live.length} archives live`);
    }
    // Whoever puts something sweeps first what is old.
    await vault.put('acme/proofs/sweep/sweep', new Uint8Array(), countingCall());
    const left = await temporaries(join(this.#directory, 'bank'));
    if (left.length > 0) this.#wrong.push(`files of dead writers are left: ${left.join()}`);
    return { packs, temporary };
  }

  async #check(archives: readonly Committed[], when: string): Promise<void> {
    for (const archive of archives) {
      try {
        // Of its own, so that nothing is known from before.
        const vault = this.#vault();
        await using reader = await open(vault, archive);
        const { damaged } = await reader.verify({ level: 'deep' }, countingCall());
        const wanted = volumeBytes(this.#seed, archive.volume, archive.generation);
        const restored = new Uint8Array(wanted.length);
        await reader.restoreInto(targetOf(restored, true), countingCall());
        if (Buffer.compare(restored, wanted) !== 0)
          this.#wrong.push(`${archive.token} has other bytes ${when}`);
        if (damaged.length > 0) this.#wrong.push(`${archive.token} has damaged packs ${when}`);
      } catch (error) {
        this.#wrong.push(`${archive.token} ${when}: ${String(error)}`);
      }
    }
  }

  async #lookForGarbage(live: readonly Committed[]): Promise<void> {
    const vault = this.#vault();
    const needed = new Set<string>();
    for (const archive of live) {
      await using reader = await open(vault, archive);
      for (const page of reader.manifest.pages) needed.add(page);
      for (let at = 0; at < pageCount(reader.manifest); at += 1) {
        const ids = (await reader.page(at, countingCall())) ?? new Uint8Array();
        for (let chunk = 0; chunk < ids.length / 32; chunk += 1) needed.add(hex(idAt(ids, chunk)));
      }
    }
    const packs = new PackStore(vault);
    for await (const { key, size } of vault.bank.list('acme/data/', countingCall())) {
      const name = key.slice(key.lastIndexOf('/') + 1);
      const { header } = await packs.header(name, size, countingCall());
      const isNeeded = Array.from(header.chunks(), ({ id }) => hex(id)).some((id) => needed.has(id));
      if (!isNeeded) this.#wrong.push(`pack ${name} is left, and nothing in it is needed`);
    }
    const manifests = await keysOf(vault.bank, 'acme/manifests/');
    if (manifests.length !== live.length) {
      this.#wrong.push(`${manifests.length} manifests are left, not ${live.length}`);
    }
  }

  #vault(): Vault {
    return vaultOf(filesystemBank({ root: join(this.#directory, 'bank'), name: 'bank' }));
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const open = (vault: Vault, archive: ManifestReference): Promise<ArchiveReader> =>
  ArchiveReader.open(vault, archive, { threads: inlineThreads() }, countingCall());

async function killAfter(child: ChildProcess, milliseconds: number): Promise<void> {
  await delay(milliseconds);
  child.kill('SIGKILL');
}

/** Files that are no objects: what a writer makes before it has a name. */
const temporaries = async (bank: string): Promise<string[]> =>
  (await readdir(join(bank, '~temporary'))).map((name) => join(bank, '~temporary', name));

/** Makes them so old that their writers must be dead. Resolves with how many there are. */
async function ageTemporaries(bank: string): Promise<number> {
  const files = await temporaries(bank);
  const then = Date.now() / 1_000 - TWO_DAYS;
  for (const file of files) await utimes(file, then, then);
  return files.length;
}
