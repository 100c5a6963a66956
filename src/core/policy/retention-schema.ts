import * as z from 'zod';
import type { PlanRecord, RetentionPolicy, RetentionRules } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { isTimeZone } from './periods.ts';

const count = z.int().min(1).exactOptional();
const milliseconds = z.int().min(0).exactOptional();

const rulesSchema = strictOptions({
  last: count,
  spacing: milliseconds,
  within: milliseconds,
  hourly: count,
  daily: count,
  weekly: count,
  monthly: count,
  yearly: count,
}).refine(
  ({ spacing: _, ...rules }) => Object.keys(rules).length > 0,
  'needs a rule that keeps something, such as last',
) satisfies z.ZodType<RetentionRules>;

/** How long checkpoints stay, from outside. */
export const retentionSchema: z.ZodType<RetentionPolicy> = strictOptions({
  array: rulesSchema.exactOptional(),
  archive: rulesSchema.exactOptional(),
  external: rulesSchema.exactOptional(),
  proof: z.enum(['stored', 'read-back', 'source-compared', 'restored']).exactOptional(),
  least: count,
  timeZone: z.string().refine(isTimeZone, 'must be an IANA time zone').exactOptional(),
}).refine(
  ({ array, archive, external }) => [array, archive, external].some((rules) => rules !== undefined),
  'needs rules for array, archive or external',
);

/** A retention policy from outside, checked; `where` names the function for the message. */
export function parseRetention(where: string, value: unknown): RetentionPolicy {
  return parseOptions(where, retentionSchema, value);
}

/** How long the checkpoints of a plan stay: what the call says, else what the plan does; `INVALID_OPTIONS` where neither does. */
export function retentionOf(
  where: string,
  { name, retention }: Pick<PlanRecord, 'name' | 'retention'>,
  asked: unknown,
): RetentionPolicy {
  if (asked !== undefined) return parseRetention(`${where}: policy`, asked);
  if (retention !== undefined) return retention;
  throw new FafnirError(
    'INVALID_OPTIONS',
    `${where}: plan ${name} has no retention, and the call has no policy`,
  );
}
