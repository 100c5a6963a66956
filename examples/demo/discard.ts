import { rename, rm } from 'node:fs/promises';
import { paths } from './settings.ts';

/** Removes a folder so that a process that dies meanwhile leaves it whole or not at all. */
export async function discard(folder: string): Promise<void> {
  await rm(paths.discarded, { recursive: true, force: true });
  await rename(folder, paths.discarded);
  await rm(paths.discarded, { recursive: true });
}
