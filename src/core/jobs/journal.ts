import type { JobClaim, JobStore, Json, StepRow } from '../contracts/index.ts';

/** A job's journal as one worker sees and extends it. */
export class Journal {
  readonly #store: JobStore;
  readonly #claim: JobClaim;
  readonly #intents = new Set<string>();
  readonly #results = new Map<string, Json>();

  private constructor(store: JobStore, claim: JobClaim, rows: readonly StepRow[]) {
    this.#store = store;
    this.#claim = claim;
    for (const row of rows) this.#remember(row);
  }

  /** Reads what earlier workers wrote. */
  static async open(store: JobStore, claim: JobClaim): Promise<Journal> {
    return new Journal(store, claim, await store.journal(claim.job.tenant, claim.job.id));
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

  /** Makes the intent durable, unless it is. */
  async intend(step: string): Promise<void> {
    if (!this.#intents.has(step)) await this.#append({ step, kind: 'intent' });
  }

  /** Makes the result durable. */
  async record(step: string, value: Json): Promise<void> {
    await this.#append({ step, kind: 'result', value });
  }

  async #append(row: StepRow): Promise<void> {
    await this.#store.append(this.#claim, [row]);
    this.#remember(row);
  }

  #remember(row: StepRow): void {
    if (row.kind === 'intent') this.#intents.add(row.step);
    else this.#results.set(row.step, row.value);
  }
}
