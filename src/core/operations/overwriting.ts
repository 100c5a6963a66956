import type {
  CallOptions,
  JobRecord,
  Provider,
  SnapshotCopy,
  VolumeRef,
  VolumeTarget,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { parsePlanId } from '../identity.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { policyFor } from '../policy/cascade.ts';
import { bankLease, checkpointLease, volumeLease } from '../policy/exclusion.ts';
import { ArrayCopies } from './array-copies.ts';
import type { Overwrite, OverwriteTargets } from './overwrite-plan.ts';
import type { ProtectInput, ProtectResult } from './protect-commit.ts';
import { intendReadings } from './readings.ts';
import { restoreBytes, restoreVolume } from './restore-data.ts';
import type { RestoreInput, RestoreResult } from './restore-input.ts';
import type { RestoreRequest } from './restore-new.ts';
import type { StandIn } from './restore-plan.ts';
import { askArray, FILL, revertibleTo } from './restore-ways.ts';
import type { OperationServices } from './services.ts';

const PAUSE_MILLISECONDS = 10_000;
const SAFETY = 'safety';

/** Makes volumes that were touched hold again what the safety checkpoint has of them. */
export async function undoOverwrites(context: OperationContext, services: OperationServices): Promise<void> {
  const { job, signal } = context;
  const { to, safety } = job.input as RestoreInput;
  const touched = touchedBy(context);
  if (touched.length === 0) return;
  const made = context.result(SAFETY) as Pick<RestoreResult, 'safety'> | undefined;
  if (safety === 'none' || made?.safety === undefined) {
    const names = touched.map(({ name }) => name).join(', ');
    throw new FafnirError(
      'NOT_AVAILABLE',
      `${names} may be overwritten in part, without a safety checkpoint`,
    );
  }
  const { safety: id } = made;
  const destination = services.provider(to, job.tenant);
  const opened = await context.retry(() => services.checkpoint(job.tenant, id, { signal }));
  const before = new Map(opened.artifacts.map(({ resource, volume }) => [describeKey(resource), volume]));
  for (const { step, name } of touched) {
    const refill = `refill/${step.slice(FILL.length)}`;
    const volume = before.get(name);
    const tokenOf = await intendReadings(context, services, opened.commit, volume?.copies ?? [], refill);
    await context.effect(refill, async (call) => {
      if (volume === undefined || volume === null)
        throw new FafnirError('NOT_AVAILABLE', `checkpoint ${id} has nothing of ${name}`);
      await using target = await openForWrite(destination, volume.volume, call);
      const silent = { ...call, progress: (): undefined => undefined, tokenOf };
      return await restoreBytes(services, opened, { name, copies: volume.copies }, target, silent);
    });
  }
}

/** What a failure of such a restore leaves, for people. */
export function overwritesLeft(context: OperationContext): readonly string[] {
  const { onFailure } = context.job.input as RestoreInput;
  const made = context.result(SAFETY) as Pick<RestoreResult, 'safety'> | undefined;
  const touched = touchedBy(context);
  return [
    ...(onFailure === 'keep' && touched.length > 0
      ? [`kept as far as it was overwritten: ${touched.map(({ name }) => name).join(', ')}`]
      : []),
    ...(made?.safety === undefined ? [] : [`what was there before is in checkpoint ${made.safety}`]),
  ];
}

type Touched = { readonly step: string; readonly name: string };

// By the step that may have written, what it wrote to.
const touchedBy = (context: OperationContext): readonly Touched[] =>
  context
    .intents()
    .filter((step) => step.startsWith(FILL))
    .flatMap((step) => {
      // Nothing stood there for what was created.
      const standIn = context.result(`map/${step.slice(FILL.length)}`) as StandIn | undefined;
      return standIn === undefined ? [] : [{ step, name: describeKey(standIn.to) }];
    });

/** Finds what is overwritten, and holds it and what the safety checkpoint needs, which is a part of this job. */
export async function holdTargets(
  context: OperationContext,
  destination: Provider,
  find: (call: CallOptions) => Promise<OverwriteTargets>,
): Promise<OverwriteTargets> {
  const { safety } = context.job.input as RestoreInput;
  const first = await context.retry(find);
  const { volumes } = first;
  if (volumes.size === 0) return first;
  await context.hold([
    ...[...volumes.values()].map((volume) => volumeLease(destination.name, volume, 'restore')),
    ...(safety === 'checkpoint' ? [bankLease(destination.bank.name, 'write')] : []),
  ]);
  // Again, for the job may have waited until it got them.
  return await context.retry(find);
}

/** Protects what will be overwritten, unless told not to. */
export async function protectFirst(
  context: OperationContext,
  destination: Provider,
  overwrites: readonly Overwrite[],
  bytes: number,
): Promise<Pick<RestoreResult, 'safety'>> {
  if ((context.job.input as RestoreInput).safety === 'none') return {};
  const share = context.progress.share(bytes);
  const input = safetyInput(context.job, destination, overwrites);
  const result = await context.child(SAFETY, { operation: 'protect', input }, (progress) =>
    share.reach(progress.bytes.done),
  );
  const { checkpoint, state } = result as ProtectResult;
  if (state !== 'available')
    throw new FafnirError('NOT_PROVEN', `the safety checkpoint ${checkpoint} is ${state}`);
  share.finish();
  await context.hold([checkpointLease(checkpoint, 'read')], 'wait');
  const { tenant } = context.job;
  context.emit({ type: 'checkpoint.committed', checkpoint, plan: input.plan.id, tenant, state });
  return context.step(SAFETY, async () => ({ safety: checkpoint }));
}

// A plan of its own, so that the checkpoint is nobody's change base.
const safetyInput = (
  { id, tenant, createdAt }: JobRecord,
  destination: Provider,
  overwrites: readonly Overwrite[],
): ProtectInput => ({
  plan: {
    id: parsePlanId(id),
    tenant,
    name: `safety of restore ${id}`,
    provider: destination.name,
    resources: overwrites.map(({ target }) => target),
    exclude: [],
    dependencies: [],
    incomplete: 'refuse',
    onFailure: 'fail',
    policy: {},
    createdAt,
  },
  graph: null,
  policy: policyFor(destination, tenant, {}),
  pauseMilliseconds: PAUSE_MILLISECONDS,
  whenBusy: 'wait',
});

/** Journals that what holds a volume's bytes afterwards stands for the original; before it is overwritten. */
export const mapOverwrite = (
  context: OperationContext,
  { resource: { type, id }, target: to }: Overwrite,
): Promise<StandIn> =>
  context.step(`map/${describeKey({ type, id })}`, async () => ({ from: { type, id }, to }));

/** Makes an existing volume hold the bytes of an original; its array reverts it where that will do. */
export async function overwrite(
  context: OperationContext,
  services: OperationServices,
  { opened, destination }: Pick<RestoreRequest, 'opened' | 'destination'>,
  { resource, volume, target: to }: Overwrite,
  existing: VolumeRef | undefined,
): Promise<void> {
  const name = describeKey(resource);
  if (volume === null || existing === undefined)
    throw new FafnirError('NOT_FOUND', `the volume of ${describeKey(to)} is gone`);
  const share = context.progress.share(existing.size);
  const step = FILL + name;
  const { copies } = volume;
  const tokenOf = await intendReadings(context, services, opened.commit, copies, step);
  await context.effect(
    step,
    async ({ signal }) => {
      const call = { signal, progress: (more: number) => share.advance(more), tokenOf };
      const usable = revertibleTo(services, { opened, destination }, copies, existing);
      const revert =
        usable && (await askArray('revert', usable, () => revertTo(services, opened, usable, call)));
      // Opened only now, for an array may put another volume in the place of the one that it reverts.
      await using target = await openForWrite(destination, existing, { signal });
      const into = { target, asked: revert?.asked };
      return await restoreVolume(services, opened, { resource, copies }, into, call);
    },
    existing,
  );
  share.finish();
}

const revertTo = (
  services: OperationServices,
  { commit }: RestoreRequest['opened'],
  copy: SnapshotCopy,
  call: CallOptions,
): Promise<void> => new ArrayCopies(services.provider(commit.provider, commit.tenant)).revert(copy, call);

function openForWrite(
  destination: Provider,
  volume: VolumeRef,
  call: { readonly signal: AbortSignal },
): Promise<VolumeTarget> {
  const target = destination.arrays.get(volume.array)?.target;
  if (target !== undefined) return target.openForWrite(volume, call);
  throw new FafnirError('UNSUPPORTED', `array ${volume.array} cannot be written to`);
}
