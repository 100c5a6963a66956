import pMap from 'p-map';
import { FafnirError } from '../errors.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { assertOverwritable, findTargets, overwriteGaps, planOverwrites } from './overwrite-plan.ts';
import { holdTargets, mapOverwrite, overwrite, protectFirst } from './overwriting.ts';
import type { RestoreInput, RestoreResult } from './restore-input.ts';
import type { RestoreRequest } from './restore-new.ts';
import { countWays } from './restore-ways.ts';
import type { OperationServices } from './services.ts';

const VOLUMES_AT_ONCE = 2;

/** Writes the bytes of volumes into volumes that exist, having protected those first unless told not to. */
export async function restoreExisting(
  context: OperationContext,
  services: OperationServices,
  { opened, graph, destination }: RestoreRequest,
): Promise<RestoreResult> {
  const { checkpoint, resources, map, safety } = context.job.input as RestoreInput;
  const overwrites = planOverwrites(graph, opened, destination, map, resources);
  const { volumes, gaps } = await holdTargets(context, destination, (call) =>
    findTargets(overwrites, opened.commit, destination, call),
  );
  await context.step('check', async () => {
    assertOverwritable(opened, graph, overwrites);
    const all = [...gaps, ...overwriteGaps(overwrites, map)];
    if (all.length > 0) throw new FafnirError('MAPPING_GAP', all.join('; '));
    return null;
  });
  const bytes = [...volumes.values()].reduce((sum, { size }) => sum + size, 0);
  context.usage.concerns({ logical: bytes });
  context.progress.expect({ items: overwrites.length, bytes: safety === 'checkpoint' ? 2 * bytes : bytes });
  const made = await protectFirst(context, destination, overwrites, bytes);
  await pMap(
    overwrites,
    async (one) => {
      await mapOverwrite(context, one);
      await overwrite(context, services, { opened, destination }, one, volumes.get(one.position));
      context.progress.item();
    },
    { concurrency: VOLUMES_AT_ONCE, signal: context.signal },
  );
  const by = countWays(context);
  return { checkpoint, resources: 0, volumes: overwrites.length, probed: 0, by, bytes, ...made };
}
