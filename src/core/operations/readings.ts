import type { Commit } from '../archive/checkpoint.ts';
import type { CallOptions, CopyCall, JobRecord, SnapshotCopy } from '../contracts/index.ts';
import { joinParts, splitParts } from '../identity.ts';
import type { Leftovers } from '../jobs/leftovers.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { isUnreachable } from './copies.ts';
import { externalStore } from './external-copies.ts';
import type { OperationServices } from './services.ts';
import { effectName } from './tokens.ts';

const READ = 'read/';

/** A call that reads whichever copy serves. */
export interface ReadingsCall extends CopyCall {
  /** The token of the reading of a copy. */
  tokenOf(copy: SnapshotCopy): string;
}

/**
 * Journals, before a step reads copies, with which services outside it may have something made to be read: nobody else
 * could tell what a dead worker left there. Resolves with what names the readings.
 */
export async function intendReadings(
  context: OperationContext,
  { installation }: Pick<OperationServices, 'installation'>,
  { provider }: Pick<Commit, 'provider'>,
  copies: readonly SnapshotCopy[],
  step: string,
): Promise<ReadingsCall['tokenOf']> {
  const nameOf = ({ kind, location }: SnapshotCopy): string =>
    kind === 'external' ? READ + joinParts(provider, location, step) : step;
  for (const copy of copies) {
    if (copy.kind === 'external') await context.effect(nameOf(copy), async () => null);
  }
  return (copy) => effectName(installation, context.job, nameOf(copy));
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
  const [, provider = '', store = ''] = splitParts(intent);
  try {
    const outside = externalStore(services.provider(provider, job.tenant), store);
    const removed = await outside.removeMade(effectName(services.installation, job, intent), call);
    return removed.map((one) => `${one} in ${store}`);
  } catch (error) {
    // Here nothing was read of it.
    if (isUnreachable(error)) return [];
    throw error;
  }
}
