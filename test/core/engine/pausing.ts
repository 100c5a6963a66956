import { existsSync } from 'node:fs';
import { appendFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type {
  ArraySnapshot,
  JsonObject,
  Provider,
  SnapshotOptions,
  StorageArray,
  VolumeRef,
} from '../../../src/index.ts';
import { defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { direct, type Tap, tappedBank, tappedPart } from './taps.ts';
import { KEYS } from '../archive/vaults.ts';

const FREEZER = new URL('../../resources/local/fixtures/freezer.ts', import.meta.url).href;

type Snapshots = Promise<readonly ArraySnapshot[]>;

/** Stands around the taking of a snapshot. */
export type Around = (
  take: () => Snapshots,
  volumes: readonly VolumeRef[],
  call: SnapshotOptions,
) => Snapshots;

/**
 * A provider whose servers are on site `a` of a directory and can be paused. The directory's file `log` tells when
 * they are, when snapshots begin and have been taken, and when they are opened to be copied. Its plugins and
 * bank are called through the tap.
 */
export function pausingProvider(
  path: string,
  around: Around = (take) => take(),
  freezer: JsonObject = {},
  tap: Tap = direct,
): Provider {
  const options = { directory: path, ...freezer };
  const part = local({ root: join(path, 'a'), freezer: { module: FREEZER, options } });
  return defineProvider({
    name: 'gold',
    site: 'a',
    parts: [
      tappedPart(
        { ...part, arrays: part.arrays?.map((array) => loggedArray(path, array, around)) ?? [] },
        tap,
      ),
    ],
    banks: [{ bank: tappedBank(filesystemBank(join(path, 'bank')), tap), keys: KEYS, role: 'primary' }],
  });
}

function loggedArray(path: string, array: StorageArray, around: Around): StorageArray {
  const note = (line: string): Promise<void> => appendFile(join(path, 'log'), `${line}\n`);
  return {
    ...array,
    // The same on every file system, so that what a test sees does not depend on where its directory is.
    capabilities: async (call) => ({ ...(await array.capabilities(call)), changeBase: 'none' as const }),
    async snapshot(volumes, name, call) {
      const ids = volumes.map(({ id }) => id).join(' ');
      await note(`snapshot ${ids}`);
      const taken = await around(() => array.snapshot(volumes, name, call), volumes, call);
      await note(`taken ${ids}`);
      return taken;
    },
    async open(snapshot, opening, call) {
      await note(`open ${snapshot.volume.id}`);
      return array.open(snapshot, opening, call);
    },
  };
}

/** What happened so far. */
export async function logOf(path: string): Promise<string[]> {
  return (await readFile(join(path, 'log'), 'utf8')).trimEnd().split('\n');
}

/** Whether a server is paused now. */
export const isPaused = (path: string, server: string): boolean => existsSync(join(path, `frozen-${server}`));

/** The pauses that have not been ended by whoever began them. */
export const openPauses = (path: string): Promise<string[]> => readdir(join(path, 'a', 'pauses'));
