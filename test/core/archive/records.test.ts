import * as z from 'zod';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { digestOf, encodeRecord, getRecord } from '../../../src/core/archive/records.ts';
import { countingCall } from './volumes.ts';

const schema = z.strictObject({ name: z.string() });
const record = { name: 'Ünïcode "quoted"' };
const put = { ifAbsent: false, ...countingCall() };

/** Reads a record that is stored as these bytes. */
async function stored(body: Uint8Array, expected?: string): Promise<unknown> {
  const bank = memoryBank({ name: 'bank' });
  await bank.put('a', body, put);
  return getRecord(bank, 'a', schema, countingCall(), expected);
}

const withDigest = (json: string): Uint8Array => Buffer.from(`${digestOf(json)}\n${json}`);

describe('a record', () => {
  it('reads back as it was stored', async () => {
    const { body, digest } = encodeRecord(record);
    expect(await stored(body)).toEqual(record);
    expect(await stored(body, digest)).toEqual(record);
  });

  it('is CORRUPT with any byte changed', async () => {
    const { body } = encodeRecord(record);
    const accepted: number[] = [];
    for (const at of body.keys()) {
      const changed = body.map((byte, position) => (position === at ? byte ^ 1 : byte));
      const outcome = await stored(changed).catch((error: { code: string }) => error.code);
      if (outcome !== 'CORRUPT') accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  it('is CORRUPT however much of it is missing', async () => {
    const { body } = encodeRecord(record);
    for (const length of body.keys())
      await expect(stored(body.subarray(0, length)), `${length}`).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it.each([
    ['another record', withDigest('{"name":"x"}')],
    ['more than it should have', withDigest(`{"name":"x","more":1}`)],
    ['less than it should have', withDigest('{}')],
    ['no JSON', withDigest('name')],
    ['nothing', withDigest('')],
    ['null', withDigest('null')],
    [
      'bytes that are no text',
      Buffer.concat([Buffer.from(`${digestOf(Buffer.from([0xff]))}\n`), Buffer.from([0xff])]),
    ],
  ])('is CORRUPT where it should be one and is %s', async (_, body) => {
    await expect(stored(body, encodeRecord(record).digest)).rejects.toMatchObject({ code: 'CORRUPT' });
    if (_ !== 'another record') await expect(stored(body)).rejects.toMatchObject({ code: 'CORRUPT' });
  });
});
