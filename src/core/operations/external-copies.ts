import { proofReaches } from '../archive/catalog.ts';
import type {
  CallOptions,
  ExternalCopies,
  ExternalSource,
  JobRecord,
  Provider,
  SnapshotCopy,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { joinParts, splitParts } from '../identity.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { ArrayCopies, snapshotOf } from './array-copies.ts';
import type { VolumeDecision } from './protect-plan.ts';
import { effectName } from './tokens.ts';

const EXTERNAL = 'external';

/** The external store of this name, or `UNKNOWN_PROVIDER`. */
export function externalStore({ name, copyStores }: Provider, store: string): ExternalCopies {
  const found = copyStores?.get(store);
  if (found !== undefined) return found;
  throw new FafnirError('UNKNOWN_PROVIDER', `provider ${name} has no external store ${store}`, {
    hint: 'Give the provider a part with this copy store.',
  });
}

/** The token that a copy was asked for under; `CORRUPT` where its record names none. */
export function tokenOf({ reference, location }: SnapshotCopy): string {
  if (typeof reference.token === 'string') return reference.token;
  throw new FafnirError('CORRUPT', `the record of a copy in ${location} names no token`);
}

/** Has a service outside make a copy of a snapshot, which `reader` reads, and makes sure that it is proven as was asked. */
export async function makeExternal(
  context: OperationContext,
  { provider, installation }: { readonly provider: Provider; readonly installation: string },
  { resource, volume, copies: { store: name = '', proof } }: VolumeDecision,
  { snapshot, reader }: { readonly snapshot: SnapshotCopy; readonly reader: string },
): Promise<SnapshotCopy> {
  const store = externalStore(provider, name);
  const share = context.progress.share(volume.size);
  const step = joinParts(EXTERNAL, name, volume.array, volume.id);
  const token = effectName(installation, context.job, step);
  const made = await context.effect(
    step,
    async (call) => {
      const counted = { ...call, progress: (bytes: number) => share.advance(bytes) };
      const arrays = new ArrayCopies(provider);
      const open: ExternalSource['open'] = (call) =>
        arrays.openSince(snapshot, undefined, { ...call, token: reader });
      return store.create({ volume, snapshot: snapshotOf(snapshot), open, proof }, token, counted);
    },
    snapshot,
  );
  if (!proofReaches(made.proof, proof)) {
    throw new FafnirError(
      'NOT_PROVEN',
      `the copy of ${describeKey(resource)} in ${name} did not reach ${proof}`,
    );
  }
  share.finish();
  return made;
}

/** Whether a step makes a copy with a service outside. */
export const isExternal = (step: string): boolean => splitParts(step)[0] === EXTERNAL;

/** Removes what a step made with a service outside, unless one of `kept` is it. Resolves with what was removed, as sentences. */
export async function removeExternal(
  { provider, installation }: { readonly provider: Provider; readonly installation: string },
  job: Pick<JobRecord, 'tenant' | 'id'>,
  step: string,
  kept: readonly SnapshotCopy[],
  call: CallOptions,
): Promise<readonly string[]> {
  const [, store = '', array, id] = splitParts(step);
  const isKept = kept.some(
    ({ kind, location, volume }) =>
      kind === EXTERNAL && location === store && volume.array === array && volume.id === id,
  );
  if (isKept) return [];
  const removed = await externalStore(provider, store).removeMade(effectName(installation, job, step), call);
  return removed.map((one) => `${one} in ${store}`);
}
