import { FafnirError } from '../../core/errors.ts';

const LONGEST_RECORD = 64 * 1024;

/**
 * The records of a JSON array of objects, as they come: a list of a whole pool need not fit into memory. What is
 * no such array is `WRONG_ANSWER`.
 */
export async function* jsonRecords(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<unknown, void, undefined> {
  const decoder = new TextDecoder();
  const splitter = new Splitter();
  for await (const chunk of bytes) yield* splitter.take(decoder.decode(chunk, { stream: true }));
  yield* splitter.take(decoder.decode());
  splitter.end();
}

class Splitter {
  #record = '';
  /** What was read since the last record. */
  #between = '';
  #isFirst = true;
  #depth = 0;
  #isText = false;
  #isEscaped = false;

  *take(text: string): Generator<unknown> {
    for (const character of text) {
      if (this.#record === '' && character !== '{') {
        this.#between += character.trim();
        if (this.#between.length > 2) throw notUnderstood();
        continue;
      }
      if (this.#record === '') this.#begin();
      this.#record += character;
      if (this.#record.length > LONGEST_RECORD) throw notUnderstood();
      if (this.#isEscaped) this.#isEscaped = false;
      else if (this.#isText && character === '\\') this.#isEscaped = true;
      else if (character === '"') this.#isText = !this.#isText;
      else if (character === '{' && !this.#isText) this.#depth += 1;
      else if (character === '}' && !this.#isText) {
        this.#depth -= 1;
        if (this.#depth > 0) continue;
        yield parse(this.#record);
        this.#record = '';
      }
    }
  }

  end(): void {
    const isEnd = this.#between === (this.#isFirst ? '[]' : ']');
    if (this.#record !== '' || !isEnd) throw notUnderstood();
  }

  #begin(): void {
    if (this.#between !== (this.#isFirst ? '[' : ',')) throw notUnderstood();
    this.#between = '';
    this.#isFirst = false;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw notUnderstood(error);
  }
}

function notUnderstood(cause?: unknown): FafnirError {
  return new FafnirError('WRONG_ANSWER', 'rbd printed a list that is not understood', { cause });
}
