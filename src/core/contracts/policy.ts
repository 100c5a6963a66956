/** What becomes of a snapshot. */
export type SnapshotPolicy = {
  /** Whether it is archived in the bank. Built-in default: false. */
  readonly archive: boolean;
  /**
   * How many array copies stay that are archived, with the archive proven: `0` none, a whole number the newest so many,
   * `all` every one. Built-in default: 0.
   */
  readonly keep: 'all' | number;
  /**
   * For strategies that archive before success: whether success waits only for the snapshot, and the archive follows.
   * Built-in default: false.
   */
  readonly background: boolean;
  /** What the instant must be worth at least; the words are in ascending order. Built-in default: `crash`. */
  readonly consistency: 'none' | 'crash' | 'group' | 'application';
  /**
   * What becomes of a snapshot that is worth less. `refuse`: it fails. `degrade`: it counts, and says what it is worth.
   * Built-in default: `degrade`.
   */
  readonly onInconsistency: 'refuse' | 'degrade';
  /**
   * For how many days, from the beginning of the job, nobody can remove what the checkpoint has in the bank; a whole number.
   * Above 0 it needs a bank with locks. Built-in default: 0.
   */
  readonly lock: number;
};

/** One field of a {@link SnapshotPolicy}. */
export type PolicyField = keyof SnapshotPolicy;

/** What a plan or a call asks for; what is left out is decided by the levels above. */
export type SnapshotPolicyWish = Partial<SnapshotPolicy>;

/** What a provider or tenant says of one field. */
export type PolicyRule<Value, Allowed = readonly Value[]> = {
  /** What applies where no level below says anything; within `allowed`. */
  readonly default?: Value;
  /** What this level and those below may choose; within what the levels above allow. */
  readonly allowed?: Allowed;
  /** Levels below may not give another value than the default here, or that of the level above. */
  readonly locked?: true;
};

/** The numbers of array copies from `least` to `most`, both included; `all` is above every number. */
export type KeepBounds = {
  /** Default: 0. */
  readonly least?: SnapshotPolicy['keep'];
  /** Default: `all`. */
  readonly most?: SnapshotPolicy['keep'];
};

/** The numbers of days from `least` to `most`, both included. */
export type LockBounds = {
  /** Default: 0. */
  readonly least?: number;
  /** Default: 36,500. */
  readonly most?: number;
};

/** What a provider or tenant says of the policies below it. */
export type SnapshotPolicyRules = {
  /** Of {@link SnapshotPolicy.archive}. */
  readonly archive?: PolicyRule<SnapshotPolicy['archive']>;
  /** Of {@link SnapshotPolicy.keep}. */
  readonly keep?: PolicyRule<SnapshotPolicy['keep'], KeepBounds>;
  /** Of {@link SnapshotPolicy.background}. */
  readonly background?: PolicyRule<SnapshotPolicy['background']>;
  /** Of {@link SnapshotPolicy.consistency}. */
  readonly consistency?: PolicyRule<SnapshotPolicy['consistency']>;
  /** Of {@link SnapshotPolicy.onInconsistency}. */
  readonly onInconsistency?: PolicyRule<SnapshotPolicy['onInconsistency']>;
  /** Of {@link SnapshotPolicy.lock}. */
  readonly lock?: PolicyRule<SnapshotPolicy['lock'], LockBounds>;
};

/** The level that chose a value, from the farthest to the nearest. */
export type PolicyOrigin = 'built-in' | 'provider' | 'tenant' | 'plan' | 'call';

/** A policy with the level that chose each value. */
export type ResolvedPolicy = {
  readonly [Field in PolicyField]: {
    /** What applies. */
    readonly value: SnapshotPolicy[Field];
    /** Who chose it. */
    readonly origin: PolicyOrigin;
  };
};

/** A field whose value is another now, though no plan and no call chose it. */
export type ChangedDefault = {
  /** The field. */
  readonly field: PolicyField;
  /** What applied. */
  readonly from: SnapshotPolicy[PolicyField];
  /** What applies now. */
  readonly to: SnapshotPolicy[PolicyField];
  /** Who says so now. */
  readonly origin: PolicyOrigin;
};
