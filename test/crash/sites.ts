import type { CaseStore } from './case-store.ts';
import { filesStorage } from './files-storage.ts';
import { localSite } from './local-site.ts';
import { openStackSite } from './openstack/site.ts';
import { rbdStorage } from './rbd-storage.ts';
import type { Site, SiteName } from './site.ts';

/** The site of this name, whose cases have job stores of this kind. */
export function siteOf(name: SiteName, jobs: CaseStore): Site {
  if (name === 'openstack') return openStackSite(jobs);
  return localSite(name === 'files' ? filesStorage : rbdStorage(), jobs);
}
