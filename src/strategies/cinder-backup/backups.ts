import * as z from 'zod';
import type { OpenStackClient, OpenStackService } from '../../clients/openstack/index.ts';
import type { CallOptions, JsonObject, StorageArray, VolumeRef } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/** A backup as Cinder tells of it. */
export interface Backup {
  /** A UUID. */
  readonly id: string;
  /** Names are not unique. */
  readonly name: string;
  /** Such as `available`, which says little. */
  readonly status: string;
  /** What it is of. */
  readonly volumeId: string;
  /** What it was made from. */
  readonly snapshotId: string | undefined;
  /** Of the volume then. */
  readonly gibibytes: number;
  /** Where Cinder keeps it. */
  readonly container: string;
  /** The instant of its bytes, by Cinder's clock, to the second; ISO 8601 in UTC. */
  readonly takenAt: string;
  /** Others are built on it. */
  readonly isNeeded: boolean;
  /** Text by key. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A volume that a backup may have been restored to. */
export interface RestoredVolume extends Pick<VolumeRef, 'id' | 'size'> {
  /** Names are not unique. */
  readonly name: string;
}

/** What is wanted of a new backup. */
export interface NewBackup {
  /** Its name. */
  readonly name: string;
  /** What it is of. */
  readonly volumeId: string;
  /** What it is made from. */
  readonly snapshotId: string;
  /** Built on the volume's latest. */
  readonly isIncremental: boolean;
  /** By which it is found again. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** How backups are made and read. */
export interface BackupSettings {
  /** The project. */
  readonly client: OpenStackClient;
  /** Where new ones are kept; undefined leaves it to Cinder. */
  readonly container: string | undefined;
  /** Whose the volumes are that backups are restored to. */
  readonly array: StorageArray;
  /** Of those volumes. */
  readonly volumeType: string;
  /** How long Cinder may take for what moves data, in milliseconds. */
  readonly timeout: number;
}

// Metadata of backups came with 3.43.
const MICROVERSIONS = { least: '3.43', most: '3.70' };
const PAGE = 500;
const GIBIBYTE = 2 ** 30;
const ENDS = ['available', 'error', 'error_deleting', 'error_restoring'];

const anything = z.unknown();
const item = z.looseObject({ id: z.string() });
const volumeItem: z.ZodType<RestoredVolume> = z
  .looseObject({ id: z.string(), name: z.string().nullish(), size: z.int().positive() })
  .transform(({ id, name, size }) => ({ id, name: name ?? '', size: size * GIBIBYTE }));
const backup: z.ZodType<Backup> = z
  .looseObject({
    id: z.string(),
    name: z.string().nullish(),
    status: z.string(),
    volume_id: z.string(),
    snapshot_id: z.string().nullish(),
    size: z.int().positive(),
    container: z.string().nullish(),
    // Without a zone: it is UTC.
    data_timestamp: z.iso.datetime({ local: true }),
    has_dependent_backups: z.boolean(),
    metadata: z.record(z.string(), z.string()).nullish(),
  })
  .transform((one) => ({
    id: one.id,
    name: one.name ?? '',
    status: one.status,
    volumeId: one.volume_id,
    snapshotId: one.snapshot_id ?? undefined,
    gibibytes: one.size,
    container: one.container ?? '',
    takenAt: new Date(`${one.data_timestamp.replace(/Z$/, '')}Z`).toISOString(),
    isNeeded: one.has_dependent_backups,
    metadata: one.metadata ?? {},
  }));

/** The backups of a project, and the volumes that they are restored to. Whatever takes Cinder time is waited for. */
export class Backups {
  readonly #settings: BackupSettings;
  readonly #service: OpenStackService;

  constructor(settings: BackupSettings) {
    this.#settings = settings;
    this.#service = settings.client.service('block-storage', MICROVERSIONS);
  }

