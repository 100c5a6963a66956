import * as z from 'zod';
import { openStackClient } from '../../../src/clients/openstack/index.ts';
import { openStackLab } from './openstack.ts';
const { openstack } = openStackLab();
if (openstack === undefined) throw new Error('no lab');
const { authUrl, region, admin } = openstack;
const call = { signal: new AbortController().signal };
const item = z.looseObject({ id: z.string(), name: z.string().nullish() });
const any = z.unknown();
const user = { type: 'password', user: { name: admin.user }, password: admin.password } as const;
await using top = openStackClient({ authUrl, region, credentials: { ...user, project: { name: admin.project } } });
const identity = top.service('identity');
const adminId = (await top.scope(call)).user.id;
let role = '';
for await (const one of identity.list({ path: ['roles'], collection: 'roles', item }, call)) if (one.name === 'admin') role = one.id;
for (const id of process.argv.slice(2)) {
  try {
    const name = (await identity.request({ method: 'GET', path: ['projects', id], answer: z.looseObject({ project: item }) }, call)).project.name ?? '';
    console.log(id, name);
    await identity.request({ method: 'PUT', path: ['projects', id, 'users', adminId, 'roles', role], answer: any }, call);
    await using client = openStackClient({ authUrl, region, credentials: { ...user, project: { id } } });
    const compute = client.service('compute', { least: '2.79', most: '2.93' });
    const volumes = client.service('block-storage', { least: '3.27', most: '3.70' });
    const networks = client.service('network');
    const images = client.service('image');
    const each = async (service: typeof compute, path: string, collection: string, query: Record<string, string>, work: (one: z.infer<typeof item>) => Promise<void>) => {
      const all = [];
      for await (const one of service.list({ path: [path], collection, item, query }, call)) all.push(one);
      for (const one of all) await work(one).catch((error: unknown) => console.log(path, one.id, String(error).slice(0, 150)));
    };
    const del = async (service: typeof compute, path: string, one: string) => {
      await service.request({ method: 'DELETE', path: [path, one], answer: any }, call).catch((e: unknown) => console.log(path, one, String(e).slice(0, 150)));
      await service.waitUntilGone({ path: [path, one], milliseconds: 60_000 }, call);
    };
    await each(compute, 'servers', 'servers', {}, async ({ id: s }) => del(compute, 'servers', s));
    await each(compute, 'os-server-groups', 'server_groups', {}, async ({ id: s }) => del(compute, 'os-server-groups', s));
    await each(networks, 'floatingips', 'floatingips', { project_id: id }, async ({ id: s }) => del(networks, 'floatingips', s));
    await each(networks, 'routers', 'routers', { project_id: id }, async ({ id: r }) => {
      await each(networks, 'ports', 'ports', { device_id: r }, async ({ id: p }) => {
        await networks.request({ method: 'PUT', path: ['routers', r, 'remove_router_interface'], body: { port_id: p }, answer: any }, call).catch(() => undefined);
      });
      await del(networks, 'routers', r);
    });
    await each(networks, 'ports', 'ports', { project_id: id }, async ({ id: s }) => del(networks, 'ports', s));
    await each(networks, 'networks', 'networks', { project_id: id }, async ({ id: s }) => del(networks, 'networks', s));
    await each(networks, 'security-group-rules', 'security_group_rules', { project_id: id }, async ({ id: s }) => del(networks, 'security-group-rules', s));
    await each(networks, 'security-groups', 'security_groups', { project_id: id }, async ({ id: s, name: n }) => (n === 'default' ? undefined : del(networks, 'security-groups', s)));
    await each(volumes, 'snapshots', 'snapshots', {}, async ({ id: s }) => del(volumes, 'snapshots', s));
    await each(volumes, 'volumes', 'volumes', {}, async ({ id: s }) => del(volumes, 'volumes', s));
    await each(images, 'images', 'images', { owner: id }, async ({ id: s }) => del(images, 'images', s));
    for await (const one of identity.list({ path: ['users'], collection: 'users', item, query: { name } }, call)) await del(identity, 'users', one.id);
    await del(identity, 'projects', id);
    console.log('gone', id);
  } catch (error) { console.log(id, String(error)); }
}
