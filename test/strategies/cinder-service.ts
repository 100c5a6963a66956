import { randomUUID } from 'node:crypto';
import type {
  OpenStackClient,
  OpenStackList,
  OpenStackRequest,
  OpenStackService,
} from '../../src/clients/openstack/index.ts';
import type { JsonObject, StorageArray, VolumeRef, VolumeTarget } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';

type Asked = JsonObject & {
  readonly name: string;
  readonly volume_id: string;
  readonly snapshot_id: string;
};
type Backup = Asked & { readonly id: string; readonly parent: string | null };

/** Cinder as far as backups go: it is done with everything at once, and may lie. */
export class CinderService {
  readonly backups: Map<string, Backup> = new Map();
  readonly volumes: Map<string, { readonly name: string; bytes: Buffer }> = new Map();
  /** What a snapshot holds, by id. */
  readonly snapshots: Map<string, Buffer> = new Map();
  /** Changes what is restored of a backup. */
  spoil: (backup: Backup, bytes: Buffer) => Buffer = (_, bytes) => bytes;
  #made = 0;

  /** A client of it. */
  readonly client: OpenStackClient = {
    scope: () => Promise.reject(new Error('nobody asks')),
    service: () => this.#service,
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };

  /** Reads what was restored. */
  readonly array: StorageArray = {
    name: 'cinder',
    target: {
      openForWrite: async ({ id }: VolumeRef): Promise<VolumeTarget> => {
        const volume = this.volumes.get(id);
        if (volume === undefined) throw new FafnirError('NOT_FOUND', 'no such volume');
        return targetOf(volume.bytes);
      },
      remove: async ({ id }: VolumeRef): Promise<void> => {
        this.volumes.delete(id);
      },
    },
  } as unknown as StorageArray;

  readonly #service: OpenStackService = {
    type: 'block-storage',
    endpoint: async () => new URL('http://127.0.0.1'),
    microversion: async () => '3.70',
    request: async <Output>({ method, path, body, answer }: OpenStackRequest<Output>) => {
      const result = await answer['~standard'].validate(this.#answer(method, path, body ?? {}));
      if (result.issues !== undefined) throw new Error(JSON.stringify(result.issues));
      return result.value;
    },
    transfer: () => Promise.reject(new Error('nobody asks')),
    list: <Item>(list: OpenStackList<Item>) => this.#list(list),
    waitFor: async ({ path }) => this.#get(path),
    waitUntilGone: async () => undefined,
  };

  async *#list<Item>({ path, query = {}, item }: OpenStackList<Item>): AsyncGenerator<Item> {
    const all =
      path[0] === 'backups' ? [...this.backups.values()].map((one) => this.#shown(one)) : this.#named();
    for (const one of all) {
      if (Object.entries(query).some(([key, value]) => one[key] !== value)) continue;
      const result = await item['~standard'].validate(one);
      if (result.issues === undefined) yield result.value;
    }
  }

  #answer(method: string, path: readonly string[], body: JsonObject): unknown {
    const [kind, id = '', action] = path;
    if (method === 'GET' && action === 'export_record') return this.#record(id);
    if (method === 'GET') return { [kind === 'backups' ? 'backup' : 'volume']: this.#get(path) };
    if (method === 'DELETE') return this.#delete(path);
    if (method === 'PUT') {
      const found = this.backups.get(id);
      if (found !== undefined) this.backups.set(id, { ...found, ...(body.backup as JsonObject) });
      return undefined;
    }
    if (action === 'restore') {
      const volume = this.volumes.get(String((body.restore as JsonObject).volume_id));
      const found = this.backups.get(id);
      if (volume !== undefined && found !== undefined) {
        volume.bytes = this.spoil(found, Buffer.from(this.snapshots.get(found.snapshot_id) ?? ''));
      }
      return undefined;
    }
    const made = randomUUID();
    if (kind === 'volumes') {
      const { name } = body.volume as { readonly name: string };
      this.volumes.set(made, { name, bytes: Buffer.alloc(0) });
      return { volume: { id: made } };
    }
    return { backup: this.#make(made, body.backup as Asked) };
  }

  #make(id: string, asked: Asked): Backup {
    const of = [...this.backups.values()].filter(({ volume_id }) => volume_id === asked.volume_id);
    const parent = asked.incremental === true ? (of.at(-1)?.id ?? null) : null;
    this.#made += 1;
    const data_timestamp = new Date(Date.UTC(2026, 0, 1, 0, this.#made)).toISOString().slice(0, 19);
    const backup = { status: 'available', size: 1, data_timestamp, ...asked, id, parent };
    this.backups.set(id, backup);
    return backup;
  }

  #delete([kind, id = '']: readonly string[]): undefined {
    if (kind === 'volumes') this.volumes.delete(id);
    else if (this.#isNeeded(id)) {
      const cause = Object.assign(new Error('400'), { status: 400 });
      throw new FafnirError('PLUGIN_FAILED', 'Incremental backups exist for this backup.', { cause });
    } else this.backups.delete(id);
  }

  #get([kind, id = '']: readonly string[]): JsonObject {
    const backup = this.backups.get(id);
    if (kind === 'backups' && backup !== undefined) return this.#shown(backup);
    if (kind === 'volumes' && this.volumes.has(id)) return { id, status: 'available' };
    throw new FafnirError('NOT_FOUND', `no such ${kind}`);
  }

  #record(id: string): JsonObject {
    const parent_id = this.backups.get(id)?.parent ?? null;
    const backup_url = Buffer.from(JSON.stringify({ id, parent_id })).toString('base64');
    return { 'backup-record': { backup_service: 'swift', backup_url } };
  }

  #shown = (backup: Backup): JsonObject => ({ ...backup, has_dependent_backups: this.#isNeeded(backup.id) });
  #isNeeded = (id: string): boolean => [...this.backups.values()].some(({ parent }) => parent === id);
  #named = (): readonly JsonObject[] => [...this.volumes].map(([id, { name }]) => ({ id, name, size: 1 }));
}

function targetOf(bytes: Buffer): VolumeTarget {
  return {
    size: bytes.length,
    blank: false,
    write: async (offset, data) => bytes.set(data, offset),
    zero: async (offset, length) => {
      bytes.fill(0, offset, offset + length);
    },
    readInto: async (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
    flush: async () => undefined,
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}
