import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import {
  type CinderArrayOptions,
  type CinderBackend,
  type CinderPath,
  cinderArray,
} from '../../../src/arrays/cinder.ts';
import {
  type OpenStackClient,
  type OpenStackOptions,
  type OpenStackService,
  openStackClient,
} from '../../../src/clients/openstack/index.ts';
import type {
  ArraySnapshot,
  JsonObject,
  SequentialSource,
  StorageArray,
  VolumeRef,
  VolumeSource,
} from '../../../src/core/contracts/index.ts';
import { targetOf } from '../../../src/testing/storage-array/helpers.ts';
import type { StorageArrayFixture } from '../../../src/testing/storage-array-suite.ts';
import type { Account, OpenStack } from './openstack.ts';
import { shrunk } from './shrunk.ts';

const call = { signal: new AbortController().signal };
const MINUTES = 5 * 60_000;
const anything = z.unknown();
const item = z.looseObject({ id: z.string(), name: z.string().nullish() });
const stated = z.looseObject({ id: z.string(), status: z.string() });
const typeAnswer = z.looseObject({ volume_type: item });

/** The group type of the lab whose group snapshots hold one instant, as its spec says. */
export const CONSISTENT = 'consistent';

/** The first MiB of a snapshot, by whatever way the array reads; all of it is read where that is from start to end. */
export async function startOf(array: StorageArray, snapshot: ArraySnapshot): Promise<Buffer> {
  const start = Buffer.alloc(2 ** 20);
  await using source = await array.open(snapshot, {}, call);
  await readStart(source, start);
  return start;
}

/** Fills a buffer with the beginning of a source. */
export async function readStart(source: SequentialSource | VolumeSource, start: Buffer): Promise<void> {
  if (source.access === 'random') return await source.readInto(0, start, call);
  for await (const block of source.blocks(call)) {
    if (block.kind === 'data' && block.offset < start.length)
      start.set(block.data.subarray(0, start.length - block.offset), block.offset);
  }
}

const credentialsOf = ({ user, password, project }: Account) =>
  ({ type: 'password', user: { name: user }, password, project: { name: project } }) as const;

