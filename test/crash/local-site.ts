import { look } from './look.ts';
import { crossStarts } from './programs.ts';
import { prepare, SCENARIOS } from './scenario.ts';
import type { Site } from './site.ts';
import type { SiteStorage } from './site-storage.ts';
import { openWorld } from './world.ts';

/** The application whose records are files, on this storage. */
export function localSite(storage: SiteStorage): Site {
  const { name, isCopied, program } = storage;
  return {
    name,
    scenarios: SCENARIOS[name],
    isCopied,
    casesAtOnce: 2,
    longestChild: 60_000,
    watch(boundaries) {
      if (program !== undefined) crossStarts(program, boundaries);
    },
    isStruck: (place) => storage.isStruck(place),
    prepare: (scenario, directory) => prepare(scenario, directory, storage),
    open: (directory, opening) => openWorld(directory, { storage, ...opening }),
    look: (directory, seen) => look(directory, { storage, ...seen }),
    clear: (directory) => storage.clear(directory),
    [Symbol.asyncDispose]: async () => undefined,
  };
}
