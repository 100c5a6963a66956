import { constants } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { FafnirError } from '../../core/errors.ts';
import { openFile, replaceFile } from './durable.ts';
import { errnoOf } from './file-errors.ts';

/** What makes a set of snapshots complete: a set's folder without its record is nothing. */
export type SetRecord = {
  /** The version of this record. */
  readonly format: 1;
  /** Tells this set from another of the same name, taken later. */
  readonly set: string;
  /** ISO 8601 in UTC. */
  readonly takenAt: string;
  /** The volumes whose snapshots are kept, with their sizes at that instant. */
  readonly volumes: readonly { readonly id: string; readonly size: number }[];
};

const FILE = 'record.json';
/** Bytes; about 20 000 volumes. */
const LARGEST = 4 * 1024 * 1024;

const schema = z.strictObject({
  format: z.literal(1),
  set: z.uuid(),
  takenAt: z.iso.datetime(),
  volumes: z.array(z.strictObject({ id: z.string(), size: z.int().nonnegative() })).min(1),
}) satisfies z.ZodType<SetRecord>;

/** The record in a set's folder; undefined where there is none. */
export async function readSetRecord(folder: string): Promise<SetRecord | undefined> {
  const path = join(folder, FILE);
  let text: string;
  try {
    await using file = await openFile(path, constants.O_RDONLY);
    const { size } = await file.stat();
    if (size > LARGEST) throw new FafnirError('CORRUPT', `${path} is larger than any record`);
    text = await file.readFile('utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw FafnirError.from(error, 'CORRUPT', `${path} is not a record of snapshots`);
  }
}

/** Writes the record, as a whole and durably. */
export async function writeSetRecord(folder: string, record: SetRecord): Promise<void> {
  await replaceFile(join(folder, FILE), `${JSON.stringify(record, undefined, 2)}\n`);
}
