import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditEntry, JobClaim, JobStore, Json, StepRow } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { encodeBounded } from '../json-text.ts';
import { lengthOfSmallJson } from '../small-json.ts';

// Rows, and about characters as JSON. Above this a write stalls the event loop noticeably in stores that write
// synchronously.
const LARGEST_GROUP = 1_000;
const LONGEST_GROUP = 512 * 1024;
const MOST_WAITING = 2_000;
// How long rows that nobody waits for are gathered, in milliseconds.
const LINGER = 10;
const SHARDS = 256;
const SHARD_BITS = 8;
// So few that V8 keeps the words within its heap.
const FIRST_CAPACITY = 8;

type Group = {
  readonly rows: StepRow[];
  readonly told: AuditEntry[];
  length: number;
  readonly written: Promise<void>;
  readonly hurry: () => void;
};

/** A step as its job's journal knows it. */
export interface JournaledStep {
  /** Its name, unique in the job. */
  readonly name: string;
  /** Whether its effect may exist. */
  readonly intended: boolean;
  /** The digest of what it was begun with, where that is known. */
  readonly input: string | undefined;
  /** What it came to, or undefined where it has not ended. */
  readonly value: Json | undefined;
  /** Who began it last in this process. */
  readonly begunBy: object | undefined;
}

type Known = { -readonly [Field in keyof JournaledStep]: JournaledStep[Field] };

/**
 * A job's journal as one worker sees and extends it. Rows that are added in one turn of the event loop, or before
 * anybody waits for one of them, are written in one transaction, in the order they came; once a row is durable, so
 * are all before it.
 */
export class Journal {
  readonly #store: JobStore;
  readonly #claim: JobClaim;
  readonly #steps = new KnownSteps();
  readonly #intents: string[] = [];
  #lastStep: string | undefined;
  readonly #failed = new AbortController();
  #open: Group | undefined;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  private constructor(store: JobStore, claim: JobClaim, rows: readonly StepRow[]) {
    this.#store = store;
    this.#claim = claim;
    for (const row of rows) this.#remember(this.#steps.of(row.step), row);
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

  /** The step that the last row is of, or undefined where there is no row. */
  get last(): string | undefined {
    return this.#lastStep;
  }

  /** The result of a step, or undefined where it has none yet. */
  result(step: string): Json | undefined {
    return this.#steps.find(step)?.value;
  }

  /** The results of steps whose names begin with this, in no promised order. */
  results(prefix: string): ReadonlyMap<string, Json> {
    const found = new Map<string, Json>();
    for (const { name, value } of this.#steps) {
      if (value !== undefined && name.startsWith(prefix)) found.set(name, value);
    }
    return found;
  }

  /**
   * The step of this name, which changes as rows are added. Refused where `by` has begun it before (a second step of
   * a name would be given the first one's result), and where an earlier worker began it with another input: the code
   * or the world is no longer the same.
   */
  begin(name: string, by: object, input?: string): JournaledStep {
    const known = this.#steps.of(name);
    if (known.begunBy === by) throw new FafnirError('JOURNAL_MISMATCH', `two steps are named ${name}`);
    known.begunBy = by;
    if (known.input !== undefined && input !== undefined && known.input !== input) {
      throw new FafnirError('JOURNAL_MISMATCH', `step ${name} was begun with another input`);
    }
    known.input ??= input;
    return known;
  }

  /** Makes the intent durable, unless it is. */
  async intend(step: JournaledStep): Promise<void> {
    if (step.intended) return;
    const { name, input } = step;
    const row: StepRow = { step: name, kind: 'intent' };
    await this.#addWaited(step, input === undefined ? row : { ...row, input });
  }

  /** Makes the result durable, and in the same transaction what the audit is to tell of it. */
  async record(step: JournaledStep, value: Json, told?: AuditEntry): Promise<void> {
    await this.#addWaited(step, resultOf(step, value), told);
  }

  /**
   * Adds the result, to become durable soon or with the next row that is waited for: losing it repeats the step.
   * Returns something to wait for when too many rows are on their way. A failure reaches everybody through `failed`.
   */
  recordBehind(step: JournaledStep, value: Json): Promise<void> | undefined {
    const group = this.#add(step, resultOf(step, value));
    return this.#waiting > MOST_WAITING ? group.written : undefined;
  }

