import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import {
  type OpenStackClient,
  type OpenStackCredentials,
  type OpenStackOptions,
  openStackClient,
} from '../../../src/clients/openstack/index.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { type Account, type OpenStack, openStackLab } from './openstack.ts';

const { openstack, skipped } = openStackLab();
const live = { signal: new AbortController().signal };
const named = z.looseObject({ id: z.string(), name: z.string() });
const VOLUMES = { least: '3.27', most: '3.70' };
const COMPUTE = { least: '2.1', most: '2.93' };
const MINUTE = 60_000;

if (openstack === undefined)
  describe.skip(`a client of OpenStack (${skipped})`, () => test('needs the lab', () => undefined));
else describe('a client of OpenStack', () => suite(openstack));

function passwordOf({ user, password, project }: Account): OpenStackCredentials {
  return { type: 'password', user: { name: user }, password, project: { name: project } };
}

function suite({ authUrl, region, sparseRegion, sites }: OpenStack): void {
  const clients: OpenStackClient[] = [];
  const open = (more: Partial<OpenStackOptions> = {}): OpenStackClient => {
    const client = openStackClient({ authUrl, region, credentials: passwordOf(sites.a), ...more });
    clients.push(client);
    return client;
  };
  const prefix = `client-${randomUUID().slice(0, 8)}`;
  const site = open();
  const volumes = site.service('block-storage', VOLUMES);
  const compute = site.service('compute', COMPUTE);
  const createVolume = async (name: string, more: Record<string, string> = {}) => {
    const body = { volume: { name: `${prefix}-${name}`, size: 1, ...more } };
    const answer = z.looseObject({ volume: named });
    return (await volumes.request({ method: 'POST', path: ['volumes'], body, answer }, live)).volume;
  };
  const gone = { method: 'DELETE', answer: z.unknown() } as const;

  afterEach(async () => {
    for await (const { id, name } of compute.list(
      { path: ['servers'], collection: 'servers', item: named },
      live,
    )) {
      if (!name.startsWith(prefix)) continue;
      await compute.request({ ...gone, path: ['servers', id] }, live);
      await compute.waitUntilGone({ path: ['servers', id], member: 'server', milliseconds: MINUTE }, live);
    }
    for await (const { id, name } of volumes.list(
      { path: ['volumes'], collection: 'volumes', item: named },
      live,
    )) {
      if (!name.startsWith(prefix)) continue;
      await volumes.request({ ...gone, path: ['volumes', id] }, live);
      await volumes.waitUntilGone({ path: ['volumes', id], member: 'volume', milliseconds: MINUTE }, live);
    }
  });
  afterAll(async () => {
    for (const client of clients) await client.close();
  });

  /** A token as another program gets it. */
  const getToken = async (): Promise<string> => {
    const { user, password, project } = sites.a;
    const domain = { id: 'default' };
    const identity = { methods: ['password'], password: { user: { name: user, domain, password } } };
    const response = await fetch(`${authUrl}/v3/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth: { identity, scope: { project: { name: project, domain } } } }),
    });
    return response.headers.get('x-subject-token') ?? '';
  };
  const revoke = async (token: string): Promise<void> => {
    const headers = { 'x-auth-token': token, 'x-subject-token': token };
    expect((await fetch(`${authUrl}/v3/auth/tokens`, { method: 'DELETE', headers })).status).toBe(204);
  };

  describe('authenticates', () => {
    test('with a password, and knows who it is', async () => {
      const { user, project, roles } = await open({ authUrl: `${authUrl}/v3/` }).scope(live);
      expect({ user: user.name, project: project?.name }).toEqual({ user: 'site-a', project: 'site-a' });
      expect(roles).toContain('member');
    });

    test.each([
      ['a wrong password', { ...sites.a, password: 'not-the-password' }],
      ['an unknown user', { ...sites.a, user: 'nobody' }],
      ['an unknown project', { ...sites.a, project: 'nowhere' }],
      ['a project of others', { ...sites.a, project: sites.b.project }],
    ])('not with %s', async (_, account) => {
      const error = await open({ credentials: passwordOf(account) })
        .scope(live)
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: 'ACCESS_DENIED',
        retryable: false,
        message: expect.stringMatching(/HTTP 401, req-[0-9a-f-]{36}/),
      });
      expect(String(error)).not.toContain(account.password);
    });

    test('with an application credential, until that is taken away', async () => {
      const { user } = await site.scope(live);
      const identity = site.service('identity');
      const path = ['users', user.id, 'application_credentials'];
      const answer = z.looseObject({
        application_credential: z.looseObject({ id: z.string(), secret: z.string() }),
      });
      const body = { application_credential: { name: prefix } };
      const made = await identity.request({ method: 'POST', path, body, answer }, live);
      const { id, secret } = made.application_credential;
      const credentials = { type: 'application-credential' as const, id, secret };
      const client = open({ credentials });
      expect((await client.scope(live)).project?.name).toBe('site-a');
      const list = () =>
        client.service('image').request({ method: 'GET', path: ['images'], answer: z.unknown() }, live);
      await list();
      await identity.request({ ...gone, path: [...path, id] }, live);
      const denied = { code: 'ACCESS_DENIED' };
      await expect(open({ credentials }).scope(live)).rejects.toMatchObject(denied);
      await expect(list()).rejects.toMatchObject(denied);
    });

    test('with a token of another program, until that is revoked', async () => {
      const token = await getToken();
      const client = open({ credentials: { type: 'token', token } });
      expect((await client.scope(live)).user.name).toBe('site-a');
      const list = () =>
        client.service('image').request({ method: 'GET', path: ['images'], answer: z.unknown() }, live);
      await list();
      await revoke(token);
      const error = await list().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
      expect(String(error)).not.toContain(token);
    });

    test('with a token for another project of the same user', async () => {
      const token = await getToken();
      const of = (project: string) =>
        open({ credentials: { type: 'token', token, project: { name: project } } });
      expect((await of('site-a').scope(live)).project?.name).toBe('site-a');
      await expect(of('site-b').scope(live)).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    });

    test('again when a token is revoked', async () => {
      const tokens: string[] = [];
      const client = open({
        credentials: async () => {
          const token = await getToken();
          tokens.push(token);
          return { type: 'token', token };
        },
      });
      const glance = client.service('image');
      await glance.request({ method: 'GET', path: ['images'], answer: z.unknown() }, live);
      await revoke(tokens[0] ?? '');
      await glance.request({ method: 'GET', path: ['images'], answer: z.unknown() }, live);
      expect(tokens).toHaveLength(2);
    });

    test('again before a token ends', async () => {
      let asked = 0;
      let skippedAhead = 0;
      const client = open({
        clock: { ...systemClock, monotonic: () => systemClock.monotonic() + skippedAhead },
        credentials: async () => {
          asked += 1;
          return passwordOf(sites.a);
        },
      });
      const list = () =>
        client
          .service('block-storage')
          .request({ method: 'GET', path: ['volumes'], answer: z.unknown() }, live);
      await list();
      skippedAhead = 54 * MINUTE;
      await list();
      expect(asked).toBe(1);
      skippedAhead = 56 * MINUTE;
      await list();
      expect(asked).toBe(2);
    });
  });

  describe('finds services', () => {
    test('by old and new names, in the region that was chosen', async () => {
      const sparse = open({ region: sparseRegion });
      for (const name of ['volume', 'volumev3', 'block-storage']) {
        const service = sparse.service(name);
        expect(service.type).toBe('block-storage');
        await service.request({ method: 'GET', path: ['volumes'], answer: z.unknown() }, live);
      }
      await expect(sparse.service('compute').endpoint(live)).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: `the catalog has no public compute in region ${sparseRegion}; it is in ${region}`,
      });
    });

    test('not where there are none', async () => {
      const unsupported = { code: 'UNSUPPORTED' };
      await expect(site.service('orchestration').endpoint(live)).rejects.toMatchObject(unsupported);
      await expect(open({ interface: 'admin' }).service('compute').endpoint(live)).rejects.toMatchObject(
        unsupported,
      );
      const lost = open({ region: 'RegionThree' }).service('compute').endpoint(live);
      await expect(lost).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    });

    test('without a region only where that leaves no choice', async () => {
      const anywhere = openStackClient({ authUrl, credentials: passwordOf(sites.a) });
      clients.push(anywhere);
      expect((await anywhere.service('compute').endpoint(live)).port).toBe('18774');
      await expect(anywhere.service('volume').endpoint(live)).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
        message: `block-storage is in the regions ${region}, ${sparseRegion}`,
      });
    });
  });

  describe('agrees on microversions', () => {
    test.each([
      ['block-storage', { least: '3.0', most: '3.27' }, '3.27'],
      ['block-storage', { least: '3.0', most: '3.999' }, '3.70'],
      ['compute', { least: '2.1', most: '2.79' }, '2.79'],
      ['compute', { least: '2.1', most: '2.999' }, '2.93'],
      ['placement', { least: '1.6', most: '1.30' }, '1.30'],
    ])('with %s, %j', async (type, wanted, expected) => {
      expect(await site.service(type, wanted).microversion(live)).toBe(expected);
    });

    test.each([
      ['compute', { least: '2.900', most: '2.999' }],
      ['image', { least: '2.1', most: '2.9' }],
    ])('not with %s, %j', async (type, wanted) => {
      const list = site.service(type, wanted).microversion(live);
      await expect(list).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    });

    test('and the service gives what they bring', async () => {
      const { id } = await createVolume('versions');
      const keys = async (most?: string) => {
        const service = site.service('volume', most === undefined ? undefined : { least: '3.0', most });
        const answer = z.looseObject({ volume: z.looseObject({}) });
        return Object.keys(
          (await service.request({ method: 'GET', path: ['volumes', id], answer }, live)).volume,
        );
      };
      expect(await keys()).not.toContain('group_id');
      expect(await keys('3.12')).not.toContain('group_id');
      expect(await keys('3.13')).toContain('group_id');
      await volumes.waitFor(
        { path: ['volumes', id], member: 'volume', until: ['available'], milliseconds: MINUTE },
        live,
      );
    });
  });

  test('reads lists of several pages of each service', async () => {
    const names = ['1', '2', '3', '4', '5'].map((number) => `${prefix}-page-${number}`);
    const images = site.service('image');
    const networks = site.service('network');
    const network = z.looseObject({ network: named });
    for (const name of names) {
      await networks.request(
        { method: 'POST', path: ['networks'], body: { network: { name } }, answer: network },
        live,
      );
      await images.request({ method: 'POST', path: ['images'], body: { name }, answer: named }, live);
      await createVolume(name.slice(prefix.length + 1));
    }
    const read = async (service: typeof images, collection: string, item = named) => {
      const found: { readonly id: string; readonly name: string }[] = [];
      for await (const one of service.list({ path: [collection], collection, item, pageSize: 2 }, live)) {
        if (one.name.startsWith(prefix)) found.push(one);
      }
      expect(found.map(({ name }) => name).sort()).toEqual(names);
      return found;
    };
    for (const [service, collection] of [
      [networks, 'networks'],
      [images, 'images'],
    ] as const) {
      for (const { id } of await read(service, collection)) {
        await service.request({ ...gone, path: [collection, id] }, live);
      }
    }
    for (const { id } of await read(volumes, 'volumes')) {
      const wait = { path: ['volumes', id], member: 'volume', until: ['available'], milliseconds: MINUTE };
      expect(await volumes.waitFor(wait, live)).toMatchObject({ id, status: 'available', size: 1 });
    }
    const flavors: string[] = [];
    const list = { path: ['flavors'], collection: 'flavors', item: named, pageSize: 1 };
    for await (const { name } of compute.list(list, live)) flavors.push(name);
    expect(flavors.sort()).toEqual(['large', 'small']);
  });

  describe('waits', () => {
    test('no longer than it is told to, and says what it saw last', async () => {
      const { id } = await createVolume('waiting');
      const wait = { path: ['volumes', id], member: 'volume', until: ['in-use'], milliseconds: 3_000 };
      await expect(volumes.waitFor(wait, live)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        retryable: true,
        message: `volumes/${id} of block-storage is in the state available, after 3000 ms`,
      });
    });

    test('not for a volume that failed, and says why in the words of Cinder', async () => {
      const { id } = await createVolume('nowhere', { volume_type: 'nowhere' });
      const wait = { path: ['volumes', id], member: 'volume', until: ['available'], milliseconds: MINUTE };
      await expect(volumes.waitFor(wait, live)).rejects.toMatchObject({
        code: 'PLUGIN_FAILED',
        retryable: false,
        message: expect.stringMatching(/is in the state error: .*could not find any available/i),
      });
    });

    test('not for a server that failed, and says why in the words of Nova', async () => {
      const flavors: string[] = [];
      const list = { path: ['flavors'], collection: 'flavors', item: named };
      for await (const { id } of compute.list(list, live)) flavors.push(id);
      const disk = {
        source_type: 'blank',
        destination_type: 'volume',
        volume_size: 1,
        volume_type: 'nowhere',
      };
      const { id: image } = await createVolume('boot');
      await volumes.waitFor(
        { path: ['volumes', image], member: 'volume', until: ['available'], milliseconds: MINUTE },
        live,
      );
      const bootable = { 'os-set_bootable': { bootable: true } };
      const action = { method: 'POST', path: ['volumes', image, 'action'], body: bootable } as const;
      await volumes.request({ ...action, answer: z.unknown() }, live);
      const server = {
        name: `${prefix}-server`,
        flavorRef: flavors[0] ?? '',
        networks: 'none',
        block_device_mapping_v2: [
          { boot_index: 0, uuid: image, source_type: 'volume', destination_type: 'volume' },
          { boot_index: -1, ...disk },
        ],
      };
      const answer = z.looseObject({ server: z.looseObject({ id: z.string() }) });
      const made = await compute.request(
        { method: 'POST', path: ['servers'], body: { server }, answer },
        live,
      );
      const path = ['servers', made.server.id];
      const wait = { path, member: 'server', until: ['ACTIVE'], milliseconds: 2 * MINUTE };
      await expect(compute.waitFor(wait, live)).rejects.toMatchObject({
        code: 'PLUGIN_FAILED',
        message: expect.stringMatching(/is in the state ERROR: .+/),
      });
      // Nova leaves the volume that it asked for.
      for await (const { id, name } of volumes.list(
        { path: ['volumes'], collection: 'volumes', item: named },
        live,
      )) {
        if (name === `${made.server.id}-blank-vol`)
          await volumes.request({ ...gone, path: ['volumes', id] }, live);
      }
    });

    test('until the caller goes', async () => {
      const { id } = await createVolume('left');
      const caller = new AbortController();
      const reason = new Error('enough');
      const wait = { path: ['volumes', id], member: 'volume', until: ['in-use'], milliseconds: MINUTE };
      const waiting = volumes.waitFor(wait, { signal: caller.signal });
      caller.abort(reason);
      await expect(waiting).rejects.toBe(reason);
      await volumes.waitFor({ ...wait, until: ['available'] }, live);
    });
  });

  test('tells apart what a service refuses', async () => {
    const get = { method: 'GET', answer: z.unknown() } as const;
    const missing = ['volumes', randomUUID()];
    await expect(volumes.request({ ...get, path: missing }, live)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(
        /^GET volumes\/\S+ of block-storage: Volume \S+ could not be found. \(HTTP 404, req-/,
      ),
      cause: { status: 404, requestId: expect.stringMatching(/^req-/) },
    });
    const type = { method: 'POST', path: ['types'], body: { volume_type: { name: prefix } } } as const;
    const denied = volumes.request({ ...type, answer: z.unknown() }, live);
    await expect(denied).rejects.toMatchObject({ code: 'ACCESS_DENIED', cause: { status: 403 } });
    const { id } = await createVolume('private');
    await volumes.waitFor(
      { path: ['volumes', id], member: 'volume', until: ['available'], milliseconds: MINUTE },
      live,
    );
    const other = open({ credentials: passwordOf(sites.b) }).service('block-storage');
    await expect(other.request({ ...get, path: ['volumes', id] }, live)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const images = site.service('image');
    await expect(images.request({ ...get, path: ['images', id] }, live)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(`No image found with ID ${id}`),
    });
    const networks = site.service('network');
    await expect(networks.request({ ...get, path: ['networks', id] }, live)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(`Network ${id} could not be found`),
    });
    const bad = volumes.request(
      { method: 'POST', path: ['volumes'], body: { volume: { size: -1 } }, answer: z.unknown() },
      live,
    );
    await expect(bad).rejects.toMatchObject({ code: 'PLUGIN_FAILED', cause: { status: 400 } });
  });
}
