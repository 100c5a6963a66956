import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createKeyFile } from '../../src/keys/file.ts';
import { type Range, randomBytes } from './change.ts';
import type { Answer, Task } from './child.ts';
import type { Archiver, Copies, Place, Repository } from './contender.ts';
import type { ArchiveOptions, Reference } from './engine.ts';
import { childProgram } from './program.ts';
import { type Cost, measure } from './programs.ts';
import type { S3Place } from './s3/bank.ts';

const WARM_UP_BYTES = 8 * 1024 * 1024;

/** What the archive of this package keeps, with what only it can do or tell. */
export interface OwnRepository extends Repository {
  /** Checks without decompressing. */
  verifyTags(): Promise<Cost>;
  /** Of the host's thread in the newest operation, in milliseconds; 99 of 100 were less. */
  readonly delay: number;
}

/** The archive of this package, on a bank in a folder. */
export interface OwnArchiver extends Archiver {
  /** Begins with nothing; what this takes does not count. */
  start(place: Place): Promise<OwnRepository>;
}

/** What the archive of this package keeps on S3. */
export interface OwnS3Copies extends Copies {
  /** Where the copies are; nothing else is in it. */
  readonly place: S3Place;
  /** Requests that stored an object in the newest operation. */
  readonly puts: number;
}

/** How volumes are archived: as the package chooses where nothing is given. */
export type How = Pick<ArchiveOptions, 'chunkSize' | 'lane'>;

/** The archive of this package. */
export function ours(name: string, how: How = {}): OwnArchiver {
  return {
    name,
    label: name,
    async start(place) {
      const keys = join(place.folder, 'keys.json');
      await createKeyFile({ path: keys });
      await warmUp(place.folder, keys, join(place.folder, 'warm-up', 'bank'));
      return new FolderBank(place, keys, how);
    },
  };
}

/** The same on S3, in an empty bucket that exists. */
export async function oursOnS3(place: Place, bucket: Omit<S3Place, 'prefix'>): Promise<OwnS3Copies> {
  const keys = join(place.folder, 'keys.json');
  await createKeyFile({ path: keys });
  await warmUp(place.folder, keys, { ...bucket, prefix: 'warm-up' });
  return new S3Bank(place, keys, { ...bucket, prefix: 'archive' });
}

/**
 * Does everything once with a small file, so that what is measured finds its code compiled, as that of others is.
 */
async function warmUp(folder: string, keys: string, where: Task['bank']): Promise<void> {
  const small = join(folder, 'warm-up');
  await mkdir(small);
  const volume = join(small, 'volume.img');
  await writeFile(volume, randomBytes('warm-up')(WARM_UP_BYTES));
  const bank = new Bank({ folder, volume }, keys, where);
  for (const changed of ['unknown', []] as const) await bank.copy(changed);
  await bank.verifyTags();
  await bank.verify();
  await bank.restore(small);
}

/** A part of a task that is the same for all of a bank. */
type Work<Every = Task> = Every extends Task ? Omit<Every, 'bank' | 'keys'> : never;

class Bank implements Copies {
  delay = NaN;
  puts = NaN;
  readonly #place: Place;
  readonly #keys: string;
  readonly #where: Task['bank'];
  readonly #how: How;
  #newest: Reference | undefined;
  #count = 0;

  constructor(place: Place, keys: string, where: Task['bank'], how: How = {}) {
    this.#place = place;
    this.#keys = keys;
    this.#where = where;
    this.#how = how;
  }

  async copy(changed: 'unknown' | readonly Range[]): Promise<Cost> {
    this.#count += 1;
    return this.#perform({
      operation: 'archive',
      volume: this.#place.volume,
      token: `copy-${this.#count}`,
      changed: changed === 'unknown' ? undefined : await this.#store(changed),
      base: this.#newest,
      ...this.#how,
    });
  }

  verify(): Promise<Cost> {
    return this.#perform({ operation: 'verify', reference: this.#archive(), level: 'deep' });
  }

  verifyTags(): Promise<Cost> {
    return this.#perform({ operation: 'verify', reference: this.#archive(), level: 'tags' });
  }

  async restore(folder: string): Promise<{ cost: Cost; path: string }> {
    const path = join(folder, 'restored.img');
    const cost = await this.#perform({ operation: 'restore', reference: this.#archive(), path });
    return { cost, path };
  }

  #archive(): Reference {
    if (this.#newest === undefined) throw new Error('nothing was archived yet');
    return this.#newest;
  }

  async #store(changed: readonly Range[]): Promise<string> {
    const path = join(this.#place.folder, 'changed.json');
    await writeFile(path, JSON.stringify(changed));
    return path;
  }

  async #perform(work: Work): Promise<Cost> {
    const task = { ...work, bank: this.#where, keys: this.#keys };
    const env = { NODE_COMPILE_CACHE: join(this.#place.folder, 'compiled') };
    const cost = await measure(process.execPath, [await childProgram(), JSON.stringify(task)], { env });
    const answer: Answer = JSON.parse(cost.printed);
    this.#newest = answer.reference;
    this.delay = answer.delay;
    this.puts = answer.puts;
    return cost;
  }
}

class FolderBank extends Bank implements OwnRepository {
  readonly folder: string;

  constructor(place: Place, keys: string, how: How) {
    const folder = join(place.folder, 'bank');
    super(place, keys, folder, how);
    this.folder = folder;
  }
}

class S3Bank extends Bank implements OwnS3Copies {
  readonly place: S3Place;

  constructor(place: Place, keys: string, where: S3Place) {
    super(place, keys, where);
    this.place = where;
  }
}
