import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type OpenStackClient,
  type OpenStackList,
  type OpenStackRequest,
  type OpenStackService,
  openStackClient,
} from '../../src/clients/openstack/index.ts';
import type { ArraySnapshot, JsonObject } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';

const GIB = 2 ** 30;

/** Something of Cinder or Glance. */
type Thing = Record<string, unknown> & {
  readonly id: string;
  readonly name?: unknown;
  status: string;
  metadata?: Record<string, string>;
};

const MEMBERS: Readonly<Record<string, string>> = {
  attachments: 'attachment',
  backups: 'backup',
  snapshots: 'snapshot',
  volumes: 'volume',
};

/** As much of Cinder, Glance and Swift as reading snapshots by copies takes: all that is asked for is there at once. */
export class SmallCinder {
  readonly client: OpenStackClient;
  /** How many requests there were. */
  requests = 0;
  readonly #folder: string;
  readonly #things = new Map<string, Thing>();

  /** Volumes are in a folder, as files without bytes. */
  constructor(folder: string) {
    this.#folder = folder;
    const nobody = openStackClient({
      authUrl: 'http://127.0.0.1:9',
      credentials: { type: 'token', token: 'none' },
    });
    const service: Partial<OpenStackService> = {
      request: (request) => this.#request(request),
      list: (list) => this.#list(list),
      waitFor: async ({ path }) => this.#thing(path) as JsonObject,
      waitUntilGone: async () => undefined,
      microversion: async () => '3.70',
    };
    this.client = {
      ...nobody,
      service: () => service as OpenStackService,
      scope: async () => ({ project: { id: 'p' } }) as never,
    };
  }

  /** A snapshot as an array tells of it. */
  snapshot(): ArraySnapshot {
    const volume_id = this.#make('volumes', { name: 'db', volume_type: 'fast', size: 1 }).id;
    const { id } = this.#make('snapshots', { name: 'snap', volume_id, size: 1 });
    const volume = { array: 'cinder', id: volume_id, size: GIB };
    // By whatever path the array reads.
    const reference = { id, path: 'any' };
    return { name: 'snap', volume, reference, takenAt: '2026-11-21T03:23:45.000Z' };
  }

  /** A volume that a user made. */
  volume(name: string, metadata: Record<string, string>): void {
    this.#make('volumes', { name, metadata, volume_type: 'fast', size: 1 });
  }

  /** What there is, by name. */
  left(): readonly string[] {
    return [...this.#things]
      .map(([key, { name }]) => `${key.split('/')[0]}/${String(name ?? 'unnamed')}`)
      .toSorted();
  }

  /** The metadata of a volume. */
  metadataOf(name: string): Record<string, string> | undefined {
    return [...this.#things.values()].find((one) => one.name === name)?.metadata;
  }

  #make(collection: string, facts: JsonObject): Thing {
    const made = { id: randomUUID(), status: 'available', created_at: '2026-11-21T03:23:45', ...facts };
    this.#things.set(`${collection}/${made.id}`, made);
    return made;
  }

  #thing(path: readonly string[]): Thing {
    const found = this.#things.get(path.join('/'));
    if (found === undefined) throw new FafnirError('NOT_FOUND', `there is no ${path.join('/')}`);
    return found;
  }

