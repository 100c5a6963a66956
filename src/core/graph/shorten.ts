// Control, formatting and unpaired characters: what XML forbids, and what would turn the text around it. The joiners
// (U+200C and U+200D) are part of ordinary words.
const UNPRINTABLE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Noncharacter_Code_Point}]/gu;

/**
 * Text from outside for one line of at most `width` columns: without control characters, and with its middle left
 * out where it is too long. It still has to be escaped for where it goes.
 */
export function shorten(text: string, width: number): string {
  // Of a text of any length only the ends are looked at: a column is at most two units.
  const ends = text.length > 8 * width ? `${text.slice(0, 4 * width)} ${text.slice(-4 * width)}` : text;
  const clean = ends.replace(/\s+/gu, ' ').trim().replace(UNPRINTABLE, '\ufffd');
  const letters = Array.from(clean);
  if (letters.reduce((sum, letter) => sum + columnsOf(letter), 0) <= width && ends === text) return clean;
  const head = fitting(letters, Math.ceil(((width - 1) * 2) / 3));
  const tail = fitting(letters.reverse(), Math.floor((width - 1) / 3)).reverse();
  return `${head.join('').trimEnd()}\u2026${tail.join('').trimStart()}`;
}

// From Hangul on, scripts are mostly twice as wide as Latin.
const columnsOf = (letter: string): number => ((letter.codePointAt(0) ?? 0) < 0x1100 ? 1 : 2);

function fitting(letters: readonly string[], width: number): string[] {
  let left = width;
  const end = letters.findIndex((letter) => {
    left -= columnsOf(letter);
    return left < 0;
  });
  return letters.slice(0, end === -1 ? letters.length : end);
}
