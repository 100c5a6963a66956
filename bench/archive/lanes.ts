import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lane } from './engine.ts';
import { ours } from './ours.ts';
import type { Sheet } from './sheet.ts';
import { makeVolumes } from './sparse.ts';

/** How a source is read, as the sheet names it. */
export const LANES: readonly Lane[] = ['worker', 'host', 'stream'];

/** The operation, as the sheet names it. */
export const LANE_OPERATION = 'lane';

/** Archives a volume of a quarter of the image's data, read by worker threads, by the host's thread, and from `cat`. */
export async function playLanes(
  name: string,
  { image, folder, sheet }: { image: string; folder: string; sheet: Sheet },
): Promise<void> {
  const volume = join(folder, 'dense.img');
  await makeVolumes(image, { dense: volume, sparse: join(folder, 'sparse.img') });
  await sheet.inTurns(LANES, async (lane) => {
    const own = join(folder, lane);
    await mkdir(own);
    const copies = await ours(name, { lane }).start({ folder: own, volume });
    sheet.enter(LANE_OPERATION, lane, await copies.copy('unknown'));
  });
}
