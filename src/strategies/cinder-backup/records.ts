import * as z from 'zod';
import type { OpenStackClient } from '../../clients/openstack/index.ts';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/** What an administrator can make Cinder know a backup again by, in this cloud or another that has its container. */
export interface CinderBackupRecord {
  /** The backup, which keeps its id. */
  readonly id: string;
  /** The driver of Cinder that wrote it. */
  readonly service: string;
  /** In Cinder's own form. */
  readonly url: string;
}

const MICROVERSIONS = { least: '3.43', most: '3.70' };
// A chain of Cinder has no end by itself; one that is longer is no longer believed.
const LONGEST_CHAIN = 1_000;

const exported = z.looseObject({
  'backup-record': z.looseObject({ backup_service: z.string(), backup_url: z.string() }),
});
const inside = z.looseObject({ parent_id: z.string().nullish() });

/** The records of a backup and of all that it is built on, the oldest first. An administrator's call. */
export async function exportRecords(
  administrator: OpenStackClient,
  id: string,
  call: CallOptions,
): Promise<readonly CinderBackupRecord[]> {
  const service = administrator.service('block-storage', MICROVERSIONS);
  const records: CinderBackupRecord[] = [];
  let next: string | undefined = id;
  while (next !== undefined && records.length < LONGEST_CHAIN) {
    const path = ['backups', next, 'export_record'];
    const { 'backup-record': record } = await service.request(
      { method: 'GET', path, answer: exported },
      call,
    );
    records.unshift({ id: next, service: record.backup_service, url: record.backup_url });
    next = parentIn(record.backup_url);
  }
  return records;
}

function parentIn(url: string): string | undefined {
  try {
    return inside.parse(JSON.parse(Buffer.from(url, 'base64').toString('utf8'))).parent_id ?? undefined;
  } catch (error) {
    throw new FafnirError('WRONG_ANSWER', 'a record of a backup is not in the form that Cinder gives it', {
      cause: error,
    });
  }
}

/**
 * Makes Cinder know backups by their records, the oldest first, and waits until they are available; those that it knows stay
 * as they are. An administrator's call.
 */
export async function importRecords(
  administrator: OpenStackClient,
  records: readonly CinderBackupRecord[],
  { timeout, ...call }: CallOptions & { readonly timeout: number },
): Promise<void> {
  const service = administrator.service('block-storage', MICROVERSIONS);
  for (const { id, service: backup_service, url } of records) {
    const path = ['backups', id];
    const isKnown = await service.request({ method: 'GET', path, answer: z.unknown() }, call).then(
      () => true,
      (error: unknown) => {
        if (FafnirError.is(error, 'NOT_FOUND')) return false;
        throw error;
      },
    );
    if (!isKnown) {
      const body = { 'backup-record': { backup_service, backup_url: url } };
      await service.request(
        { method: 'POST', path: ['backups', 'import_record'], body, answer: z.unknown() },
        call,
      );
    }
    await service.waitFor({ path, member: 'backup', until: ['available'], milliseconds: timeout }, call);
  }
}
