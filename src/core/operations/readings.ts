import type { Commit } from '../archive/checkpoint.ts';
import type { CallOptions, CopyCall, JobRecord, SnapshotCopy, StorageArray } from '../contracts/index.ts';
import { joinParts, splitParts } from '../identity.ts';
import type { Leftovers } from '../jobs/leftovers.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { isUnreachable } from './copies.ts';
import { externalStore } from './external-copies.ts';
import type { OperationServices } from './services.ts';
import { effectName } from './tokens.ts';

const READ = 'read/';

/** Where a copy is. */
type Place = Pick<SnapshotCopy, 'kind' | 'location'>;

/** A call that reads whichever copy serves. */
export interface ReadingsCall extends CopyCall {
  /** The token of the reading of a copy. */
  tokenOf(copy: Place): string;
}

/**
 * Journals, before a step reads copies, of which of them something may have to be made to be read: nobody else could tell
 * what a dead worker left. Resolves with what names the readings.
 */
export async function intendReadings(
  context: OperationContext,
  services: OperationServices,
  { provider }: Pick<Commit, 'provider'>,
  copies: readonly Place[],
  step: string,
): Promise<ReadingsCall['tokenOf']> {
  const { job } = context;
  const nameOf = ({ kind, location }: Place): string => READ + joinParts(provider, kind, location, step);
  for (const copy of copies) {
    const mayLeave = endingOf(services, { tenant: job.tenant, provider }, copy) !== undefined;
    if (mayLeave) await context.effect(nameOf(copy), async () => null);
  }
  return (copy) => effectName(services.installation, job, nameOf(copy));
}

/** The same of one copy; resolves with what names its reading. */
export async function intendReading(
  context: OperationContext,
  services: OperationServices,
  of: Pick<Commit, 'provider'>,
  copy: Place,
  step: string,
): Promise<string> {
  return (await intendReadings(context, services, of, [copy], step))(copy);
}

/** Removes, after a success, what dead workers had made to be read: what is read by this one has nothing left. */
export async function clearDeadReadings(
  ...[context, services, leftovers]: Parameters<typeof clearReadings>
): Promise<void> {
  if (context.job.epoch > 1) await clearReadings(context, services, leftovers);
}

/** Removes what was made to be read, once no step reads any more. */
export async function clearReadings(
  context: OperationContext,
  services: OperationServices,
  leftovers: Leftovers,
): Promise<void> {
  for (const intent of readingsAmong(context.intents())) {
    await leftovers.attempt(`remove what ${intent} left`, async () => {
      await context.effect(`clear/${intent}`, async (call) => {
        await removeReading(services, context.job, intent, call);
        return null;
      });
    });
  }
}

/** Removes what was made to be read after a job had ended. Resolves with what that was, as sentences. */
export async function removeReadings(
  services: OperationServices,
  job: JobRecord,
  intents: readonly string[],
  call: CallOptions,
): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const intent of readingsAmong(intents)) {
    removed.push(...(await removeReading(services, job, intent, call)));
  }
  return removed;
}

const readingsAmong = (intents: readonly string[]): readonly string[] =>
  intents.filter((name) => name.startsWith(READ));

async function removeReading(
  services: OperationServices,
  job: JobRecord,
  intent: string,
  call: CallOptions,
): Promise<readonly string[]> {
  const [, provider = '', kind = '', location = ''] = splitParts(intent);
  const end = endingOf(services, { tenant: job.tenant, provider }, { kind, location });
  // Where there is none any more, nothing was read from here.
  const removed = await end?.(effectName(services.installation, job, intent), call);
  return (removed ?? []).map((one) => `${one} in ${location}`);
}

/** What ends readings of copies in a place; undefined where they leave nothing, or where the place cannot be reached. */
function endingOf(
  services: OperationServices,
  { tenant, provider: name }: Pick<Commit, 'tenant' | 'provider'>,
  { kind, location }: { readonly kind: string; readonly location: string },
): StorageArray['endReading'] {
  if (kind === 'archive') return undefined;
  try {
    const provider = services.provider(name, tenant);
    if (kind === 'array') {
      const array = provider.arrays.get(location);
      return array?.endReading?.bind(array);
    }
    const store = externalStore(provider, location);
    return store.removeMade.bind(store);
  } catch (error) {
    if (isUnreachable(error)) return undefined;
    throw error;
  }
}
