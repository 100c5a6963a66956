import * as z from 'zod';
import { filesArray } from '../arrays/files.ts';
import type { Part } from '../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { localApplication } from '../resources/local/application.ts';
import { freezerSchema, type LocalFreezer } from '../resources/local/freezer.ts';
import { localNetwork } from '../resources/local/network.ts';
import { localServer } from '../resources/local/server.ts';
import { localVolume } from '../resources/local/volume.ts';
import { volumeSnapshot } from '../strategies/volume-snapshot.ts';

export type { LocalFreezer } from '../resources/local/freezer.ts';

/** Where a local system is. */
export interface LocalOptions {
  /** The directory with `applications`, `servers`, `networks` and `volumes`. */
  readonly root: string;
  /** The name of the array of its volumes; `files` unless given. */
  readonly array?: string;
  /** How the host pauses a server for its snapshot; without it servers are snapshot as they run. */
  readonly freezer?: LocalFreezer;
}

const schema = strictOptions({
  root: z.string().min(1),
  array: z.string().min(1).default('files'),
  freezer: freezerSchema.exactOptional(),
});

/** A system that is a directory: its resources are JSON files, its volumes raw files. */
export function local(options: LocalOptions): Part {
  const { root, array: name, freezer } = parseOptions('local', schema, options);
  const array = filesArray({ name, root });
  return Object.freeze<Part>({
    contract: 1,
    name: 'local',
    protectables: [
      localApplication({ root }),
      localServer(freezer === undefined ? { root } : { root, freezer }),
      localNetwork({ root }),
      localVolume({ root, array }),
    ],
    arrays: [array],
    strategies: [volumeSnapshot()],
  });
}
