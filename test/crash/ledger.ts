import { fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { FafnirError } from '../../src/index.ts';

/** A line of the ledger: an effect began, or ended in one of two ways. */
type Entry = { readonly worker: number; readonly effect: string; readonly name: string } & (
  | { readonly time: 'before' }
  | { readonly time: 'after'; readonly result: string }
  | { readonly time: 'after'; readonly error: string }
);

const pathIn = (directory: string): string => join(directory, 'ledger.jsonl');

/** Writes down every real effect, before it begins and after it, where no death can unwrite it. */
export class Ledger {
  readonly #file: number;

  constructor(directory: string) {
    this.#file = openSync(pathIn(directory), 'a');
  }

  /** Runs an effect between its two lines. */
  async around<Value>(effect: string, name: string, run: () => Promise<Value>): Promise<Value> {
    const common = { worker: process.pid, effect, name };
    this.#write({ ...common, time: 'before' });
    try {
      const value = await run();
      this.#write({ ...common, time: 'after', result: JSON.stringify(value) ?? '' });
      return value;
    } catch (error) {
      this.#write({ ...common, time: 'after', error: FafnirError.is(error) ? error.code : String(error) });
      throw error;
    }
  }

  #write(entry: Entry): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
    fsyncSync(this.#file);
  }
}

/**
 * What a ledger says against the rules: every worker runs an effect once at most (a call that failed had none, nor had
 * one to remove whatever was made that found nothing), and one that was made finds it by its name instead of making
 * another. `late`: a call may have arrived after its effect was removed, and makes it anew; that it does not stay is
 * judged elsewhere.
 */
export function judgeLedger(directory: string, late: boolean): readonly string[] {
  const entries = readFileSync(pathIn(directory), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Entry => JSON.parse(line));
  const wrong: string[] = [];
  for (const [what, ofOne] of Map.groupBy(entries, ({ effect, name }) => `${effect} ${name}`)) {
    const workers = new Set(ofOne.map(({ worker }) => worker));
    const begun = ofOne.filter(({ time }) => time === 'before').length;
    const idle = ofOne.filter((entry) => 'error' in entry || isNothing(entry)).length;
    if (begun - idle > workers.size) {
      wrong.push(`${what} ran ${begun - idle} times in ${workers.size} workers`);
    }
    const results = new Set(
      ofOne.flatMap((entry) => ('result' in entry && !isNothing(entry) ? [entry.result] : [])),
    );
    if (results.size > 1 && !(late && wasRemoved(entries, ofOne)))
      wrong.push(`${what} was made ${results.size} times, instead of being found by its name`);
  }
  return wrong;
}

const isNothing = (entry: Entry): boolean =>
  /\.(removeMade|endReading)$/.test(entry.effect) && 'result' in entry && entry.result === '[]';

// A removal names what it removes, and perhaps of what.
const wasRemoved = (entries: readonly Entry[], [made]: readonly Entry[]): boolean =>
  entries.some(
    ({ effect, name }) =>
      effect.endsWith('remove') &&
      made !== undefined &&
      (name === made.name || name.startsWith(`${made.name} of `)),
  );
