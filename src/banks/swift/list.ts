import * as z from 'zod';
import { parseAnswer } from '../../clients/openstack/answers.ts';
import { isBankKey } from '../../core/bank-keys.ts';
import type { BankObject, CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Container } from './container.ts';

const PAGE = 1_000;
const LARGEST_PAGE = 8 * 1024 ** 2;
const OBJECTS = z.array(z.looseObject({ name: z.string(), bytes: z.int().min(0) }));

/**
 * Objects in the order of their keys, page by page up to an empty one: services that give fewer at once than they are
 * asked for do not say so.
 */
export async function* listObjects(
  container: Container,
  prefix: string,
  after: string,
  call: CallOptions,
): AsyncGenerator<BankObject> {
  const { folder, where } = container;
  const begin = folder + prefix;
  let last = after === '' ? '' : folder + after;
  for (;;) {
    const query = {
      format: 'json',
      limit: PAGE,
      ...(begin !== '' && { prefix: begin }),
      ...(last !== '' && { marker: last }),
    };
    const text = await container.transfer(
      { method: 'GET', query },
      ({ body }) => readText(body, where),
      call,
    );
    const page = parseAnswer(`list of ${where}`, OBJECTS, text === '' ? [] : decode(text));
    if (page.length === 0) return;
    for (const { name, bytes } of page) {
      call.signal.throwIfAborted();
      if (Buffer.compare(Buffer.from(name), Buffer.from(last)) <= 0) {
        throw new FafnirError('WRONG_ANSWER', `${where} does not list its names in order`);
      }
      last = name;
      const key = name.slice(folder.length);
      // What has no key, such as another program's object, is not in the bank.
      if (name.startsWith(begin) && isBankKey(key)) yield { key, size: bytes };
    }
  }
}

async function readText(body: AsyncIterable<Uint8Array>, where: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > LARGEST_PAGE) throw new FafnirError('WRONG_ANSWER', `${where} lists more than was asked for`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

// What is no JSON fits no list.
function decode(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
