import { cinderArray } from '../../../src/arrays/cinder.ts';
import { type OpenStackOptions, openStackClient } from '../../../src/clients/openstack/index.ts';
import type { ArraySnapshot } from '../../../src/core/contracts/index.ts';
import { orderOf } from './killing.ts';

/** What a process that attaches is told. */
export type AttachingOrder = {
  /** The project. */
  readonly cloud: OpenStackOptions;
  /** What it opens, and whose volume it writes. */
  readonly snapshot: ArraySnapshot;
};

// A program: has a snapshot and its volume attached again and again, until it is killed.
const call = { signal: new AbortController().signal };
const { cloud, snapshot } = orderOf<AttachingOrder>();
const array = cinderArray({
  name: snapshot.volume.array,
  client: openStackClient(cloud),
  volumeType: 'file',
  paths: [{ kind: 'attached', connector: { host: 'mover' } }],
});
for (;;) {
  process.stdout.write('again\n');
  await (await array.target?.openForWrite(snapshot.volume, call))?.close();
  await (await array.open(snapshot, {}, call)).close();
}
