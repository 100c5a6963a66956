import * as z from 'zod';
import type {
  ErrorRecord,
  JobId,
  JsonObject,
  NewSchedule,
  PauseScope,
  PlanId,
  ScheduledOperation,
  ScheduleId,
  ScheduleRecord,
  ScheduleTick,
  TenantId,
} from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { encodeJson } from '../core/json-text.ts';
import { damaged } from './records.ts';
import { argumentsSchema, planOperationSchema } from './template-records.ts';

/** A schedule as stores keep it: what changes beside a text of what never does. */
export type KeptSchedule = Omit<ScheduleRecord, keyof NewSchedule | 'pausedBy'> &
  Pick<NewSchedule, 'id' | 'tenant' | 'plan' | 'site' | 'next' | 'wakeAt'> & {
    /** What was asked for, as JSON. */
    readonly asked: string;
  };

type Asked = Omit<NewSchedule, 'id' | 'tenant' | 'plan' | 'site' | 'next' | 'wakeAt'>;

const jsonObject = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
const askedSchema = z.strictObject({
  actor: z.string(),
  when: z.nullable(
    z.strictObject({
      cron: z.string().exactOptional(),
      rrule: z.string().exactOptional(),
      timeZone: z.string(),
      start: z.number(),
      end: z.number().exactOptional(),
    }),
  ),
  windowMilliseconds: z.number(),
  jitterMilliseconds: z.number(),
  operation: z.union([
    planOperationSchema,
    z.strictObject({ template: z.string(), arguments: argumentsSchema }),
  ]),
  missed: z.enum(['skip', 'run-once', 'catch-up']),
  overlap: z.enum(['skip', 'queue', 'cancel-older']),
  createdAt: z.number(),
}) satisfies z.ZodType<Asked>;

const recorded = { time: z.number(), event: z.string().exactOptional(), recordedAt: z.number() };
const tickSchema = z.discriminatedUnion('state', [
  z.strictObject({
    ...recorded,
    state: z.literal('fired'),
    job: z.custom<JobId>((value) => typeof value === 'string'),
  }),
  z.strictObject({
    ...recorded,
    state: z.literal('missed'),
    reason: z.enum(['stopped', 'window', 'paused', 'overlapped', 'refused']),
    error: z.custom<ErrorRecord>((value) => jsonObject.safeParse(value).success).exactOptional(),
  }),
]) satisfies z.ZodType<ScheduleTick>;

/** A schedule to keep: what the contract knows of it, and nothing else. */
export function keepSchedule({
  id,
  tenant,
  plan,
  site,
  next,
  wakeAt,
  actor,
  when,
  windowMilliseconds,
  jitterMilliseconds,
  operation,
  missed,
  overlap,
  createdAt,
}: NewSchedule): KeptSchedule {
  const asked: Asked = {
    actor,
    when,
    windowMilliseconds,
    jitterMilliseconds,
    operation: keepOperation(operation),
    missed,
    overlap,
    createdAt,
  };
  const text = encodeJson(`schedule ${id}`, asked);
  return { id, tenant, plan, site, next, wakeAt, asked: text, revision: 0, lastJob: null, resumedAt: 0 };
}

const keepOperation = (operation: ScheduledOperation): ScheduledOperation =>
  'template' in operation
    ? { template: operation.template, arguments: operation.arguments }
    : { name: operation.name, options: operation.options };

/** A kept schedule as callers see it, their own copy; `CORRUPT` where what is kept cannot be one. */
export function scheduleRecord(
  { asked, ...kept }: KeptSchedule,
  pausedBy: ScheduleRecord['pausedBy'],
): ScheduleRecord {
  return { ...kept, ...decoded(`schedule ${kept.id}`, askedSchema, asked), pausedBy };
}

/** What became of a tick, as text. */
export const keepTick = (schedule: Pick<ScheduleRecord, 'id'>, tick: ScheduleTick): string =>
  encodeJson(`a tick of schedule ${schedule.id}`, tick);

/** A kept tick as callers see it; `CORRUPT` where what is kept cannot be one. */
export const tickRecord = (schedule: ScheduleId, text: string): ScheduleTick =>
  decoded(`a tick of schedule ${schedule}`, tickSchema, text);

/** What tells a pause from others: its kind, the tenant or nothing, and the name of what is paused. */
export type PauseKey = readonly [kind: PauseScope['kind'], tenant: string, name: string];

/** The key of a pause. */
export function pauseKey(scope: PauseScope): PauseKey {
  if (scope.kind === 'site') return ['site', '', scope.site];
  return [scope.kind, scope.tenant, scope.kind === 'plan' ? scope.plan : scope.schedule];
}

/** The pause of a key; `CORRUPT` for an unknown kind. */
export function pauseScope(kind: string, owner: string, name: string): PauseScope {
  const tenant = owner as TenantId;
  if (kind === 'site') return { kind, site: name };
  if (kind === 'plan') return { kind, tenant, plan: name as PlanId };
  if (kind === 'schedule') return { kind, tenant, schedule: name as ScheduleId };
  throw damaged(`a pause of ${kind}`);
}

/** The pauses that a schedule can stand still by. */
export const pauseKeys = ({
  tenant,
  id,
  plan,
  site,
}: Pick<ScheduleRecord, 'tenant' | 'id' | 'plan' | 'site'>): readonly PauseKey[] => [
  ['site', '', site],
  ['plan', tenant, plan],
  ['schedule', tenant, id],
];

/** The tenant has a schedule of this id. */
export const scheduleExists = ({ tenant, id }: Pick<NewSchedule, 'tenant' | 'id'>): FafnirError =>
  new FafnirError('ALREADY_EXISTS', `tenant ${tenant} has a schedule with id ${id} already`);

/** What became of the tick was recorded. */
export const tickExists = ({ id }: Pick<ScheduleRecord, 'id'>, { time, event }: ScheduleTick): FafnirError =>
  new FafnirError('ALREADY_EXISTS', `schedule ${id} has its tick of ${event ?? time} already`);

function decoded<Value>(what: string, schema: z.ZodType<Value>, text: string): Value {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged(what, cause);
  }
}
