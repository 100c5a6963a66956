import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createKeyFile } from '../../src/keys/file.ts';
import { type Range, randomBytes } from './change.ts';
import type { Answer, Task } from './child.ts';
import type { Archiver, Place, Repository } from './contender.ts';
import type { Reference } from './engine.ts';
import { type Cost, measure } from './programs.ts';

const WARM_UP_BYTES = 8 * 1024 * 1024;
const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));

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

/** The archive of this package, with chunks of a size or of the one that it chooses. */
export function ours(name: string, chunkSize?: number): OwnArchiver {
  return {
    name,
    label: name,
    async start(place) {
      const keys = join(place.folder, 'keys.json');
      await createKeyFile({ path: keys });
      await warmUp(place.folder, keys);
      return new Bank(place, keys, chunkSize);
    },
  };
}

/**
 * Does everything once with a small file, so that what is measured finds its code compiled, as it is in the package;
 * the bench runs the sources.
 */
async function warmUp(folder: string, keys: string): Promise<void> {
  const small = join(folder, 'warm-up');
  await mkdir(small);
  const volume = join(small, 'volume.img');
  await writeFile(volume, randomBytes('warm-up')(WARM_UP_BYTES));
  const bank = new Bank({ folder, volume }, keys, undefined, join(small, 'bank'));
  for (const changed of ['unknown', []] as const) await bank.copy(changed);
  await bank.verifyTags();
  await bank.verify();
  await bank.restore(small);
}

/** A part of a task that is the same for all of a bank. */
type Work<Every = Task> = Every extends Task ? Omit<Every, 'bank' | 'keys'> : never;

class Bank implements OwnRepository {
  readonly folder: string;
  delay = NaN;
  readonly #place: Place;
  readonly #keys: string;
  readonly #chunkSize: number | undefined;
  #newest: Reference | undefined;
  #count = 0;

  constructor(
    place: Place,
    keys: string,
    chunkSize: number | undefined,
    folder: string = join(place.folder, 'bank'),
  ) {
    this.folder = folder;
    this.#place = place;
    this.#keys = keys;
    this.#chunkSize = chunkSize;
  }

  async copy(changed: 'unknown' | readonly Range[]): Promise<Cost> {
    this.#count += 1;
    return this.#perform({
      operation: 'archive',
      volume: this.#place.volume,
      token: `copy-${this.#count}`,
      changed: changed === 'unknown' ? undefined : await this.#store(changed),
      base: this.#newest,
      chunkSize: this.#chunkSize,
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
    const task = { ...work, bank: this.folder, keys: this.#keys };
    const env = { NODE_COMPILE_CACHE: join(this.#place.folder, 'compiled') };
    const cost = await measure(process.execPath, [CHILD, JSON.stringify(task)], { env });
    const answer: Answer = JSON.parse(cost.printed);
    this.#newest = answer.reference;
    this.delay = answer.delay;
    return cost;
  }
}
