import type { BankUsage, JobRecord, JobUsage, Json } from '../contracts/index.ts';
import { metered, Meter } from '../meter.ts';
import { joinUsage, NOTHING_ADDED, NOTHING_USED } from '../policy/metering.ts';
import type { Journal } from './journal.ts';

const USAGE = 'usage/';

/** What a job is about, as far as its operation knows it by now. */
export type Subject = Partial<Pick<JobUsage, 'provider' | 'plan' | 'checkpoint' | 'logical'>> & {
  /** Checkpoints that a bank has more since this job, or fewer. */
  readonly checkpoints?: Pick<BankUsage, 'bank' | 'checkpoints' | 'protected'>;
};

/**
 * What a job has used: as workers before this one journaled it, and as this one counts it. What a worker counted is journaled
 * when it lets go of the job, and before the job is decided. A journal that ends otherwise is that of a worker that died.
 */
export class Usage {
  readonly #journal: Journal | undefined;
  readonly #job: JobRecord;
  #earlier: JobUsage;
  readonly #meter = new Meter();
  #subject: Subject = {};
  #saved = 0;

  /** Without a journal nothing is known of what was before, and what is counted is lost when this worker dies. */
  constructor(job: JobRecord, journal?: Journal) {
    this.#job = job;
    this.#journal = journal;
    this.#earlier = {
      ...NOTHING_USED,
      isWhole: !this.#hasUncounted() && (journal !== undefined || job.epoch === 1),
    };
    for (const value of journal?.results(USAGE).values() ?? []) {
      this.#earlier = joinUsage(this.#earlier, value as JobUsage);
    }
  }

  /** Adds to a bank what its objects have more than all records tell of. */
  correct(bank: string, bytes: number): void {
    this.#meter.correct(bank, bytes);
  }

  /** Does work that is counted. */
  count<Result>(work: () => Promise<Result>): Promise<Result> {
    return metered(this.#meter, work);
  }

  /** Says what the job is about. The volumes of a part are counted for the job that it is a part of. */
  concerns(subject: Subject): void {
    const part = this.#job.parent === undefined ? {} : { logical: 0 };
    this.#subject = { ...this.#subject, ...subject, ...part };
  }

  /** All that the job has used. */
  total(): JobUsage {
    return joinUsage(this.#earlier, this.#counted());
  }

  /**
   * Journals what was counted since the last time. Where nothing was journaled or stored since then, there is nothing to
   * tell but calls, and a job that has to try often to get its turn would fill its journal with them.
   */
  async save(): Promise<void> {
    const journal = this.#journal;
    const counted = this.#counted();
    if (journal === undefined || counted.calls.arrays + counted.calls.banks === 0) return;
    if (counted.stored === 0 && !this.#hasUncounted()) return;
    this.#meter.reset();
    this.#saved += 1;
    this.#earlier = joinUsage(this.#earlier, counted);
    const { isWhole } = this.#earlier;
    const name = `${USAGE}${this.#job.epoch}/${this.#saved}`;
    await journal.record(journal.begin(name, this), { ...counted, isWhole } satisfies JobUsage as Json);
  }

  #hasUncounted(): boolean {
    const last = this.#journal?.last;
    return last !== undefined && !last.startsWith(USAGE);
  }

  #counted(): JobUsage {
    const { changed, array, arrayCalls, bankCalls, isSure: isWhole, stored, corrected } = this.#meter;
    const { checkpoints, ...subject } = this.#subject;
    const banks = Array.from(stored, ([bank, bytes]) => ({
      ...NOTHING_ADDED,
      bank,
      stored: bytes,
      corrected: corrected.get(bank) ?? 0,
    }));
    const about = checkpoints === undefined ? [] : [{ ...NOTHING_ADDED, ...checkpoints }];
    const used = { isWhole, changed, array, banks, calls: { arrays: arrayCalls, banks: bankCalls } };
    // Joined, so that what cancels out is left out.
    const counted = joinUsage(NOTHING_USED, { ...NOTHING_USED, ...subject, ...used });
    return joinUsage(counted, { ...NOTHING_USED, banks: about });
  }
}
