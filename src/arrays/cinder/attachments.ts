import * as z from 'zod';
import type { OpenStackClient, OpenStackService } from '../../clients/openstack/index.ts';
import type { CallOptions, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { isBadRequest } from './cinder.ts';
import {
  type ConnectedVolume,
  type ConnectVolume,
  connectLocal,
  connectVolume,
  parseConnection,
} from './connection.ts';
import { type CinderVolume, KEYS } from './records.ts';

/** What a host tells of itself, by which Cinder lets it have volumes, as os-brick's `get_connector_properties` makes it. */
export type VolumeConnector = JsonObject & {
  /** The host's name. */
  readonly host: string;
};

/** The host that moves the data. */
export interface Mover {
  /** What it tells of itself. */
  readonly connector: VolumeConnector;
  /** How it gets what Cinder lets it have; only volumes that are a path on this host otherwise. */
  readonly connect?: ConnectVolume;
}

/** Volumes that this host has while they are read or written. */
export interface Attachments {
  /**
   * Makes a volume that nobody uses one of this host, until it is disposed of; nobody else gets it meanwhile, unless Cinder
   * lets several have it. `BUSY` where somebody else was quicker.
   */
  attach(volumeId: string, call: CallOptions): Promise<ConnectedVolume>;
  /** The volume after what a dead mover left on it went; what others attached stays. */
  release(volume: CinderVolume, call: CallOptions): Promise<CinderVolume>;
}

/** Where attachments are made. */
export interface AttachmentTools {
  /** The cloud. */
  readonly client: OpenStackClient;
  /** Asks for a volume. */
  readonly volume: (id: string, call: CallOptions) => Promise<CinderVolume>;
}

// Attachments can be completed since 3.44.
const MICROVERSIONS = { least: '3.44', most: '3.70' };

const anything = z.unknown();
const ATTACHMENT = z.looseObject({
  id: z.string(),
  status: z.string(),
  instance: z.string().nullish(),
  volume_id: z.string(),
  connection_info: z.unknown(),
});
const MADE = z.looseObject({ attachment: ATTACHMENT });

type Attachment = z.infer<typeof ATTACHMENT>;

/**
 * Attachments of a mover. A volume is marked before it is attached, and then with the attachment, so that whoever comes after a
 * process that died takes away that one and none of others. What is only marked has at most a reservation, of no server.
 */
export function createAttachments({ client, volume }: AttachmentTools, mover?: Mover): Attachments {
  const service: OpenStackService = client.service('block-storage', MICROVERSIONS);
  const { connect = connectLocal } = mover ?? {};
  /** Volumes that this process has. */
  const own = new Set<string>();
  // Not to be stopped by what ended the caller.
  const late: CallOptions = { signal: new AbortController().signal };

  async function mark(id: string, host: string, attachment: string, call: CallOptions): Promise<void> {
    const metadata = { [KEYS.mover]: host, [KEYS.attachment]: attachment };
    const path = ['volumes', id, 'metadata'];
    await service.request({ method: 'POST', path, body: { metadata }, answer: anything }, call);
  }

  async function unmark(id: string, call: CallOptions): Promise<void> {
    // The one that is looked for goes last.
    for (const key of [KEYS.mover, KEYS.attachment]) await remove(['volumes', id, 'metadata', key], call);
  }

  async function remove(path: readonly string[], call: CallOptions): Promise<void> {
    try {
      await service.request({ method: 'DELETE', path, answer: anything }, call);
    } catch (error) {
      if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
    }
  }

  async function reserve(id: string, call: CallOptions): Promise<string> {
    const body = { attachment: { volume_uuid: id } };
    try {
      const request = { method: 'POST', path: ['attachments'], body, answer: MADE } as const;
      return (await service.request(request, call)).attachment.id;
    } catch (error) {
      // Any other failure may have reserved it: the mark stays.
      if (!isBadRequest(error)) throw error;
      await Promise.allSettled([unmarkRefused(id)]);
      throw new FafnirError('BUSY', `volume ${id} cannot be attached: ${error.message}`, { cause: error });
    }
  }

  /** The mark stays where the reservation is a mover's, be it one that lives, or one that died while Cinder was at it. */
  async function unmarkRefused(id: string): Promise<void> {
    const found = await volume(id, late);
    const isMovers = found.metadata[KEYS.attachment] !== '' || (await ofMover(found, late)).length > 0;
    if (!isMovers) await unmark(id, late);
  }

  async function connectTo(id: string, { connector }: Mover, attachment: string, call: CallOptions) {
    const path = ['attachments', attachment];
    const body = { attachment: { connector } };
    const answer = await service.request({ method: 'PUT', path, body, answer: MADE }, call);
    const name = `volume ${id}`;
    const connection = parseConnection(name, answer.attachment.connection_info);
    return await connectVolume(name, connection, connect, call);
  }

  async function complete(attachment: string, call: CallOptions): Promise<void> {
    const path = ['attachments', attachment, 'action'];
    await service.request({ method: 'POST', path, body: { 'os-complete': {} }, answer: anything }, call);
  }

  /** In this order: what is no longer attached may be another volume by the time that it is disconnected. */
  async function detach(id: string, attachment?: string, connected?: ConnectedVolume): Promise<void> {
    try {
      await connected?.[Symbol.asyncDispose]();
      if (attachment === undefined) return;
      await remove(['attachments', attachment], late);
      await unmark(id, late);
    } finally {
      own.delete(id);
    }
  }

  /** Takes from this host what a process on it left. */
  async function disconnectLeft({ volume_id, connection_info }: Attachment, call: CallOptions) {
    const name = `volume ${volume_id}`;
    let connected: ConnectedVolume;
    try {
      connected = await connectVolume(name, parseConnection(name, connection_info), connect, call);
    } catch {
      // It is not there, and cannot be had.
      call.signal.throwIfAborted();
      return;
    }
    await connected[Symbol.asyncDispose]();
  }

  async function ofMover({ id, metadata }: CinderVolume, call: CallOptions): Promise<readonly Attachment[]> {
    const found: Attachment[] = [];
    const marked = metadata[KEYS.attachment];
    const place = { path: ['attachments', 'detail'], query: { volume_id: id } };
    for await (const one of service.list({ ...place, collection: 'attachments', item: ATTACHMENT }, call)) {
      const { id: attachment, status, instance, volume_id } = one;
      // What the mark says counts for nothing where a server has the volume: metadata is anybody's.
      const isOther = volume_id !== id || (instance ?? '') !== '';
      if (!isOther && (marked === '' ? status === 'reserved' : attachment === marked)) found.push(one);
    }
    return found;
  }

  return {
    async attach(id, call) {
      if (mover === undefined) throw new FafnirError('UNSUPPORTED', 'this array has no path attached');
      const { host } = mover.connector;
      if (own.has(id)) throw new FafnirError('BUSY', `volume ${id} is attached to this host already`);
      own.add(id);
      let attachment: string | undefined;
      let connected: ConnectedVolume | undefined;
      try {
        await mark(id, host, '', call);
        attachment = await reserve(id, call);
        await mark(id, host, attachment, call);
        connected = await connectTo(id, mover, attachment, call);
        await complete(attachment, call);
        const { path } = connected;
        return { path, [Symbol.asyncDispose]: () => detach(id, attachment, connected) };
      } catch (error) {
        // What does not go now goes when the volume is next written or removed: it is marked.
        await Promise.allSettled([detach(id, attachment, connected)]);
        throw error;
      }
    },
    async release(found, call) {
      const { id, metadata } = found;
      if (metadata[KEYS.attachment] === undefined || own.has(id)) return found;
      const left = await ofMover(found, call);
      for (const attachment of left) {
        if (metadata[KEYS.mover] === mover?.connector.host) await disconnectLeft(attachment, call);
        await remove(['attachments', attachment.id], call);
      }
      // Where there is not even a reservation, one may be on its way: whoever it keeps out needs the mark.
      if (left.length > 0 || metadata[KEYS.attachment] !== '') await unmark(id, call);
      return await volume(id, call);
    },
  };
}
