import { inspect } from 'node:util';
import * as z from 'zod';
import type { CallOptions, Json, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/** How a host reaches a volume, as the driver of its backend says; os-brick takes both members as they are. */
export interface VolumeConnection {
  /** What Cinder calls `driver_volume_type`, such as `iscsi`. */
  readonly type: string;
  /** What a host of that type needs to know. May hold secrets, which neither messages nor logs may tell. */
  readonly data: JsonObject;
}

/** A volume that this host has; disposed of when nobody reads or writes it any more, after which the host has it no more. */
export interface ConnectedVolume extends AsyncDisposable {
  /** A block device, or a file of the volume's bytes and nothing else. */
  readonly path: string;
}

/**
 * Makes this host have a volume, by tools of the site. Resolves once the path can be opened. Repeatable: where this host has
 * the volume already, such as from a process that died, it resolves with what there is, whose disposal takes it away. One that
 * rejects leaves nothing; it is not repeated here, and the error's own `retryable` says whether the engine should.
 */
export type ConnectVolume = (connection: VolumeConnection, call: CallOptions) => Promise<ConnectedVolume>;

const CONNECTION = z
  .object({ driver_volume_type: z.string().regex(/^[\w.-]{1,64}$/) })
  .catchall(z.json())
  .transform(({ driver_volume_type: type, ...data }): VolumeConnection => ({ type, data }));
const LOCAL = z.looseObject({ device_path: z.string().regex(/^\/\P{Cc}+$/u) });
const SECRET = /pass|secret|key|token|credential/i;

/** What Cinder answered, checked; messages have none of it. */
export function parseConnection(name: string, info: unknown): VolumeConnection {
  const parsed = CONNECTION.safeParse(info);
  if (parsed.success) return parsed.data;
  throw new FafnirError('WRONG_ANSWER', `Cinder does not say how to connect ${name}`);
}

/** Without tools of the site: volumes that are a path on this host. */
export const connectLocal: ConnectVolume = async ({ type, data }) => {
  if (type === 'local') {
    const parsed = LOCAL.safeParse(data);
    if (!parsed.success)
      throw new FafnirError('WRONG_ANSWER', 'Cinder names no path of a volume of this host');
    return { path: parsed.data.device_path, [Symbol.asyncDispose]: async () => undefined };
  }
  throw new FafnirError(
    'UNSUPPORTED',
    `the backend connects volumes by ${type}, and the path has no connect`,
    {
      hint: 'Give the path attached the option connect, which connects this host by tools of the site, such as os-brick.',
    },
  );
};

/** Connects a volume; what goes wrong, now or when it is disconnected, tells no secret. */
export async function connectVolume(
  name: string,
  connection: VolumeConnection,
  connect: ConnectVolume,
  call: CallOptions,
): Promise<ConnectedVolume> {
  const told = (verb: string, error: unknown): FafnirError =>
    withoutSecrets(error, `cannot ${verb} ${name} by ${connection.type}`, connection);
  let connected: ConnectedVolume;
  try {
    connected = await connect(connection, call);
  } catch (error) {
    call.signal.throwIfAborted();
    throw told('connect', error);
  }
  return {
    path: connected.path,
    async [Symbol.asyncDispose]() {
      try {
        await connected[Symbol.asyncDispose]();
      } catch (error) {
        throw told('disconnect', error);
      }
    },
  };
}

function withoutSecrets(error: unknown, what: string, { data }: VolumeConnection): FafnirError {
  const text = inspect(error, { depth: Number.POSITIVE_INFINITY });
  const isTold = secretsIn(data).some(
    (secret) => text.includes(secret) || text.includes(JSON.stringify(secret).slice(1, -1)),
  );
  if (!isTold) return FafnirError.from(error, 'PLUGIN_FAILED', what);
  const message = `${what}: the error tells a secret of the connection, and is left out`;
  if (!FafnirError.is(error)) return new FafnirError('PLUGIN_FAILED', message);
  return new FafnirError(error.code, message, { retryable: error.retryable });
}

/** All text under a name that says so. */
function secretsIn(value: Json | undefined, isSecret = false): readonly string[] {
  if (typeof value === 'string') return isSecret && value !== '' ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => secretsIn(member, isSecret || SECRET.test(name)));
}
