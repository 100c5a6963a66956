import { createHmac } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import {
  ENTRY_BYTES,
  PackHeader,
  PackSeal,
  parseTrailer,
  TRAILER_BYTES,
} from '../../src/core/archive/pack.ts';
import { openObject } from '../../src/core/archive/sealed-object.ts';
import { counterNonce, deriveIdKey, deriveSubkey, keyIdOf, seal } from '../../src/core/archive/sealing.ts';
import vectors from './vectors.json' with { type: 'json' };

const bytes = (digits: string): Uint8Array => Buffer.from(digits, 'hex');
const hex = (parts: Uint8Array): string => Buffer.from(parts).toString('hex');

const { dataKey } = vectors;
const key = { id: dataKey.id, secret: bytes(dataKey.secret), repository: bytes(dataKey.repository) };
const idOf = (data: Uint8Array | string): string =>
  createHmac('sha256', deriveIdKey(key)).update(data).digest('hex');

test('keys are derived as the vectors say', () => {
  expect(keyIdOf(key.secret)).toBe(dataKey.id);
  expect(hex(deriveIdKey(key))).toBe(dataKey.chunkIdKey);
  const { recordKey, packKey } = vectors;
  const record = deriveSubkey(key, bytes(recordKey.salt), 'record');
  const pack = deriveSubkey(key, bytes(packKey.name), 'pack');
  expect([hex(record.key), hex(record.commitment)]).toEqual([recordKey.key, recordKey.commitment]);
  expect([hex(pack.key), hex(pack.commitment)]).toEqual([packKey.key, packKey.commitment]);
});

test('a record and an index open', () => {
  const { record, index } = vectors;
  const content = openObject(key, record.objectKey, bytes(record.object));
  expect(zstdDecompressSync(content).toString()).toBe(record.json);
  expect(idOf(record.json)).toBe(record.digest);
  expect(hex(openObject(key, index.objectKey, bytes(index.object)))).toBe(index.content);
});

test('a pack opens, and is sealed to the same bytes', () => {
  const { packKey, pack, index } = vectors;
  const whole = bytes(pack.object);
  const packSeal = new PackSeal(key, bytes(packKey.name));
  const trailer = parseTrailer(packSeal.what, whole.subarray(-TRAILER_BYTES));
  const headerStart = whole.length - TRAILER_BYTES - trailer.headerBytes;
  const header = packSeal.openHeader(trailer, whole.subarray(headerStart, whole.length - TRAILER_BYTES));
  // After the number of packs, the name, the key and the number of chunks.
  expect(hex(header.bytes)).toBe(index.content.slice(2 * (4 + 16 + 8 + 4)));
  expect(header.bytes).toHaveLength(pack.chunks.length * ENTRY_BYTES);
  for (const chunk of header.chunks()) {
    const sealed = whole.subarray(chunk.offset, chunk.offset + chunk.storedBytes);
    const stored = packSeal.openChunk(chunk, sealed);
    const data = chunk.flags === 0 ? stored : zstdDecompressSync(stored);
    expect(pack.chunks[chunk.at]).toEqual({ id: idOf(data), bytes: hex(data) });
    expect(hex(chunk.id)).toBe(idOf(data));
    const again = new Uint8Array(chunk.storedBytes);
    expect(packSeal.sealChunk(chunk, stored, again)).toBe(chunk.storedBytes);
    expect(hex(again)).toBe(hex(sealed));
  }
  const end = packSeal.sealHeader(new PackHeader(header.bytes));
  expect(hex(Buffer.concat(end))).toBe(hex(whole.subarray(headerStart)));
});

test('a record is sealed to the same bytes', () => {
  const { record } = vectors;
  const content = openObject(key, record.objectKey, bytes(record.object));
  const bound = Buffer.concat([key.repository, Buffer.from(record.objectKey)]);
  const sealed = bytes(record.object).subarray(8 + 8 + 16 + 32);
  // After the magic and the key's id comes the salt.
  const { key: subkey } = deriveSubkey(key, bytes(record.object).subarray(16, 32), 'record');
  expect(hex(seal(subkey, counterNonce(0), bound, content))).toBe(hex(sealed));
});
