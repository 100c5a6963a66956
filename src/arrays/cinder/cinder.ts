import * as z from 'zod';
import type { OpenStackClient, OpenStackService } from '../../clients/openstack/index.ts';
import { compare } from '../../clients/openstack/microversions.ts';
import type { CallOptions, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import {
  BACKUP,
  type CinderBackup,
  type CinderGroup,
  type CinderSnapshot,
  type CinderVolume,
  GROUP,
  groupDescription,
  ORIGIN,
  SNAPSHOT,
  VOLUME,
  type VolumeOrigin,
} from './records.ts';

/** How long Cinder may take, in milliseconds. */
export interface CinderDeadlines {
  /** For what changes records: snapshots, and new volumes that are empty. */
  readonly short: number;
  /** For what may move data: volumes from snapshots, reverts, images, removals. */
  readonly long: number;
}

/** What is wanted of a new volume. */
export interface NewVolume {
  /** Its name. */
  readonly name: string;
  /** GiB. */
  readonly gibibytes: number;
  /** The name of its type. */
  readonly type: string;
  /** What it is made from; empty otherwise. */
  readonly snapshotId?: string;
  /** By which it is found again. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a new snapshot is made of. */
export interface NewSnapshot {
  /** Its name. */
  readonly name: string;
  /** Its volume. */
  readonly volumeId: string;
  /** By which it is found again. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a new group snapshot is made of. */
export interface NewGroupSnapshot {
  /** Its name, and that of its parts. */
  readonly name: string;
  /** Whose members get snapshots. */
  readonly groupId: string;
  /** By which its parts are found again. */
  readonly attempt: string;
}

/** What a new backup is made of. */
export interface NewBackup {
  /** Its name. */
  readonly name: string;
  /** Where it is kept. */
  readonly container: string;
  /** What is backed up. */
  readonly volumeId: string;
}

type Kind = 'backup' | 'group_snapshot' | 'snapshot' | 'volume';

// Reverts came with 3.40.
const MICROVERSIONS = { least: '3.40', most: '3.70' };
const WITH_REIMAGE = '3.68';
// From there on, snapshots of volumes in use need no force, and may not be asked for with it.
const WITHOUT_FORCE = '3.66';
const PAGE = 500;
/** States that are left only when somebody asks for it. */
const SETTLED = [
  'available',
  'deleting',
  'error',
  'error_deleting',
  'error_extending',
  'error_restoring',
  'in-use',
];

const anything = z.unknown();
const ITEM = z.looseObject({ id: z.string() });
const MESSAGES = z.looseObject({ messages: z.array(z.looseObject({ user_message: z.string() })) });
const UPLOAD = z.looseObject({ 'os-volume_upload_image': z.looseObject({ image_id: z.string() }) });

/** Volumes, snapshots and backups of one project. Whatever takes Cinder time is waited for, with a deadline. */
export class Cinder {
  readonly deadlines: CinderDeadlines;
  readonly #service: OpenStackService;

  constructor(client: OpenStackClient, deadlines: CinderDeadlines) {
    this.deadlines = deadlines;
    this.#service = client.service('block-storage', MICROVERSIONS);
  }

  /** A volume, or `NOT_FOUND`. */
  async volume(id: string, call: CallOptions): Promise<CinderVolume> {
    const answer = z.looseObject({ volume: VOLUME });
    return (await this.#service.request({ method: 'GET', path: ['volumes', id], answer }, call)).volume;
  }

  /** All volumes, or those that may have the name, which Cinder takes in upper and lower case, or the metadata. */
  volumes(
    query: { readonly name?: string; readonly metadata?: string },
    call: CallOptions,
  ): AsyncIterable<CinderVolume> {
    return this.#list('volumes', VOLUME, query, call);
  }

  /** Makes a volume, and waits until it is available. */
  async createVolume(
    { gibibytes, type, snapshotId, ...more }: NewVolume,
    call: CallOptions,
  ): Promise<CinderVolume> {
    const from = snapshotId === undefined ? {} : { snapshot_id: snapshotId };
    const volume = { ...more, size: gibibytes, volume_type: type, ...from };
    const id = await this.#create('volume', volume, call);
    return await this.awaitVolume(id, call);
  }

  /** Waits until a volume is available. */
  async awaitVolume(id: string, call: CallOptions): Promise<CinderVolume> {
    await this.#await('volume', id, ['available'], this.deadlines.long, call);
    return await this.volume(id, call);
  }

  /** Removes a volume and waits until it is gone; a missing one is success. */
  removeVolume(id: string, call: CallOptions): Promise<void> {
    return this.#remove('volume', id, call);
  }

  /** A snapshot, or `NOT_FOUND`. */
  async snapshot(id: string, call: CallOptions): Promise<CinderSnapshot> {
    const answer = z.looseObject({ snapshot: SNAPSHOT });
    return (await this.#service.request({ method: 'GET', path: ['snapshots', id], answer }, call)).snapshot;
  }

  /** All snapshots, those of a volume, or those that may have the name. */
  snapshots(
    query: { readonly name?: string; readonly volume_id?: string },
    call: CallOptions,
  ): AsyncIterable<CinderSnapshot> {
    return this.#list('snapshots', SNAPSHOT, query, call);
  }

  /** Takes a snapshot, also of a volume in use, and waits until it is available. */
  async createSnapshot({ volumeId, ...more }: NewSnapshot, call: CallOptions): Promise<void> {
    const microversion = await this.#service.microversion(call);
    const isOld = microversion !== undefined && compare(microversion, WITHOUT_FORCE) < 0;
    const snapshot = { ...more, volume_id: volumeId, ...(isOld && { force: true }) };
    let made: string;
    try {
      made = await this.#create('snapshot', snapshot, call);
    } catch (error) {
      throw FafnirError.is(error) ? namingVolume(volumeId, error) : error;
    }
    await this.awaitSnapshot(made, call);
  }

  /** Waits until a snapshot is available. */
  async awaitSnapshot(id: string, call: CallOptions): Promise<void> {
    await this.#await('snapshot', id, ['available'], this.deadlines.short, call);
  }

  /** Adds to the metadata of a snapshot. */
  async markSnapshot(
    id: string,
    metadata: Readonly<Record<string, string>>,
    call: CallOptions,
  ): Promise<void> {
    const path = ['snapshots', id, 'metadata'];
    await this.#service.request({ method: 'POST', path, body: { metadata }, answer: anything }, call);
  }

  /** Removes a snapshot and waits until it is gone; a missing one is success. */
  removeSnapshot(id: string, call: CallOptions): Promise<void> {
    return this.#remove('snapshot', id, call);
  }

  /** A group and its members, or `NOT_FOUND`. */
  async group(id: string, call: CallOptions): Promise<CinderGroup> {
    const request = { method: 'GET', path: ['groups', id], query: { list_volume: 'true' } } as const;
    const answer = z.looseObject({ group: GROUP });
    return (await this.#service.request({ ...request, answer }, call)).group;
  }

  /** The name of a group type; what it promises is told to administrators alone. */
  async groupTypeName(id: string, call: CallOptions): Promise<string> {
    const answer = z.looseObject({ group_type: z.looseObject({ name: z.string() }) });
    const request = { method: 'GET', path: ['group_types', id], answer } as const;
    return (await this.#service.request(request, call)).group_type.name;
  }

  /** Takes a snapshot of each member of a group, and waits until they are available. */
  async createGroupSnapshot({ name, groupId, attempt }: NewGroupSnapshot, call: CallOptions): Promise<void> {
    const snapshot = { name, group_id: groupId, description: groupDescription(attempt) };
    const id = await this.#create('group_snapshot', snapshot, call);
    await this.#await('group_snapshot', id, ['available'], this.deadlines.short, call);
  }

  /** Removes a group snapshot with its parts, and waits until it is gone; a missing one is success. */
  removeGroupSnapshot(id: string, call: CallOptions): Promise<void> {
    return this.#remove('group_snapshot', id, call);
  }

  /** Makes a volume what its latest snapshot holds. */
  async revert(volumeId: string, snapshotId: string, call: CallOptions): Promise<void> {
    await this.#act(volumeId, { revert: { snapshot_id: snapshotId } }, anything, call);
    await this.awaitVolume(volumeId, call);
    await this.awaitSnapshot(snapshotId, call);
    // Of most backends Cinder takes a snapshot before; until that one is gone, it is the latest.
    const milliseconds = this.deadlines.short;
    for await (const { id, name } of this.snapshots({ volume_id: volumeId }, call)) {
      if (name !== `[revert] volume ${volumeId} backup snapshot`) continue;
      await this.#service.waitUntilGone({ path: ['snapshots', id], member: 'snapshot', milliseconds }, call);
    }
  }

  /** Makes a raw image of a volume, and waits until Cinder is done with it; resolves with the image's id. */
  async upload(volumeId: string, name: string, call: CallOptions): Promise<string> {
    const image = { image_name: name, disk_format: 'raw', container_format: 'bare', visibility: 'private' };
    const answer = await this.#act(volumeId, { 'os-volume_upload_image': image }, UPLOAD, call);
    await this.awaitVolume(volumeId, call);
    return answer['os-volume_upload_image'].image_id;
  }

  /** `UNSUPPORTED` where volumes that exist cannot be filled with images. */
  async checkRefills(call: CallOptions): Promise<void> {
    const microversion = await this.#service.microversion(call);
    if (microversion === undefined || compare(microversion, WITH_REIMAGE) >= 0) return;
    throw new FafnirError(
      'UNSUPPORTED',
      `this Cinder fills no volumes with images: that came with microversion ${WITH_REIMAGE}, and it has ${microversion}`,
      { hint: 'Give the array a path rbd or files to write by, or use a Cinder of Yoga or later.' },
    );
  }

  /**
   * Makes a volume that nobody uses what a raw image holds, and waits until it is. It then counts as made from that image: see
   * {@link Cinder.setOrigin}.
   */
  async refill(volumeId: string, imageId: string, call: CallOptions): Promise<void> {
    await this.#act(volumeId, { 'os-reimage': { image_id: imageId } }, anything, call);
    await this.awaitVolume(volumeId, call);
  }

  /** What Cinder keeps of the image that a volume was made from. */
  async origin(volumeId: string, call: CallOptions): Promise<VolumeOrigin> {
    const answer = z.looseObject({ volume: ORIGIN });
    const request = { method: 'GET', path: ['volumes', volumeId], answer } as const;
    return (await this.#service.request(request, call)).volume;
  }

  /** Makes it what it was. */
  async setOrigin(volumeId: string, { bootable, metadata }: VolumeOrigin, call: CallOptions): Promise<void> {
    const now = await this.origin(volumeId, call);
    for (const key of Object.keys(now.metadata)) {
      if (key in metadata) continue;
      await this.#act(volumeId, { 'os-unset_image_metadata': { key } }, anything, call);
    }
    if (Object.keys(metadata).length > 0) {
      await this.#act(volumeId, { 'os-set_image_metadata': { metadata } }, anything, call);
    }
    await this.#act(volumeId, { 'os-set_bootable': { bootable } }, anything, call);
  }

  /** Backups that may have the name. */
  backups(name: string, call: CallOptions): AsyncIterable<CinderBackup> {
    return this.#list('backups', BACKUP, { name }, call);
  }

  /** Makes a full backup of a volume that nobody uses, and waits until it is available. */
  async createBackup({ volumeId, ...more }: NewBackup, call: CallOptions): Promise<CinderBackup> {
    const id = await this.#create('backup', { ...more, volume_id: volumeId, incremental: false }, call);
    await this.#await('backup', id, ['available'], this.deadlines.long, call);
    return { id, name: more.name, status: 'available', volumeId };
  }

  /** Removes a backup and waits until it is gone; a missing one is success. */
  removeBackup(id: string, call: CallOptions): Promise<void> {
    return this.#remove('backup', id, call);
  }

  /** What Cinder last said of a resource that failed; empty where it said nothing. */
  async complaint(id: string, call: CallOptions): Promise<string> {
    const query = { resource_uuid: id, sort: 'created_at:desc', limit: 1 };
    const { messages } = await this.#service.request(
      { method: 'GET', path: ['messages'], query, answer: MESSAGES },
      call,
    );
    return messages[0]?.user_message ?? '';
  }

  #list<Item>(
    collection: string,
    item: z.ZodType<Item>,
    query: Readonly<Record<string, string>>,
    call: CallOptions,
  ): AsyncIterable<Item> {
    return this.#service.list(
      { path: [collection, 'detail'], collection, item, query, pageSize: PAGE },
      call,
    );
  }

  async #create(kind: Kind, body: JsonObject, call: CallOptions): Promise<string> {
    const answer = z.looseObject({ [kind]: ITEM });
    const made = await this.#service.request(
      { method: 'POST', path: [`${kind}s`], body: { [kind]: body }, answer },
      call,
    );
    return ITEM.parse(made[kind]).id;
  }

  #act<Answer>(
    volumeId: string,
    body: JsonObject,
    answer: z.ZodType<Answer>,
    call: CallOptions,
  ): Promise<Answer> {
    const path = ['volumes', volumeId, 'action'];
    return this.#service.request({ method: 'POST', path, body, answer }, call);
  }

  #await(
    kind: Kind,
    id: string,
    until: readonly string[],
    milliseconds: number,
    call: CallOptions,
  ): Promise<JsonObject> {
    return this.#service.waitFor({ path: [`${kind}s`, id], member: kind, until, milliseconds }, call);
  }

  async #askToRemove(kind: Kind, id: string, call: CallOptions): Promise<void> {
    try {
      await this.#service.request({ method: 'DELETE', path: [`${kind}s`, id], answer: anything }, call);
    } catch (error) {
      if (!isBadRequest(error)) throw error;
      // Refused, too, where somebody else has just asked for it.
      const { status } = await this.#await(kind, id, SETTLED, this.deadlines.long, call);
      if (status !== 'deleting') throw error;
    }
  }

  async #remove(kind: Kind, id: string, call: CallOptions): Promise<void> {
    const { long } = this.deadlines;
    let refusal: unknown;
    try {
      // What is still being made cannot be removed.
      const { status } = await this.#await(kind, id, SETTLED, long, call);
      if (status !== 'deleting') await this.#askToRemove(kind, id, call);
      // Cinder makes available again what its backend would not remove.
      await this.#await(kind, id, ['available'], long, call);
    } catch (error) {
      if (FafnirError.is(error, 'NOT_FOUND')) return;
      if (!isBadRequest(error)) throw error;
      refusal = error;
    }
    const said = FafnirError.is(refusal) ? refusal.message : await this.complaint(id, call);
    throw new FafnirError(
      'BUSY',
      `${kind.replace('_', ' ')} ${id} cannot be removed${said === '' ? '' : `: ${said}`}`,
      {
        retryable: false,
        hint: 'Detach it, and remove what was made from it first: snapshots, volumes, group snapshots.',
        cause: refusal,
      },
    );
  }
}

// What Cinder refuses does not say of which volume.
function namingVolume(id: string, error: FafnirError): FafnirError {
  const { code, message, retryable, hint, cause, retryAfterMilliseconds } = error;
  const facts = {
    retryable,
    hint,
    cause,
    ...(retryAfterMilliseconds !== undefined && { retryAfterMilliseconds }),
  };
  return new FafnirError(code, `volume ${id}: ${message}`, facts);
}

/** True where Cinder answered that it does not do such a thing, such as in the state that a resource is in. */
export function isBadRequest(error: unknown): error is FafnirError {
  if (!FafnirError.is(error) || typeof error.cause !== 'object' || error.cause === null) return false;
  return 'status' in error.cause && error.cause.status === 400;
}
