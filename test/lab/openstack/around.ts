import { openStackClient } from '../../../src/clients/openstack/index.ts';
import { cloudOf } from './containers.ts';
import { inventory, type Whose } from './inventory.ts';
import { type OpenStack, openStackLab } from './openstack.ts';

/**
 * Tells last what the tests left, as the services themselves list it: in both sites, and in all projects of all clouds,
 * for tests make some of their own. Any fails the run.
 */
export async function setup(): Promise<() => Promise<void>> {
  const { openstack } = openStackLab();
  if (openstack === undefined) return async () => undefined;
  const before = await everything(openstack);
  return async () => {
    const left = [...(await everything(openstack))].filter((one) => !before.has(one));
    for (const one of left) console.error(`left over: ${one}`);
    console.log(`left over: ${left.length}`);
    if (left.length > 0) process.exitCode = 1;
  };
}

async function everything(lab: OpenStack): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const cloud of [lab, lab.other ?? []].flat()) {
    const { a, b } = cloud.sites;
    for (const account of [a, b, cloud.admin]) {
      await using client = openStackClient(cloudOf(cloud, account));
      const { project } = await client.scope({ signal: new AbortController().signal });
      const whose: Whose = account === cloud.admin ? 'all' : { project: project?.id ?? '' };
      // A group `default` comes into being when somebody first looks; it is not the tests'.
      for (const one of await inventory(client, whose)) found.add(one);
    }
  }
  return found;
}
