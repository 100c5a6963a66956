import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { type CinderArrayOptions, cinderArray, type ImageReader } from '../../../src/arrays/cinder.ts';
import {
  type OpenStackClient,
  type OpenStackService,
  openStackClient,
} from '../../../src/clients/openstack/index.ts';
import type { JsonObject, StorageArray, VolumeRef } from '../../../src/core/contracts/index.ts';
import type { StorageArrayFixture } from '../../../src/testing/storage-array-suite.ts';
import type { Account, OpenStack } from './openstack.ts';
import { shrunk } from './shrunk.ts';

const call = { signal: new AbortController().signal };
const MINUTES = 5 * 60_000;
const anything = z.unknown();
const item = z.looseObject({ id: z.string(), name: z.string().nullish() });

const credentialsOf = ({ user, password, project }: Account) =>
  ({ type: 'password', user: { name: user }, password, project: { name: project } }) as const;

/** A project that nobody else uses, so that all that is in it is the test's own. */
export class CinderProject {
  readonly client: OpenStackClient;
  readonly cinder: OpenStackService;
  readonly glance: OpenStackService;
  readonly #lab: OpenStack;
  readonly #account: Account;
  readonly #remove: () => Promise<void>;

  /** Makes the project, as the administrator. */
  static async create(lab: OpenStack): Promise<CinderProject> {
    const { authUrl, region, sites, admin } = lab;
    const cloud = openStackClient({ authUrl, region, credentials: credentialsOf(admin) });
    const site = openStackClient({ authUrl, region, credentials: credentialsOf(sites.a) });
    const { user } = await site.scope(call);
    await site.close();
    const identity = cloud.service('identity');
    const name = `cinder-${randomUUID().slice(0, 8)}`;
    const answer = z.looseObject({ project: item });
    const body = { project: { name } };
    const { project } = await identity.request({ method: 'POST', path: ['projects'], body, answer }, call);
    const roles = { path: ['roles'], collection: 'roles', item, query: { name: 'member' } };
    for await (const { id } of identity.list(roles, call)) {
      const path = ['projects', project.id, 'users', user.id, 'roles', id];
      await identity.request({ method: 'PUT', path, answer: anything }, call);
    }
    return new CinderProject(lab, { ...sites.a, project: name }, async () => {
      const path = ['projects', project.id];
      await identity.request({ method: 'DELETE', path, answer: anything }, call);
      await cloud.close();
    });
  }

  private constructor(lab: OpenStack, account: Account, remove: () => Promise<void>) {
    const { authUrl, region } = lab;
    this.#lab = lab;
    this.#account = account;
    this.#remove = remove;
    this.client = openStackClient({ authUrl, region, credentials: credentialsOf(account) });
    this.cinder = this.client.service('block-storage', { least: '3.40', most: '3.70' });
    this.glance = this.client.service('image');
  }

