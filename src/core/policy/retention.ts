import type { CheckpointId, CopyKind, RetentionPolicy, RetentionRules } from '../contracts/index.ts';
import { periodOf } from './periods.ts';

/** A checkpoint as retention sees it. */
export type RetainedCheckpoint = {
  /** The checkpoint. */
  readonly id: CheckpointId;
  /** The instant that it holds, in milliseconds since 1970 UTC. */
  readonly instant: number;
  /** Whether the whole application is in it. */
  readonly isWhole: boolean;
  /** Whether somebody holds it. */
  readonly isHeld: boolean;
  /** Whether its bank keeps what it has there: then its archives stay, and it does. */
  readonly isLocked: boolean;
  /** What is known of its copies; kinds of which it has none are not there. */
  readonly copies: { readonly [Kind in CopyKind]?: CopyStock };
};

/** The copies of one kind that a checkpoint has. */
export type CopyStock = {
  /** Whether each of its volumes has one, proven as far as the policy asks. */
  readonly isProven: boolean;
  /** Whether each volume that has one has a copy of another kind, too, so proven. */
  readonly isCovered: readonly CopyKind[];
};

/**
 * Why copies stay. A rule's name: that rule wants them. `held`: somebody holds the checkpoint. `locked`: its bank lets
 * nobody remove it. `least`: it is one of the newest that count. `no-rule`: no rule speaks of this kind. `future`: it
 * calls itself newer than now, so that nobody knows what it is. `unproven`: it may still be proven, or no checkpoint
 * that counts is newer. `only-copy`: no other copy is proven.
 */
export type RetentionReason =
  | Exclude<keyof RetentionRules, 'spacing'>
  | 'held'
  | 'locked'
  | 'least'
  | 'no-rule'
  | 'future'
  | 'unproven'
  | 'only-copy';

/** What becomes of a checkpoint. */
export type RetentionDecision = {
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** `keep`: all of it stays. `reduce`: the copies of some kinds go. `remove`: all of it goes. */
  readonly action: 'keep' | 'reduce' | 'remove';
  /** Why the copies of a kind stay. */
  readonly kept: { readonly [Kind in CopyKind]?: readonly RetentionReason[] };
  /** The kinds whose copies go. */
  readonly removed: readonly CopyKind[];
};

/** How far the clocks of two hosts may be apart. */
const TOLERANCE = 5 * 60_000;
const HOUR = 3_600_000;
const PERIODS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

/** The kinds of copies that there are. */
export const KINDS: readonly CopyKind[] = ['array', 'archive', 'external'];

type Reasons = ReadonlyMap<CheckpointId, ReadonlySet<RetentionReason>>;

/**
 * Decides what becomes of the checkpoints of a plan, newest first. Pure. Only those count that are whole and proven and not
 * of the future; nothing goes but for newer ones that count and stay.
 */
export function planRetention(
  checkpoints: readonly RetainedCheckpoint[],
  policy: RetentionPolicy,
  now: number,
): readonly RetentionDecision[] {
  const newestFirst = checkpoints.toSorted((a, b) => b.instant - a.instant || (a.id < b.id ? 1 : -1));
  const isFuture = ({ instant }: RetainedCheckpoint): boolean => instant > now + TOLERANCE;
  const counted = newestFirst.filter(
    (one) => one.isWhole && !isFuture(one) && kindsOf(one).some(isProvenIn(one)),
  );
  const least = new Set(counted.slice(0, policy.least ?? 1));
  const wanted = new Map(
    KINDS.map((kind) => [
      kind,
      policy[kind] &&
        wantedBy(
          policy[kind],
          policy.timeZone,
          counted.filter((one) => isProvenIn(one)(kind)),
        ),
    ]),
  );
  return newestFirst.map((one) => {
    const why = (kind: CopyKind): readonly RetentionReason[] => {
      if (one.isHeld) return ['held'];
      const locked: readonly RetentionReason[] = one.isLocked && kind === lockedKind(one) ? ['locked'] : [];
      if (least.has(one)) return [...locked, 'least', ...(wanted.get(kind)?.reasons.get(one.id) ?? [])];
      if (locked.length > 0) return locked;
      if (isFuture(one)) return ['future'];
      const rules = wanted.get(kind);
      if (rules === undefined) return ['no-rule'];
      if (one.isWhole && isProvenIn(one)(kind)) return [...(rules.reasons.get(one.id) ?? [])];
      return one.instant >= rules.oldest ? ['unproven'] : [];
    };
    return decisionOf(one, new Map(kindsOf(one).map((kind) => [kind, why(kind)])));
  });
}

