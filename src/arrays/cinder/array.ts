import type { OpenStackClient } from '../../clients/openstack/index.ts';
import type {
  ArrayCapabilities,
  ArraySnapshot,
  ArrayTarget,
  CallOptions,
  StorageArray,
} from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type AttachedPathOptions, type AttachingTools, createAttachedPath } from './attached.ts';
import { createAttachments } from './attachments.ts';
import { type BackupPathOptions, createBackupPath } from './backup.ts';
import type { BackendFacts } from './backends.ts';
import { Cinder, type CinderDeadlines } from './cinder.ts';
import type { DataPath, PathSnapshot } from './data-path.ts';
import { createFilesPath, type FilesPathOptions } from './direct-files.ts';
import { createRbdPath, type RbdPathOptions } from './direct-rbd.ts';
import { type CopyTools, createImagePath, type ImagePathOptions } from './image.ts';
import { bytesOf, isCinderId, LONGEST_NAME, readerOf } from './names.ts';
import type { CinderSnapshot } from './records.ts';
import { createSnapshots } from './snapshots.ts';
import { createVolumes, refuseEncrypted } from './volumes.ts';

/** A way to the bytes of a backend, as hosts ask for it. */
export type CinderPath =
  | AttachedPathOptions
  | BackupPathOptions
  | FilesPathOptions
  | ImagePathOptions
  | RbdPathOptions;

/** What an array over Cinder is made of. */
export interface CinderArraySettings {
  /** Unique within a provider. */
  readonly name: string;
  /** The cloud and project. */
  readonly client: OpenStackClient;
  /** Of which the volumes are. */
  readonly volumeType: string;
  /** What is known of what keeps them. */
  readonly backend: BackendFacts;
  /** The ways to their bytes, the best first. */
  readonly paths: readonly CinderPath[];
  /** The names of the group types whose group snapshots hold one instant. */
  readonly consistentGroupTypes: readonly string[];
  /** How long Cinder may take. */
  readonly deadlines: CinderDeadlines;
  /** Calls of one engine, and requests of one call, at once. */
  readonly concurrency: number;
}