  async *#list<Item>({ path: [collection = ''], query = {}, item }: OpenStackList<Item>) {
    this.requests += 1;
    const marks = Object.entries(JSON.parse(String(query.metadata ?? '{}').replaceAll("'", '"')) as object);
    for (const [key, one] of this.#things) {
      // Cinder does not tell upper from lower case.
      const lower = (name: unknown): string => String(name).toLowerCase();
      const isNamed = query.name === undefined || lower(one.name) === lower(query.name);
      const isMarked = marks.every(([mark, value]) => one.metadata?.[mark] === value);
      const isOf = query.volume_id === undefined || one.volume_id === query.volume_id;
      if (!key.startsWith(`${collection}/`) || !isNamed || !isMarked || !isOf) continue;
      yield await parsed(item, one);
    }
  }

  async #request<Output>({ method, path, body, answer }: OpenStackRequest<Output>): Promise<Output> {
    this.requests += 1;
    const [collection = '', id, part] = path;
    if (collection.startsWith('fafnir-')) return await parsed(answer, this.#container(method, path));
    const member = MEMBERS[collection];
    if (part !== undefined) return await parsed(answer, this.#change(path, method, body ?? {}));
    if (method === 'DELETE') return await parsed(answer, this.#remove(path));
    const given = (body?.[member ?? ''] ?? {}) as JsonObject;
    const thing = id === undefined ? this.#create(collection, given) : this.#thing(path);
    if (method === 'PUT') await this.#connect(thing);
    return await parsed(answer, member === undefined ? thing : { [member]: thing });
  }

  #create(collection: string, given: JsonObject): Thing {
    if (collection === 'backups') this.#things.set(`containers/${given.container}`, given as Thing);
    if (collection !== 'attachments') return this.#make(collection, given);
    const { volume_uuid: volume_id = '' } = given;
    this.#thing(['volumes', String(volume_id)]).status = 'reserved';
    return this.#make(collection, { volume_id, status: 'reserved', connection_info: {} });
  }

  async #connect(attachment: Thing): Promise<void> {
    const volume = this.#thing(['volumes', String(attachment.volume_id)]);
    const device_path = join(this.#folder, volume.id);
    await using file = await open(device_path, 'w');
    await file.truncate(GIB);
    Object.assign(attachment, { connection_info: { driver_volume_type: 'local', device_path } });
    volume.status = 'in-use';
  }

  /** Metadata and actions. */
  #change([collection = '', id = '', , key]: readonly string[], method: string, body: JsonObject): object {
    const thing = this.#thing([collection, id]);
    if (key !== undefined) delete thing.metadata?.[key];
    else if (method === 'POST') thing.metadata = { ...thing.metadata, ...(body.metadata as object) };
    const upload = body['os-volume_upload_image'] as JsonObject | undefined;
    if (upload === undefined) return {};
    const { id: image_id } = this.#make('images', {
      name: upload.image_name ?? '',
      status: 'active',
      size: GIB,
    });
    return { 'os-volume_upload_image': { image_id } };
  }

  #remove(path: readonly string[]): object {
    const [collection] = path;
    const { status, volume_id } = this.#thing(path);
    if (collection === 'volumes' && status !== 'available') {
      const cause = Object.assign(new Error(status), { status: 400 });
      throw new FafnirError('PLUGIN_FAILED', `the volume is ${status}`, { cause });
    }
    if (collection === 'attachments') this.#thing(['volumes', String(volume_id)]).status = 'available';
    this.#things.delete(path.join('/'));
    return {};
  }

  /** The container of a backup, which has one chunk. */
  #container(method: string, [name = '', ...file]: readonly string[]): unknown {
    this.#thing(['containers', name]);
    if (method === 'DELETE') return this.#things.delete(`containers/${name}`);
    const [key = ''] =
      [...this.#things].find(([key, one]) => key.startsWith('backups/') && one.name === name) ?? [];
    const { id, volume_id } = this.#thing([key]);
    const prefix = `volume_${volume_id}/at_backup_${id}`;
    if (file.length === 0) return [{ name: `${prefix}_sha256file` }, { name: `${prefix}_metadata` }];
    const objects = [{ [`${prefix}-00001`]: { offset: 0, length: GIB, compression: 'none' } }];
    return { version: '1.0.0', parent_id: null, backup_id: id, volume_id, objects };
  }
}

async function parsed<Output>(
  schema: Pick<OpenStackRequest<Output>['answer'], '~standard'>,
  value: unknown,
): Promise<Output> {
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return result.value;
  throw new FafnirError('WRONG_ANSWER', JSON.stringify(result.issues));
}