/** The kind that stays of a checkpoint whose records nobody can remove: its archives, or what it has instead. */
const lockedKind = (one: RetainedCheckpoint): CopyKind | undefined =>
  one.copies.archive === undefined ? kindsOf(one)[0] : 'archive';

const kindsOf = ({ copies }: RetainedCheckpoint): readonly CopyKind[] =>
  KINDS.filter((kind) => copies[kind] !== undefined);

const isProvenIn =
  ({ copies }: RetainedCheckpoint) =>
  (kind: CopyKind): boolean =>
    copies[kind]?.isProven === true;

function decisionOf(
  one: RetainedCheckpoint,
  reasons: ReadonlyMap<CopyKind, readonly RetentionReason[]>,
): RetentionDecision {
  const stays = new Map([...reasons].filter(([, why]) => why.length > 0));
  const removed: CopyKind[] = [];
  for (const [kind, why] of reasons) {
    if (why.length > 0) continue;
    const isCovered = one.copies[kind]?.isCovered.some((other) => stays.has(other)) === true;
    if (stays.size === 0 || isCovered) removed.push(kind);
    else stays.set(kind, ['only-copy']);
  }
  const action = removed.length === 0 ? 'keep' : stays.size === 0 ? 'remove' : 'reduce';
  // What has no copies left is no use to anybody, but that is for people to say: it may tell what went wrong.
  return { checkpoint: one.id, action, kept: Object.fromEntries(stays), removed };
}

/** Which of these the rules want, newest first; and the instant before which nothing unproven waits for its proof. */
function wantedBy(
  rules: RetentionRules,
  timeZone: string | undefined,
  newestFirst: readonly RetainedCheckpoint[],
): { readonly reasons: Reasons; readonly oldest: number } {
  const reasons = new Map<CheckpointId, Set<RetentionReason>>();
  const want = (one: RetainedCheckpoint, reason: RetentionReason): void => {
    const others = reasons.get(one.id);
    if (others === undefined) reasons.set(one.id, new Set([reason]));
    else others.add(reason);
  };
  const { last = 0, spacing = HOUR, within } = rules;
  for (const one of [...newestFirst.slice(0, last), ...apart(newestFirst, spacing).slice(0, last)])
    want(one, 'last');
  const newest = newestFirst[0];
  if (newest !== undefined && within !== undefined) {
    for (const one of newestFirst.filter(({ instant }) => instant >= newest.instant - within))
      want(one, 'within');
  }
  for (const name of PERIODS) {
    const seen = new Set<number>();
    const of = periodOf(name, timeZone ?? 'UTC');
    for (const one of (rules[name] ?? 0) > 0 ? newestFirst : []) {
      const period = of(one.instant);
      if (seen.has(period)) continue;
      if (seen.size === rules[name]) break;
      seen.add(period);
      want(one, name);
    }
  }
  const oldest = newestFirst.findLast(({ id }) => reasons.has(id))?.instant ?? Number.NEGATIVE_INFINITY;
  return { reasons, oldest };
}

/** Those of them, newest first, that are at least so far from the one before. */
function apart(newestFirst: readonly RetainedCheckpoint[], spacing: number): readonly RetainedCheckpoint[] {
  let before = Number.POSITIVE_INFINITY;
  return newestFirst.filter(({ instant }) => {
    if (instant > before - spacing) return false;
    before = instant;
    return true;
  });
}