/** The array; hosts use `cinderArray`. */
export function createCinderArray(settings: CinderArraySettings): StorageArray {
  const { name: array, client, volumeType, backend, deadlines, concurrency } = settings;
  const { consistentGroupTypes: groupTypes } = settings;
  const cinder = new Cinder(client, deadlines);
  const volume = (id: string, call: CallOptions) => cinder.volume(id, call);
  const mover = settings.paths.find((path) => path.kind === 'attached');
  const attachments = createAttachments({ client, volume }, mover);
  const volumes = createVolumes({ array, volumeType, cinder, attachments });
  const tools = { client, cinder, volumes, attachments };
  const paths = settings.paths.map((path) => createPath(path, deadlines, tools));
  const best = firstOf(paths, array);
  const sweepers = paths.filter(sweeps);
  const reverter = paths.find(({ revert }) => revert !== undefined);
  const path = best.kind;
  const snapshots = createSnapshots({ array, volumeType, cinder, volumes, path, groupTypes, concurrency });
  let known: ArrayCapabilities | undefined;

  async function capabilities(call: CallOptions): Promise<ArrayCapabilities> {
    if (known !== undefined) return known;
    const powers = await best.powers(call);
    const found: ArrayCapabilities = {
      // Cinder takes several at one instant only of volumes that were put into a group before.
      group: false,
      pointInTime: true,
      ...powers,
      nameLength: LONGEST_NAME,
      concurrency,
      reverts: reverter === undefined ? 'latest' : 'any',
    };
    known ??= found;
    return known;
  }

  function checkBackend(): void {
    if (backend.refused === undefined) return;
    throw new FafnirError(
      'UNSUPPORTED',
      `array ${array} takes no snapshots of ${volumeType}: ${backend.refused}`,
    );
  }

  /** The path that a reference names, while there is one, since it is the one that was tried with the snapshot. */
  const pathOf = (kind: string): DataPath => paths.find((path) => path.kind === kind) ?? best;

  async function sweepAll(reader: string, call: CallOptions): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const path of sweepers) removed.push(...(await path.sweep(reader, call)));
    return removed;
  }

  async function openSince(since: ArraySnapshot, of: string, call: CallOptions): Promise<PathSnapshot> {
    const { snapshot } = await snapshots.resolve(since, call);
    if (snapshot.volumeId === of) return readable(snapshot, snapshot.id);
    throw new FafnirError('UNSUPPORTED', `${since.name} is no older snapshot of volume ${of}`);
  }

  return {
    contract: 1,
    name: array,
    capabilities,
    async snapshot(wanted, name, call) {
      checkBackend();
      return await snapshots.take(wanted, name, call);
    },
    find: snapshots.find,
    list: snapshots.list,
    remove: (snapshot, call) =>
      snapshots.remove(
        snapshot,
        async ({ id }) => {
          if (sweepers.length === 0) return;
          const readers = [id, ...(await volumes.readersOf(id, call))];
          for (const reader of readers) await sweepAll(reader, call);
        },
        call,
      ),
    async open(wanted, { since, token }, call) {
      call.signal.throwIfAborted();
      const reader = token === undefined ? undefined : readerOf(token);
      checkBackend();
      if (since !== undefined && (await capabilities(call)).changeBase === 'none') {
        throw new FafnirError('UNSUPPORTED', `array ${array} cannot tell what changed since ${since.name}`);
      }
      const { snapshot, path } = await snapshots.resolve(wanted, call);
      const older = since && (await openSince(since, snapshot.volumeId, call));
      return await pathOf(path).open(readable(snapshot, reader ?? snapshot.id), older, call);
    },
    ...(sweepers.length > 0 && {
      endReading: async (token: string, call: CallOptions) => await sweepAll(readerOf(token), call),
    }),
    ...(groupTypes.length > 0 && { isGroup: snapshots.isGroup }),
    ...targetOf(paths, volumes),
    ...(backend.clonesStandAlone && {
      async clone(wanted: ArraySnapshot, name: string, call: CallOptions) {
        checkBackend();
        return await volumes.clone((await snapshots.resolve(wanted, call)).snapshot, name, call);
      },
    }),
    async revert(wanted, call) {
      checkBackend();
      const { snapshot } = await snapshots.resolve(wanted, call);
      const rollBack = reverter?.revert?.bind(reverter, readable(snapshot, snapshot.id), call);
      await volumes.revert(snapshot, wanted.volume, { rollBack }, call);
    },
  };
}

/** Whether a path makes what is to be read. */
const sweeps = (path: DataPath): path is DataPath & Required<Pick<DataPath, 'sweep'>> =>
  path.sweep !== undefined;

function firstOf(paths: readonly DataPath[], array: string): DataPath {
  const [first] = paths;
  if (first !== undefined) return first;
  throw new FafnirError('INVALID_OPTIONS', `array ${array} has no path to its bytes`);
}

/** The role of a target, where some path can write volumes. */
function targetOf(
  paths: readonly DataPath[],
  volumes: ReturnType<typeof createVolumes>,
): { readonly target?: ArrayTarget } {
  const writer = paths.find(({ openForWrite }) => openForWrite !== undefined);
  const openForWrite = writer?.openForWrite?.bind(writer);
  if (openForWrite === undefined) return {};
  return {
    target: {
      create: volumes.create,
      async remove(volume, call) {
        await volumes.remove(volume, call);
        if (isCinderId(volume.id)) await writer?.sweep?.(volume.id, call);
      },
      async openForWrite(wanted, call) {
        call.signal.throwIfAborted();
        const volume = await volumes.findUnused(wanted, call);
        refuseEncrypted(volume);
        const { id, gibibytes } = volume;
        return await openForWrite({ id, size: bytesOf(gibibytes) }, call);
      },
    },
  };
}

function createPath(
  path: CinderPath,
  deadlines: CinderDeadlines,
  tools: AttachingTools & CopyTools,
): DataPath {
  if (path.kind === 'attached') return createAttachedPath(tools);
  if (path.kind === 'files') return createFilesPath(path);
  if (path.kind === 'backup') return createBackupPath(tools);
  return path.kind === 'rbd' ? createRbdPath(path, deadlines) : createImagePath(path, tools);
}

const readable = ({ id, name, volumeId, gibibytes }: CinderSnapshot, reader: string): PathSnapshot => ({
  id,
  name,
  volume: { id: volumeId, size: bytesOf(gibibytes) },
  reader,
});
