import type { StandardSchemaV1 } from '@standard-schema/spec';
import * as z from 'zod';
import { parseAnswer } from '../../clients/openstack/answers.ts';
import type {
  OpenStackClient,
  OpenStackNamed,
  OpenStackPlace,
  OpenStackService,
} from '../../clients/openstack/index.ts';
import type { CallOptions, Clock } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Item, type Kind, Listed } from './kind.ts';

/** A list that calls of one operation share. */
interface Shared {
  readonly since: number;
  readonly listed: Promise<unknown>;
}

// How long an operation may take a list for the present state. Long, beside the time that a discovery takes; a caller
// who gives all calls one signal sees no older state.
const SHARED_MILLISECONDS = 30_000;

/** The services of a cloud, as one project sees them. */
export class Cloud {
  /** Keystone. */
  readonly identity: OpenStackService;
  /** Nova; from 2.79 on it tells which volumes end with their server. */
  readonly compute: OpenStackService;
  /** Cinder. */
  readonly volumes: OpenStackService;
  /** Glance. */
  readonly images: OpenStackService;
  /** Neutron. */
  readonly networks: OpenStackService;
  readonly #client: OpenStackClient;
  readonly #clock: Clock;
  // By signal, since calls of one operation carry one: a discovery asks each service once, whatever its size.
  readonly #shared = new WeakMap<AbortSignal, Map<object, Shared>>();

  constructor(client: OpenStackClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
    this.identity = client.service('identity');
    this.compute = client.service('compute', { least: '2.79', most: '2.93' });
    this.volumes = client.service('block-storage', { least: '3.27', most: '3.70' });
    this.images = client.service('image');
    this.networks = client.service('network');
  }

  /** The project of the credentials. */
  async project(call: CallOptions): Promise<OpenStackNamed> {
    const { project } = await this.#client.scope(call);
    if (project !== undefined) return project;
    throw new FafnirError('INVALID_OPTIONS', 'the credentials of OpenStack are those of no project');
  }

  /** Everything of a kind, read anew. */
  async list<Listing extends Item>(kind: Kind<Listing>, call: CallOptions): Promise<Listed<Listing>> {
    const items: Listing[] = [];
    for await (const item of kind.read(this, call)) items.push(item);
    return new Listed(kind, items);
  }

  /** Everything of a kind, as an earlier call of the same operation saw it, where there was one. */
  shared<Listing extends Item>(kind: Kind<Listing>, call: CallOptions): Promise<Listed<Listing>> {
    const ofOperation = this.#shared.get(call.signal) ?? new Map<object, Shared>();
    this.#shared.set(call.signal, ofOperation);
    const since = this.#clock.monotonic();
    const known = ofOperation.get(kind);
    if (known !== undefined && since - known.since < SHARED_MILLISECONDS) {
      return known.listed as Promise<Listed<Listing>>;
    }
    const listed = this.list(kind, call);
    ofOperation.set(kind, { since, listed });
    listed.catch(() => {
      // A failure is no list; whoever asks next asks the service.
      if (ofOperation.get(kind)?.listed === listed) ofOperation.delete(kind);
    });
    return listed;
  }
}

/** One resource of a service: the member of the answer, such as `volume`, as the schema has it. */
export async function readOne<Output>(
  service: OpenStackService,
  path: readonly string[],
  member: string,
  schema: StandardSchemaV1<unknown, Output>,
  call: CallOptions,
): Promise<Output> {
  const answer = z.looseObject({ [member]: z.unknown() });
  const body = await service.request({ method: 'GET', path, answer }, call);
  return parseAnswer(`${member} ${path.join('/')} of ${service.type}`, schema, body[member]);
}

/** All of a list of a service, as the schema has them. */
export async function readAll<Output>(
  service: OpenStackService,
  place: OpenStackPlace & { readonly collection: string },
  item: StandardSchemaV1<unknown, Output>,
  call: CallOptions,
): Promise<readonly Output[]> {
  const all: Output[] = [];
  for await (const one of service.list({ ...place, item }, call)) all.push(one);
  return all;
}