  async #addWaited(step: Known, row: StepRow, told?: AuditEntry): Promise<void> {
    const group = this.#add(step, row);
    if (told !== undefined) group.told.push(told);
    group.hurry();
    await group.written;
  }

  // Throws, rather than rejects, what is refused before it is written.
  #add(step: Known, row: StepRow): Group {
    this.#failed.signal.throwIfAborted();
    // Refused here, where only its own step fails: in a group it would take the others with it.
    const length = row.kind === 'result' ? lengthOf(row) : row.step.length;
    const group = this.#open ?? this.#group();
    this.#open = group;
    group.rows.push(row);
    group.length += length;
    this.#waiting += 1;
    this.#remember(step, row);
    if (group.rows.length >= LARGEST_GROUP || group.length >= LONGEST_GROUP) {
      this.#open = undefined;
      group.hurry();
    }
    return group;
  }

  #group(): Group {
    const rows: StepRow[] = [];
    const told: AuditEntry[] = [];
    const { promise: due, resolve: hurry } = Promise.withResolvers<void>();
    const timer = setTimeout(hurry, LINGER);
    const written = Promise.all([this.#last, due]).then(async () => {
      clearTimeout(timer);
      await nextTurn();
      if (this.#open?.rows === rows) this.#open = undefined;
      try {
        await this.#store.append(this.#claim, rows, told);
      } catch (error) {
        this.#failed.abort(error);
        throw error;
      } finally {
        this.#waiting -= rows.length;
      }
    });
    // After a failure nothing more is written, or the order would have a hole.
    this.#last = written;
    written.catch(() => clearTimeout(timer));
    return { rows, told, length: 0, written, hurry };
  }

  #remember(known: Known, row: StepRow): void {
    known.input ??= row.input;
    this.#lastStep = row.step;
    if (row.kind === 'result') {
      known.value = row.value;
    } else {
      known.intended = true;
      this.#intents.push(row.step);
    }
  }
}

/** Two words for each place, side by side: a digest, and which of the steps it is of, counted from 1; 0 for none. */
type Shard = { words: Int32Array; readonly steps: Known[] };

/**
 * Steps by name. Nearly every step of a large job is looked up once, and is new: its digest alone tells that, where a
 * `Map` compares names all over the heap, twice. It grows in shards, for to double one table stalls the event loop.
 */
class KnownSteps {
  readonly #shards: (Shard | undefined)[] = [];

  /** The step of a name, added where there is none. */
  of(name: string): Known {
    const digest = digestOf(name);
    let shard = this.#shards[digest & (SHARDS - 1)];
    if (shard === undefined) {
      shard = { words: new Int32Array(2 * FIRST_CAPACITY), steps: [] };
      this.#shards[digest & (SHARDS - 1)] = shard;
    }
    const { steps } = shard;
    // At most half of the places are taken, so that the next free one is near.
    if (steps.length * 4 >= shard.words.length) shard.words = grown(shard.words);
    const { words } = shard;
    const place = placeOf(words, steps, digest, name);
    const known = steps[(words[place + 1] ?? 0) - 1];
    if (known !== undefined) return known;
    const fresh: Known = { name, intended: false, input: undefined, value: undefined, begunBy: undefined };
    words[place] = digest;
    words[place + 1] = steps.push(fresh);
    return fresh;
  }

  /** The step of a name, or undefined. */
  find(name: string): Known | undefined {
    const digest = digestOf(name);
    const shard = this.#shards[digest & (SHARDS - 1)];
    if (shard === undefined) return undefined;
    const { words, steps } = shard;
    return steps[(words[placeOf(words, steps, digest, name) + 1] ?? 0) - 1];
  }

  /** All of them, in no promised order. */
  *[Symbol.iterator](): Generator<Known> {
    for (const shard of this.#shards) yield* shard?.steps ?? [];
  }
}

function grown(words: Int32Array): Int32Array {
  const larger = new Int32Array(words.length * 2);
  const mask = larger.length - 2;
  for (let from = 0; from < words.length; from += 2) {
    const digest = words[from] ?? 0;
    const step = words[from + 1] ?? 0;
    if (step === 0) continue;
    let at = firstPlace(digest) & mask;
    while (larger[at + 1] !== 0) at = (at + 2) & mask;
    larger[at] = digest;
    larger[at + 1] = step;
  }
  return larger;
}

/** Where the step of a name is, or is to be put. The number of words is a power of two. */
function placeOf(words: Int32Array, steps: readonly Known[], digest: number, name: string): number {
  const mask = words.length - 2;
  for (let at = firstPlace(digest) & mask; ; at = (at + 2) & mask) {
    const step = words[at + 1] ?? 0;
    if (step === 0 || (words[at] === digest && steps[step - 1]?.name === name)) return at;
  }
}

// The lowest bits have chosen the shard.
const firstPlace = (digest: number): number => (digest >>> SHARD_BITS) << 1;

function digestOf(name: string): number {
  let digest = name.length;
  for (let at = 0; at < name.length; at += 1) {
    digest = Math.imul(digest ^ name.charCodeAt(at), 0x9e3779b1);
    digest ^= digest >>> 15;
  }
  return digest;
}

function resultOf({ name, input }: JournaledStep, value: Json): StepRow {
  if (input === undefined) return { step: name, kind: 'result', value };
  return { step: name, kind: 'result', input, value };
}

/** About, in characters; `LIMIT_EXCEEDED` for a value that is too large. */
function lengthOf({ step, value }: { readonly step: string; readonly value: Json }): number {
  return (
    step.length + (lengthOfSmallJson(value) ?? encodeBounded(`the result of step ${step}`, value).length)
  );
}
