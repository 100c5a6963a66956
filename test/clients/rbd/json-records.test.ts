import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonRecords } from '../../../src/clients/rbd/json-records.ts';

async function records(text: string, length = 7): Promise<unknown[]> {
  const bytes = Buffer.from(text);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
  }
  const found: unknown[] = [];
  for await (const one of jsonRecords(chunks())) found.push(one);
  return found;
}

test('the records of a list are those that JSON finds, however it is cut', async () => {
  const text = fc.string({ unit: 'grapheme' });
  const flat = fc.dictionary(text, fc.oneof(text, fc.integer(), fc.dictionary(text, text)));
  await fc.assert(
    fc.asyncProperty(
      fc.array(flat),
      fc.integer({ min: 1, max: 50 }),
      fc.nat(2),
      async (list, cut, indent) => {
        const printed = `${JSON.stringify(list, null, indent)}\n`;
        expect(await records(printed, cut)).toEqual(JSON.parse(printed));
      },
    ),
  );
});

test.each([
  '',
  '[',
  ']',
  '{}',
  '[{}',
  '[{},',
  '[{}]]',
  '[,{}]',
  '[{}{}]',
  '[{"a":}]',
  '[1]',
  '[{}] x',
  '[{"a":"',
])('%j is WRONG_ANSWER', async (text) => {
  await expect(records(text)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
});

test('a record that does not end is WRONG_ANSWER before memory is', async () => {
  await expect(records(`[{"a":"${'x'.repeat(70_000)}`, 10_000)).rejects.toMatchObject({
    code: 'WRONG_ANSWER',
  });
});
