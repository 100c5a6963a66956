import { setImmediate as nextTurn } from 'node:timers/promises';
import type { JobClaim, JobStore, Json, StepRow } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { encodeBounded } from '../json-text.ts';

// Above this a write stalls the event loop noticeably in stores that write synchronously.
const LARGEST_GROUP = 1_000;
const MOST_WAITING = 10_000;

type Group = { readonly rows: StepRow[]; readonly written: Promise<void> };

/**
 * A job's journal as one worker sees and extends it. Rows that are added in one turn of the event loop are written in
 * one transaction, in the order they came; once a row is durable, so are all before it.
 */
export class Journal {
  readonly #store: JobStore;
  readonly #claim: JobClaim;
  readonly #intents = new Set<string>();
  readonly #results = new Map<string, Json>();
  readonly #inputs = new Map<string, string>();
  readonly #failed = new AbortController();
  #open: Group | undefined;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  private constructor(store: JobStore, claim: JobClaim, rows: readonly StepRow[]) {
    this.#store = store;
    this.#claim = claim;
    for (const row of rows) this.#remember(row);
  }

  /** Reads what earlier workers wrote. */
  static async open(store: JobStore, claim: JobClaim): Promise<Journal> {
    return new Journal(store, claim, await store.journal(claim.job.tenant, claim.job.id));
  }

  /**
   * Aborted when rows could not be written. They may be in the store all the same, so this worker knows no more how
   * the job stands, and must let go of it.
   */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** The steps that have an intent, in order. */
  intents(): readonly string[] {
    return [...this.#intents];
  }

  /** The result of a step, or undefined where it has none yet. */
  result(step: string): Json | undefined {
    return this.#results.get(step);
  }

  /** The results of steps whose names begin with this. */
  results(prefix: string): ReadonlyMap<string, Json> {
    return new Map([...this.#results].filter(([step]) => step.startsWith(prefix)));
  }

  /** Rejects a step that an earlier worker began with another input: the code or the world is no longer the same. */
  check(step: string, input: string | undefined): void {
    const before = this.#inputs.get(step);
    if (before === undefined || input === undefined || before === input) return;
    throw new FafnirError('JOURNAL_MISMATCH', `step ${step} was begun with another input`);
  }

  /** Makes the intent durable, unless it is. */
  async intend(step: string, input?: string): Promise<void> {
    if (!this.#intents.has(step)) await this.#add({ step, kind: 'intent', ...asField(input) });
  }

  /** Makes the result durable. */
  async record(step: string, value: Json, input?: string): Promise<void> {
    await this.#add({ step, kind: 'result', value, ...asField(input) });
  }

  /** Adds the result, to become durable with the next row that is waited for: losing it repeats the step. */
  async recordBehind(step: string, value: Json, input?: string): Promise<void> {
    const written = this.#add({ step, kind: 'result', value, ...asField(input) });
    // A failure reaches everybody through `failed`.
    written.catch(() => undefined);
    if (this.#waiting > MOST_WAITING) await written;
  }

  // Throws, rather than rejects, what is refused before it is written.
  #add(row: StepRow): Promise<void> {
    this.#failed.signal.throwIfAborted();
    // Refused here, where only its own step fails: in a group it would take the others with it.
    if (row.kind === 'result') encodeBounded(`the result of step ${row.step}`, row.value);
    if (this.#open === undefined || this.#open.rows.length >= LARGEST_GROUP) this.#open = this.#group();
    this.#open.rows.push(row);
    this.#waiting += 1;
    this.#remember(row);
    return this.#open.written;
  }

  #group(): Group {
    const rows: StepRow[] = [];
    const written = this.#last.then(async () => {
      await nextTurn();
      if (this.#open?.rows === rows) this.#open = undefined;
      try {
        await this.#store.append(this.#claim, rows);
      } catch (error) {
        this.#failed.abort(error);
        throw error;
      } finally {
        this.#waiting -= rows.length;
      }
    });
    // After a failure nothing more is written, or the order would have a hole.
    this.#last = written;
    written.catch(() => undefined);
    return { rows, written };
  }

  #remember(row: StepRow): void {
    if (row.input !== undefined) this.#inputs.set(row.step, row.input);
    if (row.kind === 'intent') this.#intents.add(row.step);
    else this.#results.set(row.step, row.value);
  }
}

const asField = (input: string | undefined): Pick<StepRow, 'input'> => (input === undefined ? {} : { input });
