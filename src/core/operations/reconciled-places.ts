import type {
  ArraySnapshot,
  CallOptions,
  CopyKind,
  ExternalCopies,
  Provider,
  SnapshotCopy,
  StorageArray,
} from '../contracts/index.ts';
import { joinParts } from '../identity.ts';
import { isSameSnapshot, snapshotNameOf } from './array-copies.ts';
import type { SnapshotKey } from './census.ts';
import { tokenOf } from './external-copies.ts';

/** An array or an external store, as something that holds what checkpoints count on. */
export interface ReconciledPlace {
  /** Its name. */
  readonly name: string;
  /** What it has that was asked for under names that begin so. */
  list(prefix: string, call: CallOptions): AsyncIterable<SnapshotKey>;
  /** Those of the copies that it does not have. */
  without(copies: readonly SnapshotCopy[], call: CallOptions): Promise<readonly SnapshotCopy[]>;
  /** Removes one; a missing one is success. */
  remove(key: SnapshotKey, call: CallOptions): Promise<void>;
}

/** What a place of {@link placesOf} goes by. */
export const placeOf = ({ kind, location }: Pick<SnapshotCopy, 'kind' | 'location'>): string =>
  joinParts(kind, location);

/** What tells a copy on an array or in an external store from the others there; `CORRUPT` where its record does not. */
export const keyOf = (copy: SnapshotCopy): SnapshotKey => ({
  name: copy.kind === 'array' ? snapshotNameOf(copy) : tokenOf(copy),
  volume: copy.volume.id,
});

/** The arrays and the external stores of a provider, by {@link placeOf}. */
export function placesOf({ arrays, copyStores }: Pick<Provider, 'arrays' | 'copyStores'>): {
  readonly arrays: ReadonlyMap<string, ReconciledPlace>;
  readonly external: ReadonlyMap<string, ReconciledPlace>;
} {
  const of = <One extends { readonly name: string }>(
    kind: CopyKind,
    all: Iterable<One>,
    placed: (one: One) => ReconciledPlace,
  ): ReadonlyMap<string, ReconciledPlace> =>
    new Map(Array.from(all, (one) => [placeOf({ kind, location: one.name }), placed(one)]));
  return {
    arrays: of('array', arrays.values(), onArray),
    external: of('external', copyStores?.values() ?? [], inStore),
  };
}

// To look for a name an array may have to look through all it has: for more than these it is asked for the whole list.
const MOST_FINDS = 16;

const onArray = (array: StorageArray): ReconciledPlace => ({
  name: array.name,
  async *list(prefix, call) {
    for await (const { name, volume } of array.list(prefix, call)) yield { name, volume: volume.id };
  },
  async without(copies, call) {
    const gone = new Set(copies);
    const byName = Map.groupBy(copies, snapshotNameOf);
    const meet = (snapshot: ArraySnapshot): void => {
      for (const copy of byName.get(snapshot.name) ?? [])
        if (isSameSnapshot(snapshot, copy)) gone.delete(copy);
    };
    if (byName.size > MOST_FINDS) for await (const snapshot of array.list('', call)) meet(snapshot);
    else for (const name of byName.keys()) (await array.find(name, call)).forEach(meet);
    return [...gone];
  },
  async remove({ name, volume }, call) {
    const found = await array.find(name, call);
    const snapshot = found.find((one) => one.volume.id === volume);
    // What is not there any more, somebody else has removed.
    if (snapshot !== undefined) await array.remove(snapshot, call);
  },
});

const inStore = (store: ExternalCopies): ReconciledPlace => ({
  name: store.name,
  async *list(prefix, call) {
    for await (const { token, volume } of store.list(prefix, call)) yield { name: token, volume };
  },
  async without(copies, call) {
    const byToken = Map.groupBy(copies, tokenOf);
    for await (const { token } of store.list('', call)) byToken.delete(token);
    return [...byToken.values()].flat();
  },
  async remove({ name }, call) {
    await store.removeMade(name, call);
  },
});
