import { cinderArray } from '../../../src/arrays/cinder.ts';
import { type OpenStackOptions, openStackClient } from '../../../src/clients/openstack/index.ts';
import type { SnapshotCopy } from '../../../src/core/contracts/index.ts';
import { cinderBackups } from '../../../src/strategies/cinder-backup.ts';
import { orderOf } from './killing.ts';

/** What a process that reads a backup is told. */
export type ReadingOrder = {
  /** The project. */
  readonly cloud: OpenStackOptions;
  /** Where its volumes are. */
  readonly folder: string;
  /** What it reads. */
  readonly copy: SnapshotCopy;
  /** What it names the reading. */
  readonly token: string;
};

// A program: verifies a backup again and again, until it is killed.
const { cloud, folder, copy, token } = orderOf<ReadingOrder>();
const client = openStackClient(cloud);
const paths = [{ kind: 'files', folder }] as const;
const array = cinderArray({ name: copy.volume.array, client, volumeType: 'file', paths });
const store = cinderBackups({ name: copy.location, client, array, volumeType: 'file' });
const call = { signal: new AbortController().signal, progress: (): void => undefined, token };
for (;;) {
  process.stdout.write('again\n');
  await store.verify(copy, { level: 'deep', sample: 1 }, call);
}
