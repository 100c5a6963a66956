import { setTimeout as delay } from 'node:timers/promises';
import { type CinderPath, cinderArray } from '../../../src/arrays/cinder.ts';
import { type OpenStackOptions, openStackClient } from '../../../src/clients/openstack/index.ts';
import type { ArraySnapshot } from '../../../src/core/contracts/index.ts';
import { readStart } from './cinder.ts';
import { orderOf } from './killing.ts';

/** What a process that opens a snapshot is told. */
export type OpeningOrder = {
  /** The project. */
  readonly cloud: OpenStackOptions;
  /** What it opens. */
  readonly snapshot: ArraySnapshot;
  /** By which way. */
  readonly path: CinderPath;
  /** What it names the reading. */
  readonly token: string;
  /** When it says something: before it opens the snapshot, or once it reads. */
  readonly says: 'opening' | 'reading';
};

// A program: opens a snapshot, reads it, and does not close it until it is killed.
const call = { signal: new AbortController().signal };
const { cloud, snapshot, path, token, says } = orderOf<OpeningOrder>();
const client = openStackClient(cloud);
const array = cinderArray({ name: snapshot.volume.array, client, volumeType: 'file', paths: [path] });
if (says === 'opening') process.stdout.write(says);
const source = await array.open(snapshot, { token }, call);
if (says === 'reading') process.stdout.write(says);
await readStart(source, Buffer.alloc(2 ** 20));
await delay(10 * 60_000);
