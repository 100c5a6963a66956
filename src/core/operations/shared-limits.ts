import * as z from 'zod';
import type { JobRecord, Place } from '../contracts/index.ts';
import { joinParts } from '../identity.ts';
import { strictOptions } from '../options.ts';

/** How much is under way at once over all engines on a store; what is left out has no such limit. */
export interface SharedLimits {
  /** Jobs of one tenant; the others wait. Parts of jobs are not counted. */
  readonly jobsPerTenant?: number;
  /** Volumes that are archived from one array. */
  readonly archivesPerArray?: number;
  /** Volumes that are archived into one bank. */
  readonly archivesPerBank?: number;
  /** Jobs that restore to a provider with one array, or verify copies that are on it. */
  readonly restoresPerArray?: number;
  /** Jobs that restore from one bank, or verify what is in it. */
  readonly restoresPerBank?: number;
}

const limit = z.int().min(1).exactOptional();

/** {@link SharedLimits} from outside. */
export const sharedLimitsSchema: z.ZodType<SharedLimits> = strictOptions({
  jobsPerTenant: limit,
  archivesPerArray: limit,
  archivesPerBank: limit,
  restoresPerArray: limit,
  restoresPerBank: limit,
});

const placeOf = (limit: number | undefined, ...name: readonly string[]): readonly Place[] =>
  limit === undefined ? [] : [{ name: joinParts(...name), limit }];

/** The place that a job needs while it runs. A part has that of its job, or the two would wait for each other. */
export const placeOfJob = (
  { jobsPerTenant }: SharedLimits,
  { tenant, parent }: Pick<JobRecord, 'tenant' | 'parent'>,
): readonly Place[] => (parent === undefined ? placeOf(jobsPerTenant, 'tenant', tenant) : []);

/** The places that the archiving of a volume needs. */
export const placesOfArchive = (
  { archivesPerArray, archivesPerBank }: SharedLimits,
  of: { readonly provider: string; readonly array: string; readonly bank: string },
): readonly Place[] => [
  ...placeOf(archivesPerArray, 'array', of.provider, of.array),
  ...placeOf(archivesPerBank, 'bank', of.bank),
];

/** The places that a job needs which restores or verifies copies: of arrays of the provider, and of the bank. */
export const placesOfRestore = (
  { restoresPerArray, restoresPerBank }: SharedLimits,
  of: { readonly provider: string; readonly arrays: Iterable<string>; readonly bank: string },
): readonly Place[] => [
  ...Array.from(of.arrays).flatMap((array) =>
    placeOf(restoresPerArray, 'restore', 'array', of.provider, array),
  ),
  ...placeOf(restoresPerBank, 'restore', 'bank', of.bank),
];
