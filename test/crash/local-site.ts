import type { CaseStore } from './case-store.ts';
import { look } from './look.ts';
import { crossStarts } from './programs.ts';
import { prepare, SCENARIOS } from './scenario.ts';
import type { Site } from './site.ts';
import type { SiteStorage } from './site-storage.ts';
import { sqliteCases } from './sqlite-cases.ts';
import { openWorld } from './world.ts';

/** The application whose records are files, on this storage. */
export function localSite(storage: SiteStorage, jobs: CaseStore = sqliteCases): Site {
  const { name, isCopied, program } = storage;
  return {
    name,
    jobs,
    scenarios: SCENARIOS[name],
    isCopied,
    casesAtOnce: 2,
    longestChild: 60_000,
    watch(boundaries) {
      if (program !== undefined) crossStarts(program, boundaries);
    },
    isStruck: (place) => storage.isStruck(place),
    prepare: (scenario, directory) => prepare(scenario, directory, { storage, jobs }),
    open: (directory, opening) => openWorld(directory, { storage, ...opening }),
    look: (directory, seen) => look(directory, { storage, jobs, ...seen }),
    async clear(directory) {
      await storage.clear(directory);
      await jobs.clear(directory);
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}
