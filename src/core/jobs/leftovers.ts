import type { ErrorRecord, JsonObject } from '../contracts/index.ts';
import { errorOf, errorRecord, FafnirError } from '../errors.ts';

/** Work that a job could not do after its success: what, and why not. */
export type Leftover = {
  /** What is left to do, for people. */
  readonly what: string;
  /** Why it could not be done. */
  readonly error: ErrorRecord;
};

// How many an error names.
const NAMED = 5;

/** Collects what could not be cleared up, so that the job's result can name it. */
export class Leftovers {
  readonly #list: Leftover[] = [];
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Tries; a failure is kept, unless this worker has to let go of the job. */
  async attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#signal.throwIfAborted();
      if (FafnirError.is(error, 'FENCED')) throw error;
      this.#list.push({ what, error: errorRecord(error) });
    }
  }

  /** The result, with what was left, if anything was. */
  addTo(result: JsonObject): JsonObject {
    return this.#list.length === 0 ? result : { ...result, leftovers: this.#list };
  }

  /** Throws where anything was left: one error that says what, with the code of the first. */
  assertNone(): void {
    const [first] = this.#list;
    if (first === undefined) return;
    const named = this.#list.slice(0, NAMED).map(({ what, error }) => `${what}: ${error.message}`);
    const others = this.#list.length > NAMED ? [`and ${this.#list.length - NAMED} more`] : [];
    const message = [...named, ...others].join('; ');
    throw errorOf({ ...first.error, message });
  }
}
