import * as z from 'zod';
import type { SnapshotCopy } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { CinderBackupRecord } from './records.ts';

/** What the reference of a copy tells. */
export interface CinderBackupReference {
  /** The backup's. */
  readonly id: string;
  /** What it was asked for under, and its name. */
  readonly token: string;
  /** Of what the snapshot held: SHA-256 over that of every 4 MiB. */
  readonly digest: string;
  /** Of the backup and those that it is built on, the oldest first. */
  readonly records?: readonly CinderBackupRecord[];
}

const reference: z.ZodType<CinderBackupReference> = z.strictObject({
  id: z.uuid(),
  token: z.string().min(1).max(255),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  records: z
    .array(z.strictObject({ id: z.string(), service: z.string(), url: z.string() }))
    .readonly()
    .exactOptional(),
});

/** The reference of a copy, or `CORRUPT`. */
export function referenceOf({ reference: given, location }: SnapshotCopy): CinderBackupReference {
  const parsed = reference.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new FafnirError('CORRUPT', `the record of a copy in ${location} names no backup of Cinder`);
}

/** The records that a copy has of its backup and those that it is built on, the oldest first; `NOT_FOUND` where it has none. */
export function recordsOf(copy: SnapshotCopy): readonly CinderBackupRecord[] {
  const { id, records } = referenceOf(copy);
  if (records !== undefined) return records;
  throw new FafnirError('NOT_FOUND', `the checkpoint has no records of backup ${id}`, {
    hint: 'Give cinderBackups an administrator, who may export them.',
  });
}
