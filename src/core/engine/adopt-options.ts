import * as z from 'zod';
import type { SnapshotPolicyWish } from '../contracts/index.ts';
import type { Adoption, SnapshotToAdopt } from '../operations/adoption.ts';
import { joinParts } from '../identity.ts';
import { NAME_PREFIX } from '../operations/tokens.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { consistencyWishSchema } from '../policy/policy-schema.ts';

/** What is to be adopted. */
export interface AdoptionRequest {
  /**
   * Whether Fafnir may ever remove the snapshots. `take`: they go with the checkpoint, or once they are archived with
   * `removeSnapshots`. `leave`: they stay on their arrays, for those who made them to remove; then the checkpoint loses
   * its copies.
   */
  readonly ownership: Adoption['ownership'];
  /**
   * One for each volume of the plan, such as `session.snapshots` lists. They should be of one instant; how far they are apart
   * is recorded.
   */
  readonly snapshots: readonly SnapshotToAdopt[];
  /** What the instants must be worth, where that differs from what the plan says: `crash` at best. */
  readonly policy?: Pick<SnapshotPolicyWish, 'consistency' | 'onInconsistency'>;
}

/** A snapshot's name goes into records beside other text. */
const LONGEST_NAME = 512;

const place = z.string().min(1).max(1_024);
const snapshot = strictOptions({
  array: place,
  volume: place,
  name: z
    .string()
    .min(1)
    .max(LONGEST_NAME)
    .refine(
      (name) => !name.startsWith(NAME_PREFIX),
      `must not begin with ${NAME_PREFIX}, as Fafnir's own do`,
    ),
  takenAt: z.iso.datetime().exactOptional(),
  size: z.int().nonnegative().exactOptional(),
}) satisfies z.ZodType<SnapshotToAdopt>;
const isDistinct = (snapshots: readonly SnapshotToAdopt[]): boolean =>
  new Set(snapshots.map(({ array, volume }) => joinParts(array, volume))).size === snapshots.length;
const ownership = z.enum(['take', 'leave']);
const snapshots = z.array(snapshot).min(1).refine(isDistinct, 'must name one snapshot of each volume');
const requestSchema = strictOptions({
  ownership,
  snapshots,
  policy: consistencyWishSchema.exactOptional(),
}) satisfies z.ZodType<AdoptionRequest>;
const adoptionSchema = strictOptions({ ownership, snapshots }) satisfies z.ZodType<Adoption>;

/** A request from outside, checked: what is adopted, and what its policy says. */
export function parseAdoptionRequest(
  where: string,
  value: unknown,
): { readonly adopted: Adoption; readonly policy: SnapshotPolicyWish } {
  const { policy = {}, ...adopted } = parseOptions(where, requestSchema, value);
  return { adopted, policy };
}

/** An adoption that came from outside, such as that of a preview, checked. */
export const parseAdoption = (where: string, value: unknown): Adoption =>
  parseOptions(where, adoptionSchema, value);
