import type { Json } from './contracts/index.ts';
import { FafnirError } from './errors.ts';

// What a job store takes as an input, a step's result or an outcome, in bytes.
const LARGEST_JSON = 256 * 1024;

/** A value as JSON; `INVALID_OPTIONS` for what is none. */
export function encodeJson(what: string, value: Json): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new FafnirError('INVALID_OPTIONS', `${what} is not JSON`, { cause });
  }
  if (text === undefined) throw new FafnirError('INVALID_OPTIONS', `${what} is not JSON`);
  return text;
}

/** A value as JSON that a job store takes; `LIMIT_EXCEEDED` where it is too large. */
export function encodeBounded(what: string, value: Json): string {
  const text = encodeJson(what, value);
  const size = Buffer.byteLength(text);
  if (size <= LARGEST_JSON) return text;
  throw new FafnirError('LIMIT_EXCEEDED', `${what} has ${size} bytes as JSON, more than ${LARGEST_JSON}`, {
    hint: 'Keep large values in a bank, and their keys here.',
  });
}
