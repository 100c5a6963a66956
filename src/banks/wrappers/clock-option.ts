import * as z from 'zod';
import type { Clock } from '../../core/contracts/index.ts';

/** The clock among the options of a wrapper. */
export const clockOption: z.ZodType<Clock> = z.custom<Clock>(
  (value) => typeof value === 'object' && value !== null && 'sleep' in value && 'monotonic' in value,
  'must be a clock',
);
