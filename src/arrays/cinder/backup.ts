import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import type { OpenStackService } from '../../clients/openstack/index.ts';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type ChunkedBackup, findChunkedBackup, readChunkedBackup } from './chunked-backup.ts';
import { createCopyPath } from './copy-path.ts';
import type { DataPath, PathSnapshot } from './data-path.ts';
import type { CopyTools } from './image.ts';
import type { CinderBackup } from './records.ts';

/** Reading by Cinder's own backups in Swift. */
export interface BackupPathOptions {
  /** By which the path is known. */
  readonly kind: 'backup';
}

// Swift's lists may be some seconds behind.
const LIST_DELAY = 500;
const LIST_ATTEMPTS = 60;

/**
 * The bytes of any backend: a volume is made from the snapshot, and Cinder backs it up into a container of its own of the
 * project's Swift, whose objects are read, and compared with the digests that Cinder made of what it read. That Cinder
 * calls a backup available counts for nothing.
 */
export function createBackupPath({ client, cinder, volumes }: CopyTools): DataPath {
  const swift: OpenStackService = client.service('object-store');

  async function backupsOf(reader: string, call: CallOptions): Promise<readonly CinderBackup[]> {
    const found: CinderBackup[] = [];
    for await (const backup of cinder.backups(nameOf(reader), call)) {
      if (backup.name === nameOf(reader)) found.push(backup);
    }
    return found;
  }

  async function sweep(name: string, call: CallOptions): Promise<readonly string[]> {
    const backups = await backupsOf(name, call);
    for (const { id } of backups) await cinder.removeBackup(id, call);
    const removed = [
      ...backups.map(({ id }) => `backup ${id}`),
      ...(await volumes.removeTemporary(name, call)),
    ];
    for (let attempt = 1; ; attempt += 1) {
      try {
        await swift.request({ method: 'DELETE', path: [nameOf(name)], answer: z.unknown() }, call);
        return [...removed, `container ${nameOf(name)}`];
      } catch (error) {
        if (FafnirError.is(error, 'NOT_FOUND')) return removed;
        if (!FafnirError.is(error, 'BUSY') || attempt === LIST_ATTEMPTS) throw error;
        await delay(LIST_DELAY, undefined, call);
      }
    }
  }

  /**
   * Of a volume made from the snapshot, and not of the snapshot itself: where a driver cannot make such a volume, Cinder says
   * so of the volume, while the backup of a snapshot stays in the making for ever.
   */
  async function make(snapshot: PathSnapshot, call: CallOptions): Promise<CinderBackup> {
    const { reader } = snapshot;
    // What a dead caller left and did not finish.
    await sweep(reader, call);
    const temporary = await volumes.createTemporary(snapshot, call);
    const name = nameOf(reader);
    const backup = await cinder.createBackup({ name, container: name, volumeId: temporary.id }, call);
    await volumes.removeTemporary(reader, call);
    return backup;
  }

  return createCopyPath<ChunkedBackup>({
    kind: 'backup',
    noun: 'backup',
    async findOrMake(snapshot, call) {
      const { reader, volume } = snapshot;
      const found = (await backupsOf(reader, call)).find(({ status }) => status === 'available');
      const { id: backupId, volumeId } = found ?? (await make(snapshot, call));
      const identity = { container: nameOf(reader), backupId, volumeId, size: volume.size };
      return await findChunkedBackup(swift, identity, call);
    },
    read: (backup, what, call) => readChunkedBackup(swift, backup, what, call),
    sweep,
  });
}

const nameOf = (reader: string): string => `fafnir-${reader}`;
