import type {
  AuditEntry,
  JobEnd,
  JobOutcome,
  JobRecord,
  JobUsage,
  Json,
  NewJob,
  ScheduleRecord,
  ScheduleTick,
} from '../contracts/index.ts';
import type { Telling } from './operation.ts';

/** Who asked for a job, where that is not who it acts for, and what else is to be told of it. */
export type Asked = Partial<Pick<AuditEntry, 'actor' | 'reason' | 'object'>>;

/** What the chain is to tell of a new job; nothing of a part of another, which is told of as a whole. */
export function submitted(
  { id, parent, actor, operation, input, createdAt: at }: NewJob,
  { reason, object, ...asked }: Asked = {},
): AuditEntry | undefined {
  if (parent !== undefined) return undefined;
  const about = { job: id, ...operationOf(operation, input), ...idsIn(input), ...object };
  return { at, actor, ...asked, action: 'job.submitted', object: about, ...(reason && { reason }) };
}

/** What the chain is to tell of what a job did or found while it ran; a part of another did it as that one. */
export const foundBy = (
  { id, parent = id, actor }: JobRecord,
  { action, object }: Telling,
  at: number,
): AuditEntry => ({ at, actor, action, object: { job: parent, ...object } });

/** A job's end, with what the chain is to tell of it. */
export function endOf(job: JobRecord, outcome: JobOutcome, at: number, usage: JobUsage): JobEnd {
  const { id, actor, parent, operation, input } = job;
  if (parent !== undefined) return { at, usage };
  const { plan, checkpoint, provider } = usage;
  const about = {
    ...{ job: id, ...operationOf(operation, input), ...idsIn(input) },
    ...(provider !== null && { provider }),
    ...(plan !== null && { plan }),
    ...(checkpoint !== null && { checkpoint }),
  };
  const { state } = outcome;
  const ended = { state, ...(outcome.state !== 'succeeded' && { code: outcome.error.code }) };
  return { at, usage, audit: { at, actor, action: 'job.ended', object: about, outcome: ended } };
}

/** What the chain is to tell of ticks that were missed: one entry for each reason, with how many, the first and the last. */
export function missedOf(
  { id, plan, actor }: ScheduleRecord,
  ticks: readonly ScheduleTick[],
  asked: Asked,
): readonly AuditEntry[] {
  const missed = ticks.filter((tick) => tick.state === 'missed').sort((one, other) => one.time - other.time);
  const byReason = Map.groupBy(missed, ({ reason, error }) => `${reason} ${error?.code}`);
  return [...byReason.values()].flatMap((some): AuditEntry[] => {
    const [first, last] = [some[0], some.at(-1)];
    if (first === undefined || last === undefined) return [];
    const { recordedAt: at, reason: missed, error } = first;
    const object = {
      ...{ schedule: id, plan, missed, ticks: String(some.length) },
      ...{ first: timeOf(first), last: timeOf(last) },
      ...(error && { code: error.code }),
    };
    return [{ at, actor, ...asked, action: 'schedule.missed', object }];
  });
}

const timeOf = ({ time }: ScheduleTick): string => new Date(time).toISOString();

// A hold is lifted by the operation that sets one.
const operationOf = (operation: string, { lift }: NewJob['input']): AuditEntry['object'] =>
  typeof lift === 'string' ? { operation: 'lift', hold: lift } : { operation };

// What jobs are about, by the members of their inputs that name it. All else stays out.
function idsIn({ plan, checkpoint, to, bank }: NewJob['input']): AuditEntry['object'] {
  const ids = { plan: isPlan(plan) ? plan.id : plan, checkpoint, to, bank };
  return Object.fromEntries(
    Object.entries(ids).flatMap(([name, id]) => (typeof id === 'string' ? [[name, id]] : [])),
  );
}

const isPlan = (value: Json | undefined): value is { readonly id: Json } =>
  typeof value === 'object' && value !== null && 'id' in value;
