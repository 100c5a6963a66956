import { join } from 'node:path';
import { FafnirError } from '../../core/errors.ts';
import { isId } from '../../core/identity.ts';
import { assertFolder, makeFolder } from './durable.ts';
import { errnoOf } from './file-errors.ts';

/** The longest snapshot name. */
export const NAME_LENGTH = 128;
const SNAPSHOT_NAME = /^[a-z0-9-]{1,128}$/;
/** What others may have called theirs: one segment of a path, neither hidden nor an option, and valid Unicode. */
const FOREIGN_NAME = /^(?![.-])[^/\p{Cc}\p{Cs}\uFFFD]+$/u;
const PREFIX = /^[^/\p{Cc}\p{Cs}\uFFFD]*$/u;
/** Bytes of an entry of a folder. */
const LONGEST_ENTRY = 255;
const RAW = '.raw';
const PARTIAL = '.partial';

/** Where things are below the root. Checked ids have no separators, so no path leads out of it. */
export interface Layout {
  /** Holds a raw file for each volume. */
  readonly volumes: string;
  /** Holds a folder for each set of snapshots. */
  readonly snapshots: string;
  /** Makes the two folders where they are missing; the root itself must exist. */
  prepare(): Promise<void>;
  /** Rejects with `INVALID_ID` where one of the two is a link to elsewhere. */
  check(): Promise<void>;
  /** A volume's file. */
  volume(id: string): string;
  /** Where a volume is made before it gets its name. */
  partialVolume(id: string): string;
  /** The folder of a set of snapshots, whoever took them. */
  set(name: string): string;
  /** Where a set is made before it gets its name. */
  partialSet(name: string): string;
}

/** The layout below a root. */
export function createLayout(root: string): Layout {
  const volumes = join(root, 'volumes');
  const snapshots = join(root, 'snapshots');
  return {
    volumes,
    snapshots,
    async prepare() {
      await makeFolder(volumes);
      await makeFolder(snapshots);
    },
    async check() {
      for (const folder of [volumes, snapshots]) {
        try {
          await assertFolder(folder);
        } catch (error) {
          if (errnoOf(error) !== 'ENOENT') throw error;
        }
      }
    },
    volume: (id) => join(volumes, rawFile(id)),
    partialVolume: (id) => join(volumes, checkVolumeId(id) + PARTIAL),
    set: (name) => join(snapshots, checkName(name)),
    partialSet: (name) => join(snapshots, checkName(name) + PARTIAL),
  };
}

/** A volume's file name. */
export function rawFile(id: string): string {
  return checkVolumeId(id) + RAW;
}

/** The volume that a file in a set belongs to; undefined for another file. */
export function volumeOfFile(file: string): string | undefined {
  const id = file.slice(0, -RAW.length);
  return file.endsWith(RAW) && isId(id) ? id : undefined;
}

/** The name of the set that an entry of the snapshots folder belongs to; undefined for anything else. */
export function nameOfFolder(entry: string): string | undefined {
  const name = entry.endsWith(PARTIAL) ? entry.slice(0, -PARTIAL.length) : entry;
  return isName(name) ? name : undefined;
}

/** Rejects a name that no snapshots are taken under here. */
export function checkNewName(name: string): void {
  if (!SNAPSHOT_NAME.test(name)) throw notAName(name);
}

/** Rejects a prefix that no snapshot name can begin with. */
export function checkPrefix(prefix: string): string {
  if (PREFIX.test(prefix)) return prefix;
  throw new FafnirError('INVALID_ID', `not a prefix of a snapshot name: ${quote(prefix)}`);
}

function checkName(name: string): string {
  if (isName(name)) return name;
  throw notAName(name);
}

function isName(name: string): boolean {
  if (SNAPSHOT_NAME.test(name)) return true;
  const isForeign = FOREIGN_NAME.test(name) && !name.endsWith(PARTIAL);
  return isForeign && Buffer.byteLength(name + PARTIAL) <= LONGEST_ENTRY;
}

const notAName = (name: string): FafnirError =>
  new FafnirError('INVALID_ID', `not a snapshot name: ${quote(name)}`, {
    hint: `Use 1 to ${NAME_LENGTH} of a-z 0-9 and -.`,
  });

function checkVolumeId(id: string): string {
  if (isId(id)) return id;
  throw new FafnirError('INVALID_ID', `not a volume id: ${quote(id)}`);
}

function quote(text: string): string {
  return JSON.stringify(String(text).slice(0, NAME_LENGTH));
}
