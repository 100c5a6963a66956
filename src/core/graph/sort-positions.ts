const SMALL_RUN = 16;
const WORD = 4;
// Stands for every character that one byte cannot tell apart from the others, so nothing after it counts.
const WIDE = 0xff;
// Which half of a 64-bit number decides first: the second one, except on a big-endian machine.
const HIGH = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 1 : 0;
const LOW = 1 - HIGH;

/**
 * Sorts positions in place by the texts that they stand for, in the order of `<`. All texts differ.
 *
 * Comparing strings pair by pair would be most of the time that building a graph takes. So the next four characters
 * of each text are packed with its position into one number, the numbers are sorted, and only texts that are equal so
 * far are looked at again, further on.
 */
export function sortPositions(positions: Uint32Array, textOf: (position: number) => string): void {
  const numbers = new BigUint64Array(positions.length);
  const halves = new Uint32Array(numbers.buffer);
  // Triples: where a run of positions starts and ends, and how many characters its texts are known to share.
  const runs = [0, positions.length, 0];
  for (;;) {
    const [known, end, start] = [runs.pop(), runs.pop(), runs.pop()];
    if (known === undefined || end === undefined || start === undefined) return;
    const from = commonLength(positions, start, end, known, textOf);
    for (let at = start; at < end; at += 1) {
      const position = positions[at] ?? 0;
      halves[2 * at + HIGH] = wordAt(textOf(position), from);
      halves[2 * at + LOW] = position;
    }
    numbers.subarray(start, end).sort();
    for (let at = start; at < end; at += 1) positions[at] = halves[2 * at + LOW] ?? 0;
    for (let first = start, next = start + 1; next <= end; next += 1) {
      const word = halves[2 * first + HIGH] ?? 0;
      if (next < end && halves[2 * next + HIGH] === word) continue;
      if (next - first <= SMALL_RUN) insertInOrder(positions, first, next, textOf);
      else if (isWide(word)) compareInOrder(positions.subarray(first, next), textOf);
      else runs.push(first, next, from + WORD);
      first = next;
    }
  }
}

/** Four characters as a number that sorts like them; 0 stands for the end of the text. */
function wordAt(text: string, from: number): number {
  let word = 0;
  for (let at = from; at < from + WORD; at += 1) {
    const code = at < text.length ? text.charCodeAt(at) + 1 : 0;
    if (code >= WIDE) return ((word << 8) | WIDE) << (8 * (from + WORD - 1 - at));
    word = (word << 8) | code;
  }
  return word;
}

const isWide = (word: number): boolean =>
  (word & WIDE) === WIDE ||
  ((word >>> 8) & WIDE) === WIDE ||
  ((word >>> 16) & WIDE) === WIDE ||
  word >>> 24 === WIDE;

/** How many characters all texts of a run have in common, of which `known` are known to be. */
function commonLength(
  positions: Uint32Array,
  start: number,
  end: number,
  known: number,
  textOf: (position: number) => string,
): number {
  const first = textOf(positions[start] ?? 0);
  let common = first.length;
  for (let at = start + 1; at < end && common > known; at += 1) {
    const text = textOf(positions[at] ?? 0);
    let same = known;
    const most = Math.min(common, text.length);
    while (same < most && text.charCodeAt(same) === first.charCodeAt(same)) same += 1;
    common = same;
  }
  return common;
}

function insertInOrder(
  positions: Uint32Array,
  start: number,
  end: number,
  textOf: (position: number) => string,
): void {
  for (let next = start + 1; next < end; next += 1) {
    const position = positions[next] ?? 0;
    const text = textOf(position);
    let at = next;
    for (; at > start && text < textOf(positions[at - 1] ?? 0); at -= 1)
      positions[at] = positions[at - 1] ?? 0;
    positions[at] = position;
  }
}

function compareInOrder(positions: Uint32Array, textOf: (position: number) => string): void {
  positions.sort((a, b) => {
    const [one, other] = [textOf(a), textOf(b)];
    return one < other ? -1 : one > other ? 1 : 0;
  });
}
