import * as z from 'zod';
import type { JsonObject, PlanId, ScheduledOperation } from '../contracts/index.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { policyWishSchema } from '../policy/policy-schema.ts';
import { retentionSchema } from '../policy/retention-schema.ts';
import { parseTemplateUse, type TemplateUse } from './template-use.ts';
import type { ProtectOptions, RetainOptions, VerifyOptions } from './session-options.ts';

const DAY = 86_400_000;

/** When a schedule has its ticks, as a tenant asks for it; one of `cron` and `rrule` is given. */
export interface ScheduleWhen {
  /** Five fields, such as `30 2 * * 1-5`: minute, hour, day of month, month, day of week; or a name such as `@daily`. */
  readonly cron?: string;
  /** An iCalendar rule of days, weeks, months or years, such as `FREQ=MONTHLY;BYDAY=-1SU;BYHOUR=4;BYMINUTE=0`. */
  readonly rrule?: string;
  /** Whose clock it goes by: a name of the IANA database. Default `UTC`. */
  readonly timeZone?: string;
  /** No tick before it, and where an `rrule` begins; milliseconds since 1970 UTC. Default: now. */
  readonly start?: number;
  /** No tick after it; milliseconds since 1970 UTC. Default: never. */
  readonly end?: number;
  /** How long after it is due a tick is fired without being late, in milliseconds. Default 600,000. */
  readonly window?: number;
  /** Each tick is due later than its time by less than this, in milliseconds; the same on every host. Default 0. */
  readonly jitter?: number;
}

/** What a schedule does at each tick, and with which options of that call. */
export type ScheduledCall =
  | {
      /** As `session.protect`. */
      readonly name: 'protect';
      /** Default: none. */
      readonly options?: Pick<ProtectOptions, 'policy' | 'pauseMilliseconds'>;
    }
  | {
      /** As `session.verify`, of the plan's newest checkpoint. */
      readonly name: 'verify';
      /** Default: none. */
      readonly options?: Pick<VerifyOptions, 'level' | 'sample'>;
    }
  | {
      /** As `session.collect`, in the bank of the plan's provider. */
      readonly name: 'collect';
    }
  | {
      /** As `session.retain`. */
      readonly name: 'retain';
      /** Default: none, so that the plan says how long its checkpoints stay. */
      readonly options?: Pick<RetainOptions, 'policy'>;
    };

/** A schedule as a tenant asks for it. */
export interface ScheduleRequest {
  /** With which plan. */
  readonly plan: PlanId;
  /** When. Left out, it is fired by events alone. */
  readonly when?: ScheduleWhen;
  /** What, or a template that says so at each tick. Default: protect. */
  readonly operation?: ScheduledCall | TemplateUse;
  /**
   * What becomes of late ticks. `run-once`, the default: the newest is fired and stands for those before it. `skip`: they
   * are missed. `catch-up`: all are fired, one after another; needs `overlap: 'queue'`.
   */
  readonly missed?: 'run-once' | 'skip' | 'catch-up';
  /**
   * What becomes of a tick while the job of the one before is open. `skip`, the default: it is missed. `queue`: it waits, and
   * may come to be late. `cancel-older`: that job is cancelled.
   */
  readonly overlap?: 'skip' | 'queue' | 'cancel-older';
}

type CallOf<Name extends ScheduledCall['name']> = Required<Extract<ScheduledCall, { name: Name }>>;

/** A call that was checked, with its options. */
export type CheckedCall =
  | CallOf<'protect'>
  | CallOf<'verify'>
  | CallOf<'retain'>
  | (CallOf<'collect'> & { readonly options: Readonly<Record<string, never>> });

/** A request that was checked, with its defaults. */
export type CheckedRequest = Pick<ScheduleRequest, 'plan' | 'when'> &
  Required<Pick<ScheduleRequest, 'missed' | 'overlap'>> & {
    /** What, as it is stored. */
    readonly operation: ScheduledOperation;
  };

const whenSchema = strictOptions({
  cron: z.string().exactOptional(),
  rrule: z.string().exactOptional(),
  timeZone: z.string().exactOptional(),
  start: z.int().exactOptional(),
  end: z.int().exactOptional(),
  window: z.int().min(60_000).exactOptional(),
  jitter: z.int().nonnegative().max(DAY).exactOptional(),
}) satisfies z.ZodType<ScheduleWhen>;

const operationSchema: z.ZodType<CheckedCall> = z.discriminatedUnion('name', [
  strictOptions({
    name: z.literal('protect'),
    options: strictOptions({
      policy: policyWishSchema.exactOptional(),
      pauseMilliseconds: z.int().min(100).max(600_000).exactOptional(),
    }).default({}),
  }),
  strictOptions({
    name: z.literal('verify'),
    options: strictOptions({
      level: z.enum(['tags', 'deep']).exactOptional(),
      sample: z.number().positive().max(1).exactOptional(),
    }).default({}),
  }),
  strictOptions({
    name: z.literal('retain'),
    options: strictOptions({ policy: retentionSchema.exactOptional() }).default({}),
  }),
  strictOptions({ name: z.literal('collect'), options: strictOptions({}).default({}) }),
]);

const requestSchema = strictOptions({
  plan: z.custom<PlanId>((value) => typeof value === 'string', 'must be an id'),
  when: whenSchema.exactOptional(),
  operation: z.unknown().exactOptional(),
  missed: z.enum(['run-once', 'skip', 'catch-up']).default('run-once'),
  overlap: z.enum(['skip', 'queue', 'cancel-older']).default('skip'),
}).refine(
  ({ missed, overlap }) => missed !== 'catch-up' || overlap === 'queue',
  "missed: 'catch-up' needs overlap: 'queue', or the ticks would run into each other",
);

/** A host's request, or `INVALID_OPTIONS`. Whether a template takes what it is given is not looked at. */
export function parseScheduleRequest(request: unknown): CheckedRequest {
  const where = 'schedules.create';
  const { operation = { name: 'protect' }, ...rest } = parseOptions(where, requestSchema, request);
  if (typeof operation === 'object' && operation !== null && 'template' in operation) {
    return { ...rest, operation: parseTemplateUse(`${where}: operation`, operation) };
  }
  const { name, options } = parsePlanOperation(`${where}: operation`, operation);
  return { ...rest, operation: { name, options: options as JsonObject } };
}

/** What is to be done with a plan, or `INVALID_OPTIONS` where this version cannot tell. */
export const parsePlanOperation = (where: string, operation: unknown): CheckedCall =>
  parseOptions(where, operationSchema, operation);