/** A project that nobody else uses, so that all that is in it is the test's own. */
export class CinderProject {
  readonly options: OpenStackOptions;
  readonly client: OpenStackClient;
  readonly cinder: OpenStackService;
  readonly #glance: OpenStackService;
  readonly #swift: OpenStackService;
  readonly #lab: OpenStack;
  readonly #cloud: OpenStackClient;
  readonly #id: string;
  /** Ids of the volume types that are the project's own. */
  readonly #types: string[] = [];

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
    return new CinderProject(lab, cloud, { ...sites.a, project: name }, project.id);
  }

  private constructor(lab: OpenStack, cloud: OpenStackClient, account: Account, id: string) {
    const { authUrl, region } = lab;
    this.#lab = lab;
    this.#cloud = cloud;
    this.#id = id;
    this.options = { authUrl, region, credentials: credentialsOf(account) };
    this.client = openStackClient(this.options);
    this.cinder = this.client.service('block-storage', { least: '3.40', most: '3.70' });
    this.#glance = this.client.service('image');
    this.#swift = this.client.service('object-store');
  }

  /** The array of the volumes that are files. */
  array(more: Partial<CinderArrayOptions> = {}): StorageArray {
    const paths = [{ kind: 'files', folder: this.#lab.files }] as const;
    return cinderArray({ name: 'cinder', client: this.client, volumeType: 'file', paths, ...more });
  }

  /** What the suite of arrays needs for a case: an array of a volume type of its own, where cases run beside each other. */
  async fixture(type: 'file' | 'rbd' | 'rbd-flattened', path?: CinderPath): Promise<StorageArrayFixture> {
    const { rbd } = this.#lab;
    const volumeType = await this.#makeType(type);
    const ofFiles = type === 'file' || rbd === undefined;
    const backend: CinderBackend = type === 'file' ? 'other' : type;
    const array = shrunk(
      this.array({
        volumeType,
        backend,
        ...(type === 'file' && { consistentGroupTypes: [CONSISTENT] }),
        ...(!ofFiles && { paths: [{ kind: 'rbd', ...rbd }] }),
        ...(path && { paths: [path] }),
      }),
    );
    return {
      array,
      createVolume: (size) => targetOf(array).create({ name: randomUUID(), size }, call),
      write: async (volume, offset, data) => {
        if (ofFiles) await this.write(volume, offset, data);
        else {
          await using target = await targetOf(array).openForWrite(volume, call);
          await target.write(offset, data, call);
          await target.flush(call);
        }
      },
      snapshotAs: async ({ id }, name) => {
        await this.snapshot(id, name);
      },
      ...(type === 'file' && {
        formGroup: async (volumes: readonly VolumeRef[]) => {
          await this.group(volumes, volumeType);
        },
      }),
      dispose: () => this.#dismiss(volumeType),
    };
  }

  /** Writes as the volume's user would, into the file that it is. */
  async write({ id }: Pick<VolumeRef, 'id'>, offset: number, data: Uint8Array, type = 'file'): Promise<void> {
    await using file = await open(join(dirname(this.#lab.files), type, `volume-${id}`), 'r+');
    await file.write(data, 0, data.length, offset);
  }

  /** Reads as the volume's user would, from the file that it is. */
  async read({ id }: Pick<VolumeRef, 'id'>, offset: number, length: number, type = 'file'): Promise<Buffer> {
    await using file = await open(join(dirname(this.#lab.files), type, `volume-${id}`));
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer;
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

  /** Puts volumes of one type into a group of their own, and resolves with the id. */
  async group(volumes: readonly VolumeRef[], volumeType = 'file'): Promise<string> {
    const body = { group: { name: 'group', group_type: CONSISTENT, volume_types: [volumeType] } };
    const answer = z.looseObject({ group: item });
    const { group } = await this.cinder.request({ method: 'POST', path: ['groups'], body, answer }, call);
    await this.#awaitGroup(group.id);
    await this.change(group.id, { add_volumes: volumes.map(({ id }) => id).join(',') });
    return group.id;
  }

  /** Changes who is in a group. */
  async change(groupId: string, members: JsonObject): Promise<void> {
    const path = ['groups', groupId];
    await this.cinder.request({ method: 'PUT', path, body: { group: members }, answer: anything }, call);
    await this.#awaitGroup(groupId);
  }

  /** Snapshots a group past the array, and resolves with the id of the group snapshot. */
  async snapshotGroup(groupId: string, name: string, description: string): Promise<string> {
    const body = { group_snapshot: { group_id: groupId, name, description } };
    const answer = z.looseObject({ group_snapshot: item });
    const made = await this.cinder.request({ method: 'POST', path: ['group_snapshots'], body, answer }, call);
    const path = ['group_snapshots', made.group_snapshot.id];
    const wait = { path, member: 'group_snapshot', until: ['available'], milliseconds: MINUTES };
    await this.cinder.waitFor(wait, call);
    return made.group_snapshot.id;
  }

  /** Has Cinder do something with a volume, past the array. */
  async act({ id }: Pick<VolumeRef, 'id'>, body: JsonObject): Promise<void> {
    const path = ['volumes', id, 'action'];
    await this.cinder.request({ method: 'POST', path, body, answer: anything }, call);
  }

  /** Attaches a volume past the array, as Nova does for a server or as others do without one; resolves with the id. */
  async attach({ id }: Pick<VolumeRef, 'id'>, more: JsonObject): Promise<string> {
    const body = { attachment: { volume_uuid: id, ...more } };
    const answer = z.looseObject({ attachment: item });
    const request = { method: 'POST', path: ['attachments'], body, answer } as const;
    return (await this.cinder.request(request, call)).attachment.id;
  }

  /** Adds to the metadata of a volume. */
  async mark({ id }: Pick<VolumeRef, 'id'>, metadata: Record<string, string>): Promise<void> {
    const path = ['volumes', id, 'metadata'];
    await this.cinder.request({ method: 'POST', path, body: { metadata }, answer: anything }, call);
  }

  /** A volume as Cinder tells of it. */
  async show({ id }: Pick<VolumeRef, 'id'>): Promise<unknown> {
    const answer = z.looseObject({ volume: anything });
    return (await this.cinder.request({ method: 'GET', path: ['volumes', id], answer }, call)).volume;
  }

  /** Everything that is in the project: attachments, snapshots, group snapshots, volumes, backups, images and containers, by name or id. */
  async left(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const collection of ['attachments', 'snapshots', 'group_snapshots', 'volumes', 'backups']) {
      for await (const { id, name } of this.cinder.list({ path: [collection], collection, item }, call))
        found.push(`${collection}/${name || id}`);
    }
    for await (const { id, name } of this.#images()) found.push(`images/${name || id}`);
    for (const { name } of await this.#containers()) found.push(`containers/${name}`);
    return found.toSorted();
  }

  /** Removes everything that is in the project. */
  async clear(): Promise<void> {
    for await (const { id } of this.#images()) await this.#delete(this.#glance, ['images', id]);
    for await (const { id } of this.cinder.list(
      { path: ['attachments'], collection: 'attachments', item },
      call,
    ))
      await this.#delete(this.cinder, ['attachments', id]);
    await this.#empty('backups');
    for (const { name } of await this.#containers()) await this.#delete(this.#swift, [name]);
    await this.#empty('group_snapshots');
    for await (const { id } of this.cinder.list({ path: ['groups'], collection: 'groups', item }, call)) {
      await this.#empty('snapshots');
      const body = { delete: { 'delete-volumes': true } };
      const path = ['groups', id, 'action'];
      await this.cinder.request({ method: 'POST', path, body, answer: anything }, call);
      await this.cinder.waitUntilGone({ path: ['groups', id], member: 'group', milliseconds: MINUTES }, call);
    }
    await this.#empty('volumes', { cascade: true });
  }

  /** Removes the project and everything that is in it. */
  async remove(): Promise<void> {
    await this.clear();
    await this.client.close();
    for (const id of this.#types) await this.#delete(this.#cloud.service('block-storage'), ['types', id]);
    await this.#delete(this.#cloud.service('identity'), ['projects', this.#id]);
    await this.#cloud.close();
  }

  async #awaitGroup(id: string): Promise<void> {
    const wait = { member: 'group', until: ['available'], milliseconds: MINUTES };
    await this.cinder.waitFor({ path: ['groups', id], ...wait }, call);
  }

  /** A volume type on a backend that this project alone can see; resolves with its name. */
  async #makeType(backend: string): Promise<string> {
    const volumes = this.#cloud.service('block-storage');
    const name = `${backend}-${randomUUID().slice(0, 8)}`;
    const specs = { extra_specs: { volume_backend_name: backend } };
    const type = { name, 'os-volume-type-access:is_public': false, ...specs };
    const made = {
      method: 'POST',
      path: ['types'],
      body: { volume_type: type },
      answer: typeAnswer,
    } as const;
    const { id } = (await volumes.request(made, call)).volume_type;
    this.#types.push(id);
    const path = ['types', id, 'action'];
    const body = { addProjectAccess: { project: this.#id } };
    await volumes.request({ method: 'POST', path, body, answer: anything }, call);
    return name;
  }

  /** Has the volumes of a type removed, as far as that can be; the rest goes with the project, and nobody waits for it. */
  async #dismiss(type: string): Promise<void> {
    const typed = item.extend({ volume_type: z.string() });
    const place = { path: ['volumes', 'detail'], collection: 'volumes', item: typed };
    for await (const { id, volume_type } of this.cinder.list(place, call))
      if (volume_type === type) await this.#delete(this.cinder, ['volumes', id], { cascade: true });
  }

  async *#images(): AsyncGenerator<z.infer<typeof item>, void, undefined> {
    const query = { owner: this.#id };
    yield* this.#glance.list({ path: ['images'], collection: 'images', item, query }, call);
  }

  async #containers(): Promise<readonly { readonly name: string }[]> {
    const answer = z.array(z.looseObject({ name: z.string() }));
    return await this.#swift.request({ method: 'GET', path: [], query: { format: 'json' }, answer }, call);
  }

  /** Asks again for what could not go yet: Cinder refuses what something else stands on, and what is being made. */
  async #empty(collection: string, query: { readonly cascade?: true } = {}): Promise<void> {
    const place = { path: [collection, 'detail'], collection, item: stated };
    for (const end = Date.now() + MINUTES; ; await delay(500)) {
      const left: z.infer<typeof stated>[] = [];
      for await (const one of this.cinder.list(place, call)) left.push(one);
      if (left.length === 0) return;
      const going = left.filter(({ status }) => status !== 'deleting');
      for (const { id } of going) await this.#delete(this.cinder, [collection, id], query);
      if (Date.now() < end) continue;
      throw new Error(`these do not go: ${left.map(({ id, status }) => `${id} (${status})`).join(', ')}`);
    }
  }

  async #delete(
    service: OpenStackService,
    path: readonly string[],
    query: { readonly cascade?: true } = {},
  ): Promise<void> {
    // One that is going already is refused, as is one that cannot go yet.
    await service.request({ method: 'DELETE', path, query, answer: anything }, call).catch(() => undefined);
  }
}