  /** The array of the volumes that are files. */
  array(more: Partial<CinderArrayOptions> = {}): StorageArray {
    const paths = [{ kind: 'files', folder: this.#lab.files }] as const;
    return cinderArray({ name: 'cinder', client: this.client, volumeType: 'file', paths, ...more });
  }

  /** What the suite of arrays needs. */
  async fixture(): Promise<StorageArrayFixture> {
    const array = shrunk(this.array());
    return {
      array,
      createVolume: async (size) => {
        if (array.target === undefined) throw new Error('it is no target');
        return await array.target.create({ name: randomUUID(), size }, call);
      },
      write: (volume, offset, data) => this.write(volume, offset, data),
      snapshotAs: async ({ id }, name) => {
        await this.snapshot(id, name);
      },
      dispose: () => this.clear(),
    };
  }

  /** Writes as the volume's user would. */
  async write({ id }: VolumeRef, offset: number, data: Uint8Array): Promise<void> {
    await using file = await open(join(this.#lab.files, `volume-${id}`), 'r+');
    await file.write(data, 0, data.length, offset);
  }

  /** Snapshots a volume past the array, and resolves with the id. */
  async snapshot(volumeId: string, name: string, metadata: Record<string, string> = {}): Promise<string> {
    const body = { snapshot: { volume_id: volumeId, name, metadata } };
    const answer = z.looseObject({ snapshot: item });
    const made = await this.cinder.request({ method: 'POST', path: ['snapshots'], body, answer }, call);
    const path = ['snapshots', made.snapshot.id];
    const wait = { path, member: 'snapshot', until: ['available'], milliseconds: MINUTES };
    await this.cinder.waitFor(wait, call);
    return made.snapshot.id;
  }

  /** Makes a volume past the array, waits until it is there or failed, and resolves with the id. */
  async volume(more: JsonObject): Promise<string> {
    const body = { volume: { size: 1, ...more } };
    const answer = z.looseObject({ volume: item });
    const { volume } = await this.cinder.request({ method: 'POST', path: ['volumes'], body, answer }, call);
    const wait = { path: ['volumes', volume.id], member: 'volume', milliseconds: MINUTES };
    await this.cinder.waitFor({ ...wait, until: ['available', 'error'] }, call);
    return volume.id;
  }

  /** Everything that is in the project: snapshots, volumes and images, by name or id. */
  async left(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const collection of ['snapshots', 'volumes']) {
      for await (const { id, name } of this.cinder.list({ path: [collection], collection, item }, call))
        found.push(`${collection}/${name || id}`);
    }
    for await (const { id, name } of this.#images()) found.push(`images/${name || id}`);
    return found;
  }

  /** Removes everything that is in the project. */
  async clear(): Promise<void> {
    for await (const { id } of this.#images()) await this.#delete(this.glance, ['images', id]);
    for (const [collection, member] of [
      ['snapshots', 'snapshot'],
      ['volumes', 'volume'],
    ] as const) {
      const ids: string[] = [];
      for await (const { id } of this.cinder.list({ path: [collection], collection, item }, call))
        ids.push(id);
      await Promise.all(
        ids.map(async (id) => {
          const place = { path: [collection, id], member, milliseconds: MINUTES };
          await this.cinder
            .waitFor({ ...place, until: ['available', 'error', 'deleting'] }, call)
            .catch(() => undefined);
          await this.#delete(this.cinder, place.path);
          await this.cinder.waitUntilGone(place, call);
        }),
      );
    }
  }

  /** Removes the project and everything that is in it. */
  async remove(): Promise<void> {
    await this.clear();
    await this.client.close();
    await this.#remove();
  }

  /** Reads images over HTTP. */
  readonly images: ImageReader = {
    read: (id) => this.#imageBytes(id),
  };

  async *#imageBytes(id: string): AsyncGenerator<Uint8Array, void, undefined> {
    const endpoint = await this.glance.endpoint(call);
    const headers = { 'x-auth-token': await this.#token() };
    const response = await fetch(new URL(`images/${id}/file`, endpoint), { headers });
    if (!response.ok || response.body === null) throw new Error(`Glance answered ${response.status}`);
    for await (const piece of response.body) yield piece;
  }

  async #token(): Promise<string> {
    const { user, password, project } = this.#account;
    const domain = { id: 'default' };
    const identity = { methods: ['password'], password: { user: { name: user, domain, password } } };
    const response = await fetch(`${this.#lab.authUrl}/v3/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth: { identity, scope: { project: { name: project, domain } } } }),
    });
    return response.headers.get('x-subject-token') ?? '';
  }

  async *#images(): AsyncGenerator<z.infer<typeof item>, void, undefined> {
    const owner = (await this.client.scope(call)).project?.id ?? '';
    yield* this.glance.list({ path: ['images'], collection: 'images', item, query: { owner } }, call);
  }

  async #delete(service: OpenStackService, path: readonly string[]): Promise<void> {
    // One that is going already is refused, and waited for like the others.
    await service.request({ method: 'DELETE', path, answer: anything }, call).catch(() => undefined);
  }
}
