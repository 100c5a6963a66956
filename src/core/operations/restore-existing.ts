import pMap from 'p-map';
import type {
  CallOptions,
  JobRecord,
  Provider,
  ResourceLease,
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
import { assertOverwritable, findTargets, type Overwrite, planOverwrites } from './overwrite-plan.ts';
import type { ProtectInput, ProtectResult } from './protect-commit.ts';
import { ArrayCopies } from './array-copies.ts';
import { restoreBytes, restoreVolume } from './restore-data.ts';
import type { RestoreInput, RestoreResult } from './restore-input.ts';
import type { RestoreRequest } from './restore-new.ts';
import type { StandIn } from './restore-plan.ts';
import { askArray, countWays, FILL, revertibleTo } from './restore-ways.ts';
import type { OperationServices } from './services.ts';

const VOLUMES_AT_ONCE = 2;
const PAUSE_MILLISECONDS = 10_000;
const SAFETY = 'safety';

/** Writes the bytes of volumes into volumes that exist, having protected those first unless told not to. */
export async function restoreExisting(
  context: OperationContext,
  services: OperationServices,
  { opened, graph, destination }: RestoreRequest,
): Promise<RestoreResult> {
  const { checkpoint, resources, map, safety } = context.job.input as RestoreInput;
  const overwrites = planOverwrites(graph, opened, destination, map, resources);
  const find = (): ReturnType<typeof findTargets> =>
    context.retry((call) => findTargets(overwrites, opened.commit, destination, map, call));
  await context.hold(leasesFor(destination, [...(await find()).volumes.values()], safety));
  // Again, for the job may have waited until it got them.
  const { volumes, gaps } = await find();
  await context.step('check', async () => {
    assertOverwritable(opened, graph, overwrites);
    if (gaps.length > 0) throw new FafnirError('MAPPING_GAP', gaps.join('; '));
    return null;
  });
  const bytes = [...volumes.values()].reduce((sum, { size }) => sum + size, 0);
  context.progress.expect({ items: overwrites.length, bytes: safety === 'checkpoint' ? 2 * bytes : bytes });
  const made = safety === 'checkpoint' ? await protectFirst(context, destination, overwrites, bytes) : {};
  await pMap(
    overwrites,
    async (one) => {
      await overwrite(context, services, { opened, destination }, one, volumes.get(one.position));
      context.progress.item();
    },
    { concurrency: VOLUMES_AT_ONCE, signal: context.signal },
  );
  const by = countWays(context);
  return { checkpoint, resources: 0, volumes: overwrites.length, by, bytes, ...made };
}

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
    await context.effect(`refill/${step.slice(FILL.length)}`, async (call) => {
      const volume = before.get(name);
      if (volume === undefined || volume === null)
        throw new FafnirError('NOT_AVAILABLE', `checkpoint ${id} has nothing of ${name}`);
      await using target = await openForWrite(destination, volume.volume, call);
      const silent = { ...call, progress: (): undefined => undefined };
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
    .map((step) => {
      const standIn = context.result(`map/${step.slice(FILL.length)}`) as StandIn | undefined;
      return { step, name: standIn === undefined ? step.slice(FILL.length) : describeKey(standIn.to) };
    });

// The safety checkpoint is a part of this job, which holds for it what it needs.
const leasesFor = (
  destination: Provider,
  volumes: readonly VolumeRef[],
  safety: RestoreInput['safety'],
): readonly ResourceLease[] => [
  ...volumes.map((volume) => volumeLease(destination.name, volume, 'restore')),
  ...(safety === 'checkpoint' ? [bankLease(destination.bank.name, 'write')] : []),
];

async function protectFirst(
  context: OperationContext,
  destination: Provider,
  overwrites: readonly Overwrite[],
  bytes: number,
): Promise<Pick<RestoreResult, 'safety'>> {
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

async function overwrite(
  context: OperationContext,
  services: OperationServices,
  { opened, destination }: Pick<RestoreRequest, 'opened' | 'destination'>,
  { resource, volume, target: to }: Overwrite,
  existing: VolumeRef | undefined,
): Promise<void> {
  const name = describeKey(resource);
  if (volume === null || existing === undefined)
    throw new FafnirError('NOT_FOUND', `the volume of ${describeKey(to)} is gone`);
  const from = { type: resource.type, id: resource.id };
  await context.step(`map/${name}`, async () => ({ from, to }) satisfies StandIn);
  const share = context.progress.share(existing.size);
  await context.effect(
    FILL + name,
    async ({ signal }) => {
      const { copies } = volume;
      const call = { signal, progress: (more: number) => share.advance(more) };
      const usable = revertibleTo(services, { opened, destination }, copies, existing);
      const revert = usable && (await askArray('revert', usable, () => revertTo(services, opened, usable, call)));
      // Opened only now, for an array may put another volume in the place of the one that it reverts.
      await using target = await openForWrite(destination, existing, { signal });
      const into = { target, asked: revert?.asked };
      return await restoreVolume(services, opened, { resource: from, copies }, into, call);
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