  /** A backup, or `NOT_FOUND`. */
  async get(id: string, call: CallOptions): Promise<Backup> {
    const answer = z.looseObject({ backup });
    return (await this.#service.request({ method: 'GET', path: ['backups', id], answer }, call)).backup;
  }

  /** Those of a volume, or those that may have a name, but for those that are on their way out. */
  async list(
    query: { readonly name: string } | { readonly volume_id: string },
    call: CallOptions,
  ): Promise<readonly Backup[]> {
    const found: Backup[] = [];
    for await (const one of this.each(query, call)) found.push(one);
    return found;
  }

  /** Those that are asked for, as they come, but for those that are on their way out. */
  async *each(query: Readonly<Record<string, string>>, call: CallOptions): AsyncGenerator<Backup> {
    const path = ['backups', 'detail'];
    const list = { path, collection: 'backups', item: backup, query, pageSize: PAGE };
    for await (const one of this.#service.list(list, call)) if (one.status !== 'deleting') yield one;
  }

  /** Asks for a backup and resolves with its id; it is not there yet. */
  async create(
    { volumeId, snapshotId, isIncremental, ...more }: NewBackup,
    call: CallOptions,
  ): Promise<string> {
    const { container } = this.#settings;
    const body = {
      backup: {
        ...more,
        volume_id: volumeId,
        snapshot_id: snapshotId,
        incremental: isIncremental,
        ...(container !== undefined && { container }),
      },
    };
    const answer = z.looseObject({ backup: item });
    return (await this.#service.request({ method: 'POST', path: ['backups'], body, answer }, call)).backup.id;
  }

  /** Waits until Cinder says that a backup is available; `PLUGIN_FAILED`, with Cinder's words, where it failed. */
  async awaitAvailable(id: string, call: CallOptions): Promise<void> {
    await this.#wait('backup', id, ['available'], call);
  }

  /** Replaces the metadata of a backup. */
  async mark(id: string, metadata: Readonly<Record<string, string>>, call: CallOptions): Promise<void> {
    const body = { backup: { metadata } };
    await this.#service.request({ method: 'PUT', path: ['backups', id], body, answer: anything }, call);
  }

  /** Removes a backup and waits until it is gone; a missing one is success. `BUSY` where others are built on it. */
  async remove(id: string, call: CallOptions): Promise<void> {
    const path = ['backups', id];
    try {
      await this.#wait('backup', id, ENDS, call);
      await this.#service.request({ method: 'DELETE', path, answer: anything }, call);
      await this.#service.waitUntilGone(
        { path, member: 'backup', milliseconds: this.#settings.timeout },
        call,
      );
    } catch (error) {
      if (FafnirError.is(error, 'NOT_FOUND')) return;
      if (!isBadRequest(error)) throw error;
      throw new FafnirError('BUSY', `backup ${id} cannot be removed: ${error.message}`, { cause: error });
    }
  }

  /** Restores a backup to a new volume of this name; resolves with the volume's id. `CORRUPT` where Cinder cannot. */
  async restore({ id, gibibytes }: Backup, name: string, call: CallOptions): Promise<string> {
    // While it is restored elsewhere it cannot be restored here.
    await this.#wait('backup', id, ['available'], call);
    const volume = { name, size: gibibytes, volume_type: this.#settings.volumeType };
    const answer = z.looseObject({ volume: item });
    const made = await this.#service.request(
      { method: 'POST', path: ['volumes'], body: { volume }, answer },
      call,
    );
    try {
      await this.#restoreInto(id, made.volume.id, call);
      return made.volume.id;
    } catch (error) {
      const restored = { id: made.volume.id, size: gibibytes * GIBIBYTE };
      await this.removeVolume(restored, { signal: new AbortController().signal });
      throw error;
    }
  }

  async #restoreInto(id: string, volumeId: string, call: CallOptions): Promise<void> {
    await this.#wait('volume', volumeId, ['available'], call);
    const body = { restore: { volume_id: volumeId } };
    try {
      const path = ['backups', id, 'restore'];
      await this.#service.request({ method: 'POST', path, body, answer: anything }, call);
    } catch (error) {
      if (!isBadRequest(error)) throw error;
      throw new FafnirError('BUSY', `backup ${id} cannot be restored: ${error.message}`, { cause: error });
    }
    try {
      await this.#wait('volume', volumeId, ['available'], call);
    } catch (error) {
      if (!FafnirError.is(error, 'PLUGIN_FAILED')) throw error;
      // When whatever it was has passed, a verification finds that it is a copy after all.
      throw new FafnirError('CORRUPT', `Cinder does not restore backup ${id}: ${error.message}`, {
        cause: error,
      });
    }
    await this.#wait('backup', id, ['available'], call);
  }

  /** Removes a volume that was restored, by the array, which knows what its paths left on it; a missing one is success. */
  async removeVolume({ id, size }: Pick<VolumeRef, 'id' | 'size'>, call: CallOptions): Promise<void> {
    const { array } = this.#settings;
    // Where it has no target nothing was restored.
    await array.target?.remove({ array: array.name, id, size }, call);
  }

  /** The volumes that are asked for, as they come. */
  volumes(query: Readonly<Record<string, string>>, call: CallOptions): AsyncIterable<RestoredVolume> {
    const path = ['volumes', 'detail'];
    return this.#service.list({ path, collection: 'volumes', item: volumeItem, query, pageSize: PAGE }, call);
  }

  /**
   * Removes all volumes of a name, which nobody else gives: what restores leave of a volume is its name alone. Resolves with
   * their ids.
   */
  async removeVolumes(name: string, call: CallOptions): Promise<readonly string[]> {
    const found: RestoredVolume[] = [];
    for await (const one of this.volumes({ name }, call)) if (one.name === name) found.push(one);
    for (const volume of found) await this.removeVolume(volume, call);
    return found.map(({ id }) => id);
  }

  #wait(
    member: 'backup' | 'volume',
    id: string,
    until: readonly string[],
    call: CallOptions,
  ): Promise<JsonObject> {
    const milliseconds = this.#settings.timeout;
    return this.#service.waitFor({ path: [`${member}s`, id], member, until, milliseconds }, call);
  }
}

/** True where Cinder answered that it does not do such a thing now. */
function isBadRequest(error: unknown): error is FafnirError {
  if (!FafnirError.is(error) || typeof error.cause !== 'object' || error.cause === null) return false;
  return 'status' in error.cause && error.cause.status === 400;
}
