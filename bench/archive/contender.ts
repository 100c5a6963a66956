import type { Range } from './change.ts';
import type { Cost } from './programs.ts';

/** Where a contender works in one round. */
export interface Place {
  /** An empty folder of its own. */
  readonly folder: string;
  /** The file to copy. */
  readonly volume: string;
}

/** Someone who copies a file and brings it back. */
export interface Contender {
  /** In the tables. */
  readonly name: string;
  /** With the version. */
  readonly label: string;
  /** Begins with nothing; what this takes does not count. */
  start(place: Place): Promise<Copies>;
}

/** What one contender keeps of the file. */
export interface Copies {
  /** Copies the file as it is now. What changed since the last copy may be known; only some can make use of it. */
  copy(changed: 'unknown' | readonly Range[]): Promise<Cost>;
  /** Writes the newest copy to a new file below a folder, durably; resolves with the cost and the file's path. */
  restore(folder: string): Promise<Restored>;
}

/** What came back. */
export interface Restored {
  /** What it took. */
  readonly cost: Cost;
  /** Where it is. */
  readonly path: string;
}

/** Copies in a repository that can be checked, by someone who stores equal bytes once. */
export interface Repository extends Copies {
  /** Where the copies are; nothing else is in it. */
  readonly folder: string;
  /** Reads and checks all there is. */
  verify(): Promise<Cost>;
}

/** Someone with a repository. */
export interface Archiver extends Contender {
  /** Begins with nothing; what this takes does not count. */
  start(place: Place): Promise<Repository>;
}
