import { filesStorage } from './files-storage.ts';
import { localSite } from './local-site.ts';
import { openStackSite } from './openstack/site.ts';
import { rbdStorage } from './rbd-storage.ts';
import type { Site, SiteName } from './site.ts';

/** The site of this name. */
export function siteOf(name: SiteName): Site {
  if (name === 'openstack') return openStackSite();
  return localSite(name === 'files' ? filesStorage : rbdStorage());
}
