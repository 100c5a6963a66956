import * as z from 'zod';
import type { CallOptions, CheckpointId, ResourceKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { bankKeys } from './keys.ts';
import { getRecord, putRecord } from './records.ts';
import { count, digest, ownId, text } from './schema-parts.ts';
import { cutSegments, putSegments, type ReadRecord, segmentedPart, segmentsIn } from './segments.ts';
import type { Vault } from './vault.ts';

/** A resource by its key and by what its owner calls it. */
export type NamedResource = ResourceKey & {
  /** What its owner calls it. */
  readonly name: string;
};

/** Why a checkpoint does not say what joined and left. */
export type NotCompared =
  /** There is no earlier checkpoint of the plan that had the whole application and was not removed. */
  | 'none'
  /** There is one, but its graph is damaged or gone. */
  | 'unreadable'
  /** Not all dependencies could be read: what was not found may be there. */
  | 'incomplete';

/** What joined and what left an application since an earlier checkpoint, as a commit tells it. */
export type CommittedChanges =
  | {
      /** Compared with none. */
      readonly since: null;
      /** Why. */
      readonly reason: NotCompared;
    }
  | {
      /** The newest earlier checkpoint of the plan that had the whole application and could be read. */
      readonly since: CheckpointId;
      /** How many resources it does not have. */
      readonly joined: number;
      /** How many resources only it has. */
      readonly left: number;
      /** The digest of the record that has both lists; null where both are empty. */
      readonly lists: string | null;
    };

/** What joined, by position in the graph of the later checkpoint so that no key is stored twice, and what left. */
export type ChangeLists = {
  /** Positions, ascending. */
  readonly joined: readonly number[];
  /** Resources of the earlier checkpoint, ascending by (type, id). */
  readonly left: readonly NamedResource[];
};

/** The form of changes in a commit. */
export const committedChanges: z.ZodType<CommittedChanges> = z.union([
  z.strictObject({ since: z.null(), reason: z.enum(['none', 'unreadable', 'incomplete']) }),
  z.strictObject({ since: ownId<CheckpointId>(), joined: count, left: count, lists: digest.nullable() }),
]);

const MOST_RESOURCES = 2 ** 24;
const part = segmentedPart(MOST_RESOURCES);
const indexSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal('changes'),
  joined: part,
  left: part,
});
const joinedSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal('changes-joined'),
  entries: z.array(count),
});
const leftSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal('changes-left'),
  entries: z.array(z.strictObject({ type: text, id: text, name: z.string() })),
});

/** Stores the lists beside the graph of a checkpoint that is being made; resolves with the digest for its commit. */
export async function putChanges(
  vault: Vault,
  checkpoint: CheckpointId,
  { joined, left }: ChangeLists,
  call: CallOptions,
): Promise<string | null> {
  if (joined.length + left.length === 0) return null;
  const keyOf = (digest: string): string => bankKeys.graph(vault.tenant, checkpoint, digest);
  const put = (record: object): Promise<string> => putRecord(vault, keyOf, record, call);
  const index: z.infer<typeof indexSchema> = {
    format: 1,
    kind: 'changes',
    joined: { count: joined.length, segments: await putSegments(cutSegments('changes-joined', joined), put) },
    left: { count: left.length, segments: await putSegments(cutSegments('changes-left', left), put) },
  };
  return put(index);
}

/**
 * Reads the lists of a checkpoint. `NOT_FOUND` where they are gone; `CORRUPT` where they are damaged, not as long as the
 * commit says, or have what is no position in a graph of so many resources.
 */
export async function getChanges(
  vault: Vault,
  checkpoint: CheckpointId,
  told: Extract<CommittedChanges, { readonly joined: number }>,
  resources: number,
  call: CallOptions,
): Promise<ChangeLists> {
  const { lists } = told;
  const joined: number[] = [];
  const left: NamedResource[] = [];
  const assertWhole = (holds: boolean): void => {
    if (holds) return;
    const where = `the changes of checkpoint ${checkpoint} in bank ${vault.bank.name}`;
    throw new FafnirError('CORRUPT', `${where} are not what its commit says`);
  };
  if (lists !== null) {
    const keyOf = (digest: string): string => bankKeys.graph(vault.tenant, checkpoint, digest);
    const read: ReadRecord = (digest, schema) => getRecord(vault, keyOf(digest), schema, call);
    const index = await read(lists, indexSchema);
    for await (const { entries } of segmentsIn(read, index.joined, joinedSchema)) {
      for (const at of entries) {
        assertWhole(at < resources && at > (joined.at(-1) ?? -1));
        joined.push(at);
      }
    }
    for await (const { entries } of segmentsIn(read, index.left, leftSchema)) {
      assertWhole(left.length + entries.length <= told.left);
      for (const resource of entries) left.push(resource);
    }
  }
  assertWhole(joined.length === told.joined && left.length === told.left);
  return { joined, left };
}
