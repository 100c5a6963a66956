import { RbdClient, type RbdSnapshot } from '../../clients/rbd/client.ts';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { openSource } from '../rbd/source.ts';
import { RbdTarget } from '../rbd/target.ts';
import type { CinderDeadlines } from './cinder.ts';
import type { DataPath, PathSnapshot } from './data-path.ts';

/** How this host reaches the pool of a backend that is Ceph RBD. */
export interface RbdPathOptions {
  /** By which the path is known. */
  readonly kind: 'rbd';
  /** The pool of the backend. */
  readonly pool: string;
  /** The user without `client.`; it needs `profile rbd` on the pool, or to restore nothing `profile rbd-read-only`. */
  readonly user?: string;
  /** The path of the configuration file. */
  readonly conf?: string;
  /** Addresses of monitors. */
  readonly monitors?: readonly string[];
  /** The path of the file with the user's key. */
  readonly keyring?: string;
  /** Milliseconds that a program may be silent for; 60 000 unless given. */
  readonly timeout?: number;
}

const MINUTE = 60_000;

/** The bytes of a backend whose volumes are images `volume-<id>`, and whose snapshots are called `snapshot-<id>` there. */
export function createRbdPath(
  { kind, timeout = MINUTE, ...access }: RbdPathOptions,
  { long }: CinderDeadlines,
): DataPath {
  const client = new RbdClient(access, { short: timeout, long });

  const pick = ({ id, name, volume }: PathSnapshot, among: readonly RbdSnapshot[]): RbdSnapshot => {
    const found = among.find((one) => one.name === `snapshot-${id}`);
    if (found === undefined) {
      throw new FafnirError('NOT_FOUND', `pool ${access.pool} has no snapshot ${name} of ${volume.id}`, {
        hint: 'Check that the pool is the one of the volume type, and that the volume was not migrated.',
      });
    }
    if (found.size === volume.size) return found;
    const message = `snapshot ${name} has ${found.size} bytes in pool ${access.pool}, not ${volume.size}`;
    throw new FafnirError('WRONG_ANSWER', message);
  };

  return {
    kind,
    powers: async () => ({ changeBase: 'snapshot', extents: 'map' }),
    async open(snapshot, since, call: CallOptions) {
      const image = `volume-${snapshot.volume.id}`;
      const among = await client.snapshots(image, call);
      const to = pick(snapshot, among);
      if (since === undefined) return openSource(client, { image, to });
      const from = pick(since, among);
      if (from.id < to.id) return openSource(client, { image, to, from });
      throw new FafnirError('UNSUPPORTED', `${since.name} is no older snapshot than ${snapshot.name}`);
    },
    // As the driver of Cinder does it, which Cinder asks for the latest one only.
    async revert(snapshot, call) {
      const image = `volume-${snapshot.volume.id}`;
      const { name } = pick(snapshot, await client.snapshots(image, call));
      call.signal.throwIfAborted();
      // Not to be stopped: half-way the volume would be neither what it was nor what it is to be.
      await client.rollBack(image, name, { signal: new AbortController().signal });
    },
    openForWrite: ({ id, size }, call) =>
      RbdTarget.open({ client, access, image: `volume-${id}`, size, timeout }, call),
  };
}
