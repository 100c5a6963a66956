import type { BankUsage, JobUsage, UsageRecord } from '../contracts/index.ts';

/** What a job used that did nothing. */
export const NOTHING_USED: JobUsage = {
  provider: null,
  plan: null,
  checkpoint: null,
  logical: 0,
  changed: 0,
  array: 0,
  stored: 0,
  checkpoints: 0,
  protected: 0,
  banks: [],
  calls: { arrays: 0, banks: 0 },
  isWhole: true,
};

/** What a job added to a bank that it left alone; the bank's name aside. */
export const NOTHING_ADDED: Omit<BankUsage, 'bank'> = {
  stored: 0,
  corrected: 0,
  checkpoints: 0,
  protected: 0,
};

/** What one job used in two parts of its life: what was counted adds up, and of what it is about the later knows more. */
export function joinUsage(earlier: JobUsage, later: JobUsage): JobUsage {
  const banks = addBanks(earlier.banks, later.banks);
  return {
    provider: later.provider ?? earlier.provider,
    plan: later.plan ?? earlier.plan,
    checkpoint: later.checkpoint ?? earlier.checkpoint,
    logical: Math.max(earlier.logical, later.logical),
    changed: earlier.changed + later.changed,
    array: earlier.array + later.array,
    stored: banks.reduce((sum, { stored }) => sum + stored, 0),
    checkpoints: banks.reduce((sum, { checkpoints }) => sum + checkpoints, 0),
    protected: banks.reduce((sum, { protected: bytes }) => sum + bytes, 0),
    banks,
    calls: {
      arrays: earlier.calls.arrays + later.calls.arrays,
      banks: earlier.calls.banks + later.calls.banks,
    },
    isWhole: earlier.isWhole && later.isWhole,
  };
}

function addBanks(some: readonly BankUsage[], more: readonly BankUsage[]): readonly BankUsage[] {
  const byName = new Map(some.map((one) => [one.bank, one]));
  for (const one of more) {
    const { bank, stored, corrected } = one;
    const known = byName.get(bank) ?? { ...NOTHING_ADDED, bank };
    // A job makes, gives up or finds checkpoints once, and may say so twice.
    const about = one.checkpoints || one.protected ? one : known;
    byName.set(bank, {
      bank,
      stored: stored + known.stored,
      corrected: corrected + known.corrected,
      checkpoints: about.checkpoints,
      protected: about.protected,
    });
  }
  return [...byName.values()]
    .filter(({ bank: _bank, ...counts }) => Object.values(counts).some((count) => count !== 0))
    .sort((a, b) => (a.bank < b.bank ? -1 : 1));
}

/** What usage can be summed by; `month` is that of a job's end, such as `2026-11`, in UTC. */
export type UsageKey = 'tenant' | 'month' | 'plan' | 'provider' | 'operation';

/** What several jobs used. */
export type UsageSum = {
  /** What they have in common, in the order that was asked for; null where they have none. */
  readonly key: readonly (string | null)[];
  /** Jobs; those that are parts of others are not counted. */
  readonly jobs: number;
  /** How long those jobs took from their first claim to their end, in milliseconds. */
  readonly milliseconds: number;
  /** Bytes of volumes that they dealt with; a volume counts once for each job. */
  readonly logical: number;
  /** Bytes that they read to archive them. */
  readonly changed: number;
  /** The size of the volumes whose snapshots they took on arrays, less those that they removed. */
  readonly array: number;
  /** Bytes that they added to banks. */
  readonly stored: number;
  /** Checkpoints that they made less those that they gave up. */
  readonly checkpoints: number;
  /** The size of the volumes in those checkpoints. */
  readonly protected: number;
  /** Calls of arrays. */
  readonly arrayCalls: number;
  /** Calls of banks. */
  readonly bankCalls: number;
  /** Jobs, and parts of jobs, of which something may be missing. */
  readonly inPart: number;
};

/** Sums records by what they have in common, in the order in which it was first met. Memory grows with the sums alone. */
export async function sumUsage(
  records: AsyncIterable<UsageRecord> | Iterable<UsageRecord>,
  by: readonly UsageKey[],
): Promise<readonly UsageSum[]> {
  const sums = new Map<string, UsageSum>();
  for await (const record of records) {
    const key = by.map((one) => partOf(record, one));
    const name = JSON.stringify(key);
    sums.set(name, plus(sums.get(name) ?? { ...NO_SUM, key }, record));
  }
  return [...sums.values()];
}

const NO_SUM: Omit<UsageSum, 'key'> = {
  jobs: 0,
  milliseconds: 0,
  logical: 0,
  changed: 0,
  array: 0,
  stored: 0,
  checkpoints: 0,
  protected: 0,
  arrayCalls: 0,
  bankCalls: 0,
  inPart: 0,
};

const partOf = (record: UsageRecord, key: UsageKey): string | null =>
  key === 'month' ? new Date(record.endedAt).toISOString().slice(0, 7) : record[key];

function plus(sum: UsageSum, record: UsageRecord): UsageSum {
  const { parent, startedAt, endedAt, logical, changed, array, stored, calls, isWhole } = record;
  const isPart = parent !== undefined;
  return {
    key: sum.key,
    jobs: sum.jobs + (isPart ? 0 : 1),
    // A clock may have been set back meanwhile.
    milliseconds: sum.milliseconds + (isPart ? 0 : Math.max(0, endedAt - startedAt)),
    logical: sum.logical + logical,
    changed: sum.changed + changed,
    array: sum.array + array,
    stored: sum.stored + stored,
    checkpoints: sum.checkpoints + record.checkpoints,
    protected: sum.protected + record.protected,
    arrayCalls: sum.arrayCalls + calls.arrays,
    bankCalls: sum.bankCalls + calls.banks,
    inPart: sum.inPart + (isWhole ? 0 : 1),
  };
}
