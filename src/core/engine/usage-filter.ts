import * as z from 'zod';
import type { UsageFilter } from '../contracts/index.ts';
import { parseOptions, strictOptions } from '../options.ts';

const filterSchema = strictOptions({
  from: z.number().exactOptional(),
  until: z.number().exactOptional(),
}) satisfies z.ZodType<UsageFilter>;

/** A time from outside, or `INVALID_OPTIONS`. */
export const parseUsageFilter = (filter: UsageFilter): UsageFilter =>
  parseOptions('usage', filterSchema, filter);
