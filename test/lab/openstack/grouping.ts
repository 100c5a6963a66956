import { cinderArray } from '../../../src/arrays/cinder.ts';
import { type OpenStackOptions, openStackClient } from '../../../src/clients/openstack/index.ts';
import type { VolumeRef } from '../../../src/core/contracts/index.ts';
import { CONSISTENT } from './cinder.ts';
import { orderOf } from './killing.ts';

/** What a process that snapshots a group is told. */
export type GroupingOrder = {
  /** The project. */
  readonly cloud: OpenStackOptions;
  /** The members of the group. */
  readonly volumes: readonly VolumeRef[];
  /** The name of the snapshots. */
  readonly name: string;
};

// A program: takes the snapshots of a group and removes them, again and again, until it is killed.
const call = { signal: new AbortController().signal };
const { cloud, volumes, name } = orderOf<GroupingOrder>();
const array = cinderArray({
  name: volumes[0]?.array ?? '',
  client: openStackClient(cloud),
  volumeType: 'file',
  paths: [{ kind: 'attached', connector: { host: 'mover' } }],
  consistentGroupTypes: [CONSISTENT],
});
for (;;) {
  process.stdout.write('again\n');
  const taken = await array.snapshot(volumes, name, { ...call, group: true });
  await Promise.all(taken.map((one) => array.remove(one, call)));
}
