/** How a kind of step is tried. */
export type StepPolicy = {
  /** How often at most, where its error is `retryable`; at least 1. */
  readonly attempts: number;
  /** The pause before the second attempt; it doubles with each, and up to half of it is left to chance. */
  readonly firstPauseMilliseconds: number;
  /** No pause is longer, unless the error itself asks for it. */
  readonly longestPauseMilliseconds: number;
  /** An attempt is aborted after this time, and counts as one that may be repeated; 0 for never. */
  readonly timeoutMilliseconds: number;
};

/** Policies by kind of step, which is the first part of its name: `snapshot`, `archive`, `create`, `fill`… */
export type StepPolicies = Readonly<Record<string, Partial<StepPolicy>>>;

const USUAL: StepPolicy = {
  attempts: 3,
  firstPauseMilliseconds: 250,
  longestPauseMilliseconds: 30_000,
  timeoutMilliseconds: 600_000,
};

// Copying takes as long as the volume is large; a plugin that stands still is noticed by its own deadlines.
const BY_KIND: StepPolicies = {
  archive: { timeoutMilliseconds: 0 },
  // It may be a copy inside the array.
  create: { timeoutMilliseconds: 0 },
  fill: { timeoutMilliseconds: 0 },
  refill: { timeoutMilliseconds: 0 },
  verify: { timeoutMilliseconds: 0 },
  // A job has its own steps with their own policies.
  job: { attempts: 1, timeoutMilliseconds: 0 },
  quiesce: { attempts: 1, timeoutMilliseconds: 60_000 },
  // Somebody is paused meanwhile, and the deadline comes anyway.
  unquiesce: { timeoutMilliseconds: 20_000, longestPauseMilliseconds: 1_000 },
};

/** The policy for a step of this name. */
export function stepPolicy(name: string, overrides: StepPolicies): StepPolicy {
  const kind = name.split('/', 1)[0] ?? '';
  return { ...USUAL, ...BY_KIND[kind], ...overrides[kind] };
}

/** How long to wait before the attempt after this one. `chance` is from 0 to 1. */
export function pauseAfter(
  attempt: number,
  policy: StepPolicy,
  chance: number,
  asked: number | undefined,
): number {
  const longest = policy.longestPauseMilliseconds;
  const full = Math.min(longest, policy.firstPauseMilliseconds * 2 ** (attempt - 1));
  return Math.max(asked ?? 0, (full / 2) * (1 + chance));
}
