import * as z from 'zod';

/** A volume as Cinder tells of it. */
export interface CinderVolume {
  /** A UUID. */
  readonly id: string;
  /** Names are not unique. */
  readonly name: string;
  /** Such as `available`. */
  readonly status: string;
  /** GiB. */
  readonly gibibytes: number;
  /** The name of its type. */
  readonly type: string;
  /** Cinder has its key, and the backend has what was encrypted with it. */
  readonly isEncrypted: boolean;
  /** By Cinder's clock, to the second. */
  readonly createdAt: string;
  /** What it was made from. */
  readonly snapshotId: string | undefined;
  /** The group that it was put into. */
  readonly groupId: string | undefined;
  /** Text by key. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A group of volumes as Cinder tells of it. */
export interface CinderGroup {
  /** A UUID. */
  readonly id: string;
  /** Such as `available`. */
  readonly status: string;
  /** The id of its group type. */
  readonly typeId: string;
  /** Its members. */
  readonly volumeIds: readonly string[];
}

/**
 * How a snapshot came to be. `partial`: by an array, and the others of its set may be missing. `complete`: when it was
 * marked so, all of its set were there. `foreign`: by others.
 */
export type SnapshotOrigin = 'complete' | 'foreign' | 'partial';

/** A snapshot as Cinder tells of it. */
export interface CinderSnapshot {
  /** A UUID. */
  readonly id: string;
  /** Names are not unique. */
  readonly name: string;
  /** Its volume. */
  readonly volumeId: string;
  /** Such as `available`. */
  readonly status: string;
  /** Of its volume then. */
  readonly gibibytes: number;
  /** When Cinder began with it, by its clock, to the second; ISO 8601 in UTC. */
  readonly takenAt: string;
  /** The group snapshot that it is a part of: Cinder removes the whole of it alone. */
  readonly groupSnapshotId: string | undefined;
  /** It was removed, and is there as long as others of its group snapshot are not. */
  readonly isRemoved: boolean;
  /** How it came to be. */
  readonly origin: SnapshotOrigin;
  /** Which attempt to take a set it is of; empty where it is foreign. */
  readonly attempt: string;
}

/** A backup as Cinder tells of it. */
export interface CinderBackup {
  /** A UUID. */
  readonly id: string;
  /** Names are not unique. */
  readonly name: string;
  /** Such as `available`. */
  readonly status: string;
  /** What it was made of. */
  readonly volumeId: string;
}

/** What Cinder keeps of the image that a volume was made from. */
export interface VolumeOrigin {
  /** Servers may start from it. */
  readonly bootable: boolean;
  /** Text by key: what Nova asks for of a volume that a server starts from. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Keys of metadata. */
export const KEYS = {
  /** Of a snapshot: which attempt took it. */
  attempt: 'fafnir-attempt',
  /** Of a snapshot: `partial` or `complete`. */
  state: 'fafnir-state',
  /** Of a snapshot that is a part of a group snapshot: `true` where it was removed. */
  removed: 'fafnir-removed',
  /** Of a volume: the name that it was asked for under. */
  name: 'fafnir-name',
  /** Of a volume that is there for a while only: who reads by it. */
  temporary: 'fafnir-temporary',
  /** Of such a volume: the snapshot that is read by it. */
  snapshot: 'fafnir-snapshot',
  /** Of a volume that a mover attaches: the mover's host. */
  mover: 'fafnir-mover',
  /** Of such a volume: the attachment, or nothing before there is one. */
  attachment: 'fafnir-attachment',
} as const;

/** The metadata of a snapshot of an attempt. */
export const snapshotMetadata = (
  attempt: string,
  state: Exclude<SnapshotOrigin, 'foreign'>,
): Record<string, string> => ({ [KEYS.attempt]: attempt, [KEYS.state]: state });

/** The description of a group snapshot of an attempt, which its parts have from the beginning; metadata they have not. */
export const groupDescription = (attempt: string): string => `${KEYS.attempt} ${attempt}`;

const GROUP_DESCRIPTION = new RegExp(`^${KEYS.attempt} (\\S+)$`);

const metadata = z.record(z.string(), z.string()).nullish();

/** A volume in an answer. */
export const VOLUME: z.ZodType<CinderVolume> = z
  .looseObject({
    id: z.string(),
    name: z.string().nullish(),
    status: z.string(),
    size: z.int().positive(),
    volume_type: z.string().nullish(),
    encrypted: z.boolean().nullish(),
    created_at: z.string(),
    snapshot_id: z.string().nullish(),
    group_id: z.string().nullish(),
    metadata,
  })
  .transform((volume) => ({
    id: volume.id,
    name: volume.name ?? '',
    status: volume.status,
    gibibytes: volume.size,
    type: volume.volume_type ?? '',
    isEncrypted: volume.encrypted === true,
    createdAt: volume.created_at,
    snapshotId: volume.snapshot_id ?? undefined,
    groupId: volume.group_id ?? undefined,
    metadata: volume.metadata ?? {},
  }));

/** A group in an answer. */
export const GROUP: z.ZodType<CinderGroup> = z
  .looseObject({ id: z.string(), status: z.string(), group_type: z.string(), volumes: z.array(z.string()) })
  .transform(({ id, status, group_type, volumes }) => ({
    id,
    status,
    typeId: group_type,
    volumeIds: volumes,
  }));

/** The same volume, as to its image. */
export const ORIGIN: z.ZodType<VolumeOrigin> = z
  .looseObject({ bootable: z.enum(['true', 'false']), volume_image_metadata: metadata })
  .transform(({ bootable, volume_image_metadata }) => ({
    bootable: bootable === 'true',
    metadata: volume_image_metadata ?? {},
  }));

/** A snapshot in an answer. */
export const SNAPSHOT: z.ZodType<CinderSnapshot> = z
  .looseObject({
    id: z.string(),
    name: z.string().nullish(),
    volume_id: z.string(),
    status: z.string(),
    size: z.int().positive(),
    // Without a zone: it is UTC.
    created_at: z.iso.datetime({ local: true }),
    group_snapshot_id: z.string().nullish(),
    description: z.string().nullish(),
    metadata,
  })
  .transform((snapshot) => {
    const groupSnapshotId = snapshot.group_snapshot_id ?? undefined;
    const described =
      groupSnapshotId === undefined ? null : GROUP_DESCRIPTION.exec(snapshot.description ?? '');
    const { [KEYS.attempt]: attempt = described?.[1] ?? '', [KEYS.state]: state } = snapshot.metadata ?? {};
    const ours = state === 'complete' ? 'complete' : 'partial';
    return {
      id: snapshot.id,
      name: snapshot.name ?? '',
      volumeId: snapshot.volume_id,
      status: snapshot.status,
      gibibytes: snapshot.size,
      takenAt: new Date(`${snapshot.created_at.replace(/Z$/, '')}Z`).toISOString(),
      groupSnapshotId,
      isRemoved:
        groupSnapshotId !== undefined && attempt !== '' && snapshot.metadata?.[KEYS.removed] === 'true',
      origin: attempt === '' ? 'foreign' : ours,
      attempt,
    };
  });

/** A backup in an answer. */
export const BACKUP: z.ZodType<CinderBackup> = z
  .looseObject({
    id: z.string(),
    name: z.string().nullish(),
    status: z.string(),
    volume_id: z.string(),
  })
  .transform(({ id, name, status, volume_id }) => ({ id, name: name ?? '', status, volumeId: volume_id }));
