import { AsyncLocalStorage } from 'node:async_hooks';

/** What a worker has counted of a job. Bytes, and calls. */
export class Meter {
  /** Read from volumes to archive them. */
  changed = 0;
  /** The size of volumes whose snapshots were taken, less those removed. */
  array = 0;
  /** Of arrays. */
  arrayCalls = 0;
  /** Of banks. */
  bankCalls = 0;
  /** False where a bank may have stored or removed what it did not say. */
  isSure = true;
  /** Added to each bank, by its name; removed where negative. */
  readonly stored: Map<string, number> = new Map();
  /** The part of `stored` that others added. */
  readonly corrected: Map<string, number> = new Map();

  /** Begins again from nothing. */
  reset(): void {
    this.changed = 0;
    this.array = 0;
    this.arrayCalls = 0;
    this.bankCalls = 0;
    this.isSure = true;
    this.stored.clear();
    this.corrected.clear();
  }

  /** A bank has so many bytes more. */
  store(bank: string, bytes: number): void {
    this.stored.set(bank, (this.stored.get(bank) ?? 0) + bytes);
  }

  /** A bank has so many bytes more than anybody counted. */
  correct(bank: string, bytes: number): void {
    this.store(bank, bytes);
    this.corrected.set(bank, (this.corrected.get(bank) ?? 0) + bytes);
  }
}

// Vaults, arrays and threads are shared by all jobs: whom a call is for follows from who called, however deep below.
const current = new AsyncLocalStorage<Meter>();

/** Does work, all of which is counted on this meter. */
export const metered = <Result>(meter: Meter, work: () => Promise<Result>): Promise<Result> =>
  current.run(meter, work);

/** The meter of the job that this is done for; undefined where it is done for none, and not billed. */
export const currentMeter = (): Meter | undefined => current.getStore();
