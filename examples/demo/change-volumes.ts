import { open } from 'node:fs/promises';
import { VOLUMES, volumePath } from './make-site.ts';
import { seededBytes, seededNumber } from './seeded.ts';
import { paths, volumeSize } from './settings.ts';

const RUN = 64 * 1024;
const SHARE = 0.01;

/** Overwrites 1 % of each volume in runs of 64 KiB, and returns the bytes written. */
export async function changeVolumes(): Promise<number> {
  const runs = Math.max(1, Math.floor((volumeSize * SHARE) / RUN));
  for (const id of VOLUMES) {
    const random = seededBytes(`change ${id}`);
    const places = new Set<number>();
    while (places.size < runs) places.add(seededNumber(random, volumeSize / RUN));
    await using file = await open(volumePath(paths.siteA, id), 'r+');
    for (const place of places) await file.write(random(RUN), 0, RUN, place * RUN);
  }
  return VOLUMES.length * runs * RUN;
}
