import type { CallOptions } from '../contracts/index.ts';
import { NAME_PREFIX } from './tokens.ts';

/** Who accounts for a snapshot: an open job, a checkpoint, or nobody that was met so far. */
export type Standing = 'nobody' | 'job' | 'checkpoint';

/** A volume's snapshot on an array, or its copy in an external store, by what tells it from others. */
export type SnapshotKey = {
  /** The name, or the token, that it was asked for under. */
  readonly name: string;
  /** The id of the volume. */
  readonly volume: string;
};

const STANDINGS: readonly Standing[] = ['nobody', 'job', 'checkpoint'];
const NOBODY = STANDINGS.indexOf('nobody');

/**
 * What an array or an external store had at one time whose names begin as ours do, with who accounts for it. Takes a text of
 * name and volume for each, and a byte.
 */
export class Census {
  // Ascending, a name and a volume each; a name has no slash.
  readonly #keys: readonly string[];
  readonly #standings: Uint8Array;

  private constructor(keys: readonly string[]) {
    this.#keys = keys;
    this.#standings = new Uint8Array(keys.length);
  }

  /** Of what is listed. */
  static async take(listed: AsyncIterable<SnapshotKey>, call: CallOptions): Promise<Census> {
    const keys: string[] = [];
    for await (const { name, volume } of listed) {
      call.signal.throwIfAborted();
      if (name.startsWith(NAME_PREFIX)) keys.push(keyOf(name, volume));
    }
    return new Census(keys.sort());
  }

  /** An open job may have made what bears this name. */
  claimForJob(name: string): void {
    const prefix = `${name}/`;
    for (let at = this.#find(prefix); this.#keys[at]?.startsWith(prefix) === true; at += 1) {
      this.#claim(at, 'job');
    }
  }

  /** A checkpoint counts on a snapshot; false where it was not there. */
  claimForCheckpoint({ name, volume }: SnapshotKey): boolean {
    const key = keyOf(name, volume);
    const at = this.#find(key);
    if (this.#keys[at] !== key) return false;
    this.#claim(at, 'checkpoint');
    return true;
  }

  /** How many snapshots are accounted for so. */
  count(standing: Standing): number {
    const wanted = STANDINGS.indexOf(standing);
    return this.#standings.reduce((sum, standing) => sum + Number(standing === wanted), 0);
  }

  /** The snapshots that nobody accounts for, in ascending order of name. */
  *unclaimed(): Generator<SnapshotKey> {
    for (const [at, key] of this.#keys.entries()) {
      if (this.#standings[at] !== NOBODY) continue;
      const slash = key.indexOf('/');
      yield { name: key.slice(0, slash), volume: key.slice(slash + 1) };
    }
  }

  #claim(at: number, by: Standing): void {
    if (this.#standings[at] === NOBODY) this.#standings[at] = STANDINGS.indexOf(by);
  }

  // The position of the first key that is not less.
  #find(key: string): number {
    let [from, to] = [0, this.#keys.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#keys[middle] ?? '') < key) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

const keyOf = (name: string, volume: string): string => `${name}/${volume}`;
