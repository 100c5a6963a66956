import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { cinderArray } from '../../../src/arrays/cinder.ts';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { type OpenStackClient, openStackClient } from '../../../src/clients/openstack/index.ts';
import type { CheckpointId, Engine, JsonObject, Protectable, Session } from '../../../src/index.ts';
import { createEngine, defineProvider, FafnirError } from '../../../src/index.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';
import { censusOf } from './census.ts';
import { type Account, type OpenStack, openStackLab } from './openstack.ts';
import { newProject, type Project } from './project.ts';

const { openstack, skipped } = openStackLab();
const MINUTES = 30 * 60_000;
const PROJECT = 'OS::Keystone::Project';
const SERVER = 'OS::Nova::Server';
const VOLUME = 'OS::Cinder::Volume';
const live = { signal: new AbortController().signal };
const anything = z.unknown();

if (openstack === undefined)
  describe.skip(`bad input from OpenStack (${skipped})`, () => test('needs the lab', () => undefined));
else describe('bad input from OpenStack', () => suite(openstack));

function suite(lab: OpenStack): void {
  const { authUrl, region, sparseRegion, admin } = lab;
  /** What is closed at the end, before the projects go. */
  const clients: OpenStackClient[] = [];
  let directory: string;
  let source: Project;
  let destination: Project;
  let engine: Engine;
  let acme: Session;
  let administrator: OpenStackClient;
  let app: Awaited<ReturnType<typeof makeApplication>>;
  let checkpoint: CheckpointId;
  /** The token of the provider `revoked`. */
  let token = '';
  /** What happens between discovery and snapshot, by the provider `changing`. */
  let meanwhile: () => Promise<void> = async () => undefined;
  /** What happens once Nova has been asked for a server, by the provider `tampered`. */
  let tamper: (server: string) => Promise<void> = async () => undefined;
  /** What happens before a server is made, by the provider `disturbed`. */
  let disturb: () => Promise<void> = async () => undefined;

  const clientOf = ({ user, password, project }: Account, at = region): OpenStackClient => {
    const names = { user: { name: user }, password, project: { name: project } };
    const client = openStackClient({
      authUrl,
      region: at,
      credentials: { type: 'password', ...names },
      timeoutMilliseconds: MINUTES,
    });
    clients.push(client);
    return client;
  };
  const tokenClient = (): OpenStackClient => {
    const credentials = async () => ({ type: 'token', token }) as const;
    const client = openStackClient({ authUrl, region, credentials });
    clients.push(client);
    return client;
  };
  /** A token of the source's user for its project. */
  const newToken = async (): Promise<string> => {
    const { user: name, password, project } = source.account;
    const domain = { id: 'default' };
    const auth = {
      identity: { methods: ['password'], password: { user: { name, domain, password } } },
      scope: { project: { name: project, domain } },
    };
    const answer = await fetch(`${authUrl}/v3/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth }),
    });
    return answer.headers.get('x-subject-token') ?? '';
  };
  const revoke = async (): Promise<void> => {
    const headers = { 'x-auth-token': token, 'x-subject-token': token };
    const { status } = await fetch(`${authUrl}/v3/auth/tokens`, { method: 'DELETE', headers });
    expect(status).toBe(204);
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fafnir-bad-input-'));
    source = await newProject(lab);
    destination = await newProject(lab);
    administrator = clientOf(admin);
    app = await makeApplication(source);
    token = await newToken();

    const banks = [{ bank: filesystemBank(directory), keys: memoryKeys(), role: 'primary' as const }];
    const providerOf = (
      name: string,
      client: OpenStackClient,
      change: (one: Protectable) => Protectable = (one) => one,
      before: () => Promise<void> = async () => undefined,
    ) => {
      const paths = [{ kind: 'files', folder: lab.files }] as const;
      const cinder = cinderArray({ name: 'cinder', client, volumeType: 'file', paths });
      const array = {
        ...cinder,
        snapshot: async (...asked: Parameters<typeof cinder.snapshot>) => {
          await before();
          return await cinder.snapshot(...asked);
        },
      };
      const protectables = openStackResources({ client }).map(change);
      const part = { contract: 1 as const, name: 'cloud', protectables, arrays: [array] };
      return defineProvider({ name, site: name, parts: [part], banks, strategies: [volumeSnapshot()] });
    };
    const disturbed = (one: Protectable): Protectable => ({
      ...one,
      async create(description, request, call) {
        if (one.type === SERVER) await disturb();
        return await one.create(description, request, call);
      },
    });
    engine = await createEngine({
      store: memoryStore(),
      providers: [
        providerOf('a', source.client),
        providerOf('b', destination.client),
        providerOf('locked-out', clientOf({ ...source.account, password: 'guessed-by-nobody' })),
        providerOf('revoked', tokenClient()),
        providerOf('sparse', clientOf(source.account, sparseRegion)),
        providerOf(
          'changing',
          source.client,
          (one) => one,
          () => meanwhile(),
        ),
        providerOf('disturbed', destination.client, disturbed),
        providerOf('tampered', destination.client, (one) => ({
          ...one,
          async connect(resource, request, call) {
            await one.connect(resource, request, call);
            if (one.type === SERVER) await tamper(resource.id);
          },
        })),
      ],
    });
    acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await planOf('a', { type: PROJECT, id: source.id });
    checkpoint = (await (await acme.protect(plan)).result()).checkpoint;
  }, MINUTES);
  afterAll(async () => {
    // With the snapshots that stay on the array for them.
    for await (const { id, state } of acme.checkpoints.list()) if (state !== 'removed') await remove(id);
    await engine.close();
    for (const client of clients) await client.close();
    await rm(directory, { recursive: true, force: true });
    await destination.end();
    await source.end();
  }, MINUTES);

  const planOf = async (
    provider: string,
    root: { type: string; id: string },
    onFailure: 'fail' | 'continue' = 'fail',
  ) => {
    const name = `${provider} ${root.id} ${onFailure}`;
    return (await acme.plans.create({ name, provider, resources: [root], onFailure })).id;
  };
  const failureOf = async (work: () => Promise<{ result(): Promise<unknown> }>): Promise<FafnirError> => {
    try {
      await (await work()).result();
    } catch (error) {
      if (FafnirError.is(error)) return error;
      throw error;
    }
    throw new Error('it should have failed');
  };
  const checkpoints = async (): Promise<number> => {
    let count = 0;
    for await (const _ of acme.checkpoints.list()) count += 1;
    return count;
  };
  /** That a job fails, with this error, and that it leaves nothing. */
  const failsAt = async (
    project: Project,
    work: () => Promise<{ result(): Promise<unknown> }>,
    expected: { code: string; message: RegExp },
  ): Promise<FafnirError> => {
    const [before, made] = [await censusOf(project), await checkpoints()];
    const error = await failureOf(work);
    expect(error.code, error.message).toBe(expected.code);
    expect(error.message).toMatch(expected.message);
    expect(error.message).not.toMatch(/undoing it failed/);
    expect(await censusOf(project)).toEqual(before);
    expect(await checkpoints()).toBe(made);
    return error;
  };

  const makeVolume = ({ volumes, make }: Project, name: string): Promise<string> =>
    make(volumes, 'volumes', { volume: { name, size: 1, volume_type: 'file' } }, 'available');
  const bodyOf = async ({ compute, idOf }: Project, name: string): Promise<JsonObject> => ({
    name,
    flavorRef: await idOf(compute, 'flavors', 'small'),
    networks: 'none',
  });
  const makeServer = async (project: Project, name: string, more: JsonObject): Promise<string> => {
    const server = { ...(await bodyOf(project, name)), ...more };
    return await project.make(project.compute, 'servers', { server }, 'ACTIVE');
  };
  const started = (volume: string, more: JsonObject = {}): JsonObject => ({
    block_device_mapping_v2: [
      { boot_index: 0, uuid: volume, source_type: 'volume', destination_type: 'volume', ...more },
    ],
  });
  async function makeApplication(project: Project) {
    const { networks, volumes, make, send } = project;
    const network = await make(networks, 'networks', { network: { name: 'front' } });
    const subnet = { network_id: network, cidr: '10.1.0.0/24', ip_version: 4 };
    await make(networks, 'subnets', { subnet });
    const port = await make(networks, 'ports', { port: { name: 'web port', network_id: network } });
    const [root, spare] = [await makeVolume(project, 'root'), await makeVolume(project, 'spare')];
    await send(volumes, 'POST', ['volumes', root, 'action'], { 'os-set_bootable': { bootable: true } });
    const server = await makeServer(project, 'web', { ...started(root), networks: [{ port }] });
    return { network, port, root, spare, server };
  }

  /** Removes a checkpoint, with the snapshots that stay on the array to tell what changes after them. */
  const remove = async (id: CheckpointId): Promise<void> => {
    await (await acme.remove(id)).result();
  };

  test(
    'a wrong password is told by whoever asked, and not repeated',
    async () => {
      const plan = await planOf('locked-out', { type: PROJECT, id: source.id });
      const message = /authenticate with Keystone: .*requires authentication.* \(HTTP 401/;
      const protect = () => acme.protect(plan);
      const restore = () => acme.restore(checkpoint, { to: 'locked-out' });
      for (const error of [
        await failsAt(source, protect, { code: 'DISCOVERY_FAILED', message }),
        await failsAt(source, restore, { code: 'ACCESS_DENIED', message }),
      ]) {
        expect(error).toMatchObject({ retryable: false, hint: expect.stringContaining('credentials') });
        expect(error.message).not.toContain('guessed-by-nobody');
      }
    },
    MINUTES,
  );

  test(
    'a token that was revoked is refused until the host gives another one',
    async () => {
      const before = await censusOf(source);
      const plan = await planOf('revoked', { type: VOLUME, id: app.spare });
      // Before anybody used it: services go on with one that they know, until their caches forget it.
      await revoke();
      const expected = { code: 'DISCOVERY_FAILED', message: /HTTP 401/ };
      const error = await failsAt(source, () => acme.protect(plan), expected);
      expect(error.message).not.toContain(token);
      token = await newToken();
      const made = await (await acme.protect(plan)).result();
      expect(made.state).toBe('available');
      await remove(made.checkpoint);
      expect(await censusOf(source)).toEqual(before);
    },
    MINUTES,
  );

  test(
    'a service that the region does not have is named, with the region that has it',
    async () => {
      const plan = await planOf('sparse', { type: PROJECT, id: source.id });
      const message = /the catalog has no public compute in region RegionTwo; it is in RegionOne/;
      await failsAt(source, () => acme.protect(plan), { code: 'DISCOVERY_FAILED', message });
      const restore = () => acme.restore(checkpoint, { to: 'sparse' });
      await failsAt(source, restore, { code: 'UNSUPPORTED', message });
    },
    MINUTES,
  );

  test.each([
    ['volumes', 'block-storage', { quota_set: { volumes: 1 } }, { quota_set: { volumes: 10 } }],
    ['servers', 'compute', { quota_set: { instances: 0 } }, { quota_set: { instances: 10 } }],
  ])(
    'a quota of %s that is exceeded in the middle of a restore ends it, and all is taken back',
    async (_, type, little, enough) => {
      const set = async (body: JsonObject): Promise<void> => {
        const path = ['os-quota-sets', destination.id];
        await administrator.service(type).request({ method: 'PUT', path, body, answer: anything }, live);
      };
      await set(little);
      try {
        const restore = () => acme.restore(checkpoint, { to: 'b' });
        await failsAt(destination, restore, { code: 'NO_SPACE', message: /quota/i });
      } finally {
        await set(enough);
      }
    },
    MINUTES,
  );

  test(
    'a volume in error is refused by name, or missing in a partial checkpoint',
    async () => {
      const broken = await makeVolume(source, 'broken');
      const path = ['volumes', broken, 'action'];
      const body = { 'os-reset_status': { status: 'error' } };
      const cinder = administrator.service('block-storage');
      await cinder.request({ method: 'POST', path, body, answer: anything }, live);
      const before = await censusOf(source);
      const refusal = new RegExp(`volume ${broken}: .*in error status`);
      const alone = await planOf('a', { type: VOLUME, id: broken });
      await failsAt(source, () => acme.protect(alone), { code: 'PLUGIN_FAILED', message: refusal });

      const plan = await planOf('a', { type: PROJECT, id: source.id }, 'continue');
      const made = await (await acme.protect(plan)).result();
      expect(made).toMatchObject({ state: 'partial', missing: 2, volumes: 2 });
      await expect(acme.preview.restore(made.checkpoint, { to: 'b' })).rejects.toMatchObject({
        code: 'NOT_AVAILABLE',
        message: expect.stringMatching(refusal),
      });
      // All but the volume, and the project that has it, can be restored.
      const resources = [{ type: SERVER, id: app.server }];
      expect((await acme.preview.restore(made.checkpoint, { to: 'b', resources })).gaps).toEqual([]);
      await remove(made.checkpoint);
      expect(await censusOf(source)).toEqual(before);
    },
    MINUTES,
  );

  test(
    'a network that somebody else uses by now stays alone, and goes when they have left',
    async () => {
      const { networks, idOf, send } = destination;
      const before = await censusOf(destination);
      let stranger = '';
      disturb = async () => {
        const port = { name: 'stranger', network_id: await idOf(networks, 'networks', 'front') };
        const answer = z.object({ port: z.object({ id: z.string() }) });
        stranger = answer.parse(await send(networks, 'POST', ['ports'], { port })).port.id;
        throw new Error('no host is left');
      };
      const { message } = await failureOf(() => acme.restore(checkpoint, { to: 'disturbed' }));
      expect(message).toContain(
        `no host is left; undoing it failed: remove what create/OS::Neutron::Network/${app.network} made: `,
      );
      expect(message).toContain(`ports still in use on the network, id for these ports is: ${stranger}`);
      const left = await censusOf(destination);
      const one = [expect.any(String)];
      expect(left).toEqual({ ...before, networks: one, subnets: one, ports: [stranger] });

      await networks.request({ method: 'DELETE', path: ['ports', stranger], answer: anything }, live);
      expect(await acme.reconcile()).toEqual([]);
      expect(await censusOf(destination)).toEqual(before);
    },
    MINUTES,
  );

  test(
    'a network with ports in use is not replaced but left as it is, and volumes in use are not written to',
    async () => {
      const before = await censusOf(source);
      const resources = [{ type: 'OS::Neutron::Network', id: app.network }];
      const replace = { to: 'a', conflict: 'replace' } as const;
      const nothing = { code: 'MAPPING_GAP', message: /nothing is to be restored/ };
      await failsAt(source, () => acme.restore(checkpoint, { ...replace, resources }), nothing);
      const whole = () => acme.restore(checkpoint, { ...replace, safety: 'none' });
      expect(await failureOf(whole)).toMatchObject({
        code: 'BUSY',
        message: expect.stringMatching(/volume .* is in the state in-use, and cannot be written to/),
      });
      expect(await censusOf(source)).toEqual(before);
    },
    MINUTES,
  );

  test(
    'a server that is deleted while it is protected fails the job, or is missing in a partial checkpoint',
    async () => {
      const { compute, volumes, send } = source;
      const root = await makeVolume(source, 'doomed root');
      const bootable = { 'os-set_bootable': { bootable: true } };
      await send(volumes, 'POST', ['volumes', root, 'action'], bootable);
      const before = await censusOf(source);
      const protectDoomed = async (onFailure: 'fail' | 'continue') => {
        const server = { ...(await bodyOf(source, 'doomed')), ...started(root) };
        const answer = z.object({ server: z.object({ id: z.string() }) });
        const { id } = answer.parse(await send(compute, 'POST', ['servers'], { server })).server;
        const path = ['servers', id];
        const wait = { path, member: 'server', milliseconds: MINUTES };
        await compute.waitFor({ ...wait, until: ['ACTIVE'] }, live);
        meanwhile = async () => {
          meanwhile = async () => undefined;
          await compute.request({ method: 'DELETE', path, answer: anything }, live);
          await compute.waitUntilGone(wait, live);
        };
        const plan = await planOf('changing', { type: SERVER, id }, onFailure);
        return { id, job: await acme.protect(plan) };
      };
      const refused = await protectDoomed('fail');
      expect(await failureOf(async () => refused.job)).toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringContaining(refused.id),
      });
      expect(await censusOf(source)).toEqual(before);

      const { id, job } = await protectDoomed('continue');
      const made = await job.result();
      expect(made).toMatchObject({ state: 'partial', resources: 1, missing: 1, volumes: 1 });
      const preview = (type: string, one: string) =>
        acme.preview.restore(made.checkpoint, { to: 'b', resources: [{ type, id: one }] });
      await expect(preview(SERVER, id)).rejects.toMatchObject({ code: 'NOT_AVAILABLE' });
      expect((await preview(VOLUME, root)).gaps).toEqual([]);
      await remove(made.checkpoint);
      expect(await censusOf(source)).toEqual(before);
    },
    MINUTES,
  );

  test(
    'a server whose image is gone is protected, and made again of another image',
    async () => {
      const { compute, images, send, atEnd } = source;
      const upload = async (name: string): Promise<string> => {
        const image = { name, disk_format: 'raw', container_format: 'bare', visibility: 'private' };
        const { id } = z.looseObject({ id: z.string() }).parse(await send(images, 'POST', ['images'], image));
        const headers = { 'content-type': 'application/octet-stream' };
        const body = [Buffer.from(`the bytes of ${name}`)];
        const path = ['images', id, 'file'];
        await images.transfer({ method: 'PUT', path, headers, body }, async () => undefined, live);
        return id;
      };
      const drop = async (id: string): Promise<void> => {
        await images.request({ method: 'DELETE', path: ['images', id], answer: anything }, live);
      };
      const [gone, other] = [await upload('gone'), await upload('other')];
      atEnd(() => drop(other));
      const server = await makeServer(source, 'from image', { imageRef: gone });
      await drop(gone);

      const plan = await planOf('a', { type: SERVER, id: server });
      const { checkpoint: made, state } = await (await acme.protect(plan)).result();
      expect(state).toBe('available');
      const before = await censusOf(source);
      const { gaps } = await acme.preview.restore(made, { to: 'a' });
      expect(gaps).toEqual([expect.stringContaining(`starts from image ${gone}, which was gone`)]);
      const map = { names: { image: { [gone]: other } } };
      const job = await acme.restore(made, { to: 'a', map });
      expect(await job.result()).toMatchObject({ resources: 1, probed: 1 });
      for await (const { to } of acme.jobs.standIns(job.id)) {
        const path = ['servers', to.id];
        expect(await send(compute, 'GET', path)).toMatchObject({
          server: { status: 'ACTIVE', image: { id: other } },
        });
        await compute.request({ method: 'DELETE', path, answer: anything }, live);
        await compute.waitUntilGone({ path, member: 'server', milliseconds: MINUTES }, live);
      }
      expect(await censusOf(source)).toEqual(before);
      await remove(made);
    },
    MINUTES,
  );

  test(
    'a server that comes up without its port fails the restore, and all is taken back',
    async () => {
      const { networks, compute } = destination;
      tamper = async (server) => {
        const path = ['servers', server];
        await compute.waitFor({ path, member: 'server', until: ['ACTIVE'], milliseconds: MINUTES }, live);
        const query = { device_id: server };
        const place = {
          path: ['ports'],
          collection: 'ports',
          item: z.looseObject({ id: z.string() }),
          query,
        };
        for await (const { id } of networks.list(place, live)) {
          const body = { port: { device_id: '' } };
          await networks.request({ method: 'PUT', path: ['ports', id], body, answer: anything }, live);
        }
      };
      await failsAt(destination, () => acme.restore(checkpoint, { to: 'tampered' }), {
        code: 'NOT_SERVING',
        message: /what stands for OS::Nova::Server\/.* does not serve: port .* is not bound to server/,
      });
    },
    MINUTES,
  );
}
