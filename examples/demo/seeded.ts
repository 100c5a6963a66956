import { createCipheriv, createHash } from 'node:crypto';

const WORDS =
  'accept account address agent alpha answer array batch block branch bridge buffer cache carry change channel ' +
  'check client clock close column commit config connect copy count create cursor data debug delta detail device ' +
  'disk domain drain driver error event export extent field file filter flush folder format frame gate graph ' +
  'group guard header health host image import index input insert item join journal key';
// One in eight ends its line.
const words = WORDS.split(' ').map((word, at) => Buffer.from(word + (at % 8 === 0 ? '\n' : ' ')));

/** A source of bytes that look like chance, and are the same for the same seed. */
export type SeededBytes = (length: number) => Buffer;

/** Bytes that depend on nothing but the seed: the key stream of a cipher. */
export function seededBytes(seed: string): SeededBytes {
  const key = createHash('sha256').update(seed).digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return (length) => stream.update(Buffer.alloc(length));
}

/** Lines of words, of exactly this many bytes. */
export function seededText(random: SeededBytes, length: number): Buffer {
  const text = Buffer.alloc(length);
  // No word has less than four bytes with what ends it, so this many are always enough.
  const choices = random(Math.ceil(length / 4));
  for (let filled = 0, at = 0; filled < length; at += 1) {
    const word = words[(choices[at] ?? 0) % words.length];
    filled += word?.copy(text, filled) ?? 0;
  }
  return text;
}

/** A whole number from 0 up to, not including, `end`. */
export const seededNumber = (random: SeededBytes, end: number): number => random(6).readUIntBE(0, 6) % end;
