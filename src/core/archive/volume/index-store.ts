import { randomBytes } from 'node:crypto';
import type { CallOptions } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { isId } from '../../identity.ts';
import { bankKeys } from '../keys.ts';
import { ENTRY_BYTES, PACK_NAME_BYTES, PackHeader } from '../pack.ts';
import { isDamage } from '../records.ts';
import type { Vault } from '../vault.ts';
import { fetchedAhead } from './lanes.ts';
import { assertEntries, MOST_CHUNKS_IN_PACK } from './pack-entries.ts';

/** A pack, as an index tells of it. */
export interface IndexedPack {
  /** 32 hexadecimal digits. */
  readonly name: string;
  /** The data key that it is sealed under. */
  readonly keyId: string;
  /** What is in it. */
  readonly header: PackHeader;
}

/** An index that was read. */
export interface Index {
  /** `TOKEN/NAME`. */
  readonly name: string;
  /** What it tells of. */
  readonly packs: readonly IndexedPack[];
}

const LARGEST_INDEX = 64 * 1024 * 1024;
// Beside the one that is looked at: whoever reads with one thread has no more than two requests under way.
const READ_AHEAD = 1;
// More than sealing adds.
const SEALING_ROOM = 1024;
const KEY_ID_BYTES = 8;
const PACK_HEAD_BYTES = PACK_NAME_BYTES + KEY_ID_BYTES + 4;

/** Stores an index of some packs below this token, under a name of chance; resolves with `TOKEN/NAME`. */
export async function putIndex(
  vault: Vault,
  token: string,
  packs: readonly IndexedPack[],
  call: CallOptions,
): Promise<string> {
  const content = encodeIndex(packs);
  if (content.length > LARGEST_INDEX - SEALING_ROOM) {
    throw new FafnirError(
      'LIMIT_EXCEEDED',
      `an index of ${content.length} bytes is larger than readers take`,
    );
  }
  const name = `${token}/${randomBytes(16).toString('hex')}`;
  await vault.put(bankKeys.index(vault.tenant, name), content, call);
  return name;
}

/** The names of the indexes below a token, or of all of the tenant. */
export async function* listIndexes(
  vault: Vault,
  token: string | undefined,
  call: CallOptions,
): AsyncGenerator<string> {
  const all = bankKeys.indexes(vault.tenant);
  const prefix = token === undefined ? all : `${all}${token}/`;
  for await (const { key } of vault.bank.list(prefix, call)) {
    const name = key.slice(all.length);
    if (isIndexName(name)) yield name;
  }
}

/** Whether this is `TOKEN/NAME`. */
export function isIndexName(name: string): boolean {
  const parts = name.split('/');
  return parts.length === 2 && parts.every(isId);
}

/** Removes indexes. */
export const removeIndexes = (vault: Vault, names: readonly string[], call: CallOptions): Promise<void> =>
  vault.bank.remove(
    names.map((name) => bankKeys.index(vault.tenant, name)),
    call,
  );

/**
 * The indexes of these names. One that does not open or is not what the format says is passed over: indexes only save
 * time. Where one is gone, it was written anew without packs that are gone, and the others below its token are read.
 */
export async function* readIndexes(
  vault: Vault,
  names: Iterable<string> | AsyncIterable<string>,
  call: CallOptions,
  refused: (key: string, error: unknown) => void = () => undefined,
): AsyncGenerator<Index> {
  const seen = new Set<string>();
  const read = async (name: string, signal: AbortSignal) => ({
    name,
    index: await readIndex(vault, name, { signal }, refused),
  });
  const ahead = { ahead: READ_AHEAD, signal: call.signal };
  for await (const { name, index } of fetchedAhead(unseen(names, seen), ahead, read)) {
    if (index !== undefined) {
      yield index;
      continue;
    }
    for await (const other of listIndexes(vault, tokenOf(name), call)) {
      if (seen.has(other)) continue;
      seen.add(other);
      const found = await readIndex(vault, other, call, refused);
      if (found !== undefined) yield found;
    }
  }
}

async function* unseen(
  names: Iterable<string> | AsyncIterable<string>,
  seen: Set<string>,
): AsyncGenerator<string> {
  for await (const name of names) {
    if (seen.has(name)) continue;
    seen.add(name);
    yield name;
  }
}

/** The token of an index. */
export const tokenOf = (name: string): string => name.slice(0, name.indexOf('/'));

async function readIndex(
  vault: Vault,
  name: string,
  call: CallOptions,
  refused: (key: string, error: unknown) => void,
): Promise<Index | undefined> {
  const key = bankKeys.index(vault.tenant, name);
  try {
    return { name, packs: decodeIndex(vault, key, await vault.get(key, LARGEST_INDEX, call)) };
  } catch (error) {
    // What is sealed under a key that nobody holds may still be told of by another index, or by the packs.
    if (!isDamage(error) && !FafnirError.is(error, 'UNKNOWN_KEY')) throw error;
    refused(key, error);
    return undefined;
  }
}

function encodeIndex(packs: readonly IndexedPack[]): Uint8Array {
  const entries = packs.reduce((sum, { header }) => sum + header.bytes.length, 0);
  const bytes = Buffer.alloc(4 + packs.length * PACK_HEAD_BYTES + entries);
  bytes.writeUInt32LE(packs.length);
  let at = 4;
  for (const { name, keyId, header } of packs) {
    bytes.set(Buffer.from(name, 'hex'), at);
    bytes.set(Buffer.from(keyId, 'hex'), at + PACK_NAME_BYTES);
    bytes.writeUInt32LE(header.count, at + PACK_NAME_BYTES + KEY_ID_BYTES);
    bytes.set(header.bytes, at + PACK_HEAD_BYTES);
    at += PACK_HEAD_BYTES + header.bytes.length;
  }
  return bytes;
}

function decodeIndex(vault: Vault, key: string, content: Uint8Array): readonly IndexedPack[] {
  const corrupt = (): FafnirError => vault.corrupt(key, 'is not what the format says');
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  if (bytes.length < 4) throw corrupt();
  const packs: IndexedPack[] = [];
  let at = 4;
  for (let left = bytes.readUInt32LE(); left > 0; left -= 1) {
    if (bytes.length - at < PACK_HEAD_BYTES) throw corrupt();
    const name = bytes.toString('hex', at, at + PACK_NAME_BYTES);
    const keyId = bytes.toString('hex', at + PACK_NAME_BYTES, at + PACK_NAME_BYTES + KEY_ID_BYTES);
    const count = bytes.readUInt32LE(at + PACK_NAME_BYTES + KEY_ID_BYTES);
    const start = at + PACK_HEAD_BYTES;
    const end = start + count * ENTRY_BYTES;
    if (count > MOST_CHUNKS_IN_PACK || end > bytes.length) throw corrupt();
    const header = new PackHeader(bytes.subarray(start, end));
    assertEntries(`${key} in bank ${vault.bank.name}`, header);
    packs.push({ name, keyId, header });
    at = end;
  }
  if (at !== bytes.length) throw corrupt();
  return packs;
}
