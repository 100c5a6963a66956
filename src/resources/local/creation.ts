import * as z from 'zod';
import type { CallOptions, JsonObject, ResourceKey } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Draft } from './draft.ts';
import type { RecordFolder } from './record-folder.ts';
import { type CommonFields, readFields } from './record.ts';

const tokenOnly = z.looseObject({ token: z.string().optional() });
const TOKEN = /^[a-f0-9]{32}$/;

/** What to make. */
export interface Creation {
  /** Where. */
  readonly folder: RecordFolder;
  /** The id of the original: the new one has it too where it is free. */
  readonly original: string;
  /** Names this creation, see CreateRequest. */
  readonly token: string;
  /** The record, without a token. */
  readonly record: JsonObject;
  /** True where an id without a record is in use all the same. */
  inUse?(id: string): Promise<boolean>;
}

/**
 * Finds the record that carries the token, else adds it under the original's id or, where another has that one,
 * under the id with the beginning of the token. Returns the id. Two callers with one token, in whatever processes,
 * get one record.
 */
export async function findOrCreate(
  { folder, original, token, record, inUse }: Creation,
  call: CallOptions,
): Promise<string> {
  assertToken(token);
  const ids = [original, `${original.slice(0, 111)}-${token.slice(0, 8)}`];
  // Both are looked at before one is made: the original may have gone since the first call.
  const find = async (): Promise<string | undefined> => {
    for (const id of ids) if (await carriesToken(folder, id, token)) return id;
    return undefined;
  };
  const found = await find();
  if (found !== undefined) {
    await folder.sweep(token);
    await folder.sync();
    return found;
  }
  const place = async (draft: Draft): Promise<string> => {
    // Again, now that nobody else with the token can make one unseen.
    const made = await find();
    if (made !== undefined) return made;
    for (const id of ids) {
      if (!(await inUse?.(id)) && (await draft.add(id))) return id;
    }
    throw new FafnirError('ALREADY_EXISTS', `no free id for ${folder.path(original)}`);
  };
  return await folder.write(token, { ...record, token }, place, call);
}

/** Refuses, with `NOT_FOUND`, a resource that does not carry the token: it was there before, or is another's. */
export function assertCreatedBy({ type, id }: ResourceKey, fields: CommonFields, token: string): void {
  if (fields.token === token) return;
  throw new FafnirError('NOT_FOUND', `${type} ${id} does not carry the token of this creation`);
}

/** Whether the record of this id carries the token. */
export async function carriesToken(folder: RecordFolder, id: string, token: string): Promise<boolean> {
  return (await holderOf(folder, id)) === token;
}

/** Whether no record has this id, not even a damaged one. */
export async function isFree(folder: RecordFolder, id: string): Promise<boolean> {
  return (await holderOf(folder, id)) === 'nobody';
}

/** The ids of the records that carry the token. Looks at every record: the token alone does not tell the id. */
export async function* createdBy(
  folder: RecordFolder,
  token: string,
  call: CallOptions,
): AsyncIterable<string> {
  assertToken(token);
  for await (const id of folder.ids('.json', call)) {
    if ((await holderOf(folder, id)) === token) yield id;
  }
}

function assertToken(token: string): void {
  if (!TOKEN.test(token)) throw new FafnirError('INVALID_ID', 'a token is 32 characters of a-f 0-9');
}

async function holderOf(folder: RecordFolder, id: string): Promise<string> {
  try {
    const fields = await readFields(folder, id, tokenOnly);
    return fields === undefined ? 'nobody' : (fields.token ?? 'another');
  } catch (error) {
    // A damaged record is not ours, for ours are written whole; it must not be in the way of a restore or its undoing.
    if (FafnirError.is(error, 'CORRUPT')) return 'another';
    throw error;
  }
}
