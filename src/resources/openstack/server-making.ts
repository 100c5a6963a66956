import * as z from 'zod';
import type { CallOptions, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Cloud, readAll, readOne } from './cloud.ts';
import { type Recipe, unlessGone } from './making.ts';
import { SERVER_TOKEN, serverBody, standInFor } from './server-body.ts';
import { SERVER_DESCRIPTION, type ServerDescription } from './server-description.ts';
import { placeIn, readOffers } from './server-place.ts';

// An image may have to come to the host first.
const WAIT = 30 * 60_000;

// Shorter than a step may take, so that it is told what the state is.
const PROBE = 9 * 60_000;

const MADE = z.object({ server: z.object({ id: z.string() }) });
const CARRIER = z.object({ id: z.string(), metadata: z.record(z.string(), z.string()).default({}) });
const BOUND = z.object({ device_id: z.string() });
const STATE = z.object({ status: z.string(), locked: z.boolean().default(false) });

/** Servers are made of ports, volumes and what else is there by then, and carry the token in their metadata. */
export const SERVER_RECIPE: Recipe<ServerDescription> = {
  schema: SERVER_DESCRIPTION,
  joined: true,
  maps: ['flavor', 'zone', 'image'],

  async gaps(cloud, call) {
    const offers = await readOffers(cloud, call);
    return ({ description, names }) => placeIn(offers, description, names).gap;
  },

  find: findServers,

  async make(making) {
    const { description, names, cloud, call } = making;
    const place = placeIn(await readOffers(cloud, call), description, names);
    if (place.gap !== undefined) throw new FafnirError('MAPPING_GAP', place.gap);
    const body = await serverBody(making, place.fields);
    const request = { method: 'POST', path: ['servers'], body, answer: MADE } as const;
    return (await cloud.compute.request(request, call)).server.id;
  },

  async join(id, { description: { status, locked, locked_reason: reason }, cloud, call }) {
    const path = ['servers', id];
    const reach = (...until: string[]): Promise<JsonObject> =>
      cloud.compute.waitFor({ path, member: 'server', until, milliseconds: WAIT }, call);
    if (OFF.includes(status) && STATE.parse(await reach('ACTIVE', 'SHUTOFF')).status === 'ACTIVE') {
      await act(id, { 'os-stop': null }, cloud, call);
      await reach('SHUTOFF');
    }
    if (locked !== true || (await readOne(cloud.compute, path, 'server', STATE, call)).locked) return;
    await act(id, { lock: typeof reason === 'string' ? { locked_reason: reason } : null }, cloud, call);
  },

  async probe(id, { description: { status, ports }, surroundings, cloud, call }) {
    const milliseconds = PROBE;
    const until = OFF.includes(status) ? ['SHUTOFF'] : ['ACTIVE'];
    await cloud.compute.waitFor({ path: ['servers', id], member: 'server', until, milliseconds }, call);
    for (const { portId, state } of ports) {
      const port = standInFor({ type: 'OS::Neutron::Port', id: portId }, surroundings)?.id;
      if (port === undefined) continue;
      const path = ['ports', port];
      const wait = { path, member: 'port', until: ['ACTIVE'], milliseconds };
      if (state === 'ACTIVE') await cloud.networks.waitFor(wait, call);
      const { device_id } = await readOne(cloud.networks, path, 'port', BOUND, call);
      if (device_id === id) continue;
      throw new FafnirError('PLUGIN_FAILED', `port ${port} is not bound to server ${id}`);
    }
  },

  async remove(id, cloud, call) {
    await unlessGone(async () => {
      const { locked } = await readOne(cloud.compute, ['servers', id], 'server', STATE, call);
      if (locked) await act(id, { unlock: null }, cloud, call);
      // Not put aside for a while, as clouds may do with what is merely deleted: it would keep its volumes.
      await act(id, { forceDelete: null }, cloud, call);
    });
    const wait = { path: ['servers', id], member: 'server', milliseconds: WAIT };
    await cloud.compute.waitUntilGone(wait, call);
  },
};

// A server that was put on a shelf is off as well. What any other one had in memory is gone, so that it starts anew.
const OFF = ['SHUTOFF', 'SHELVED', 'SHELVED_OFFLOADED'];

async function findServers(token: string, cloud: Cloud, call: CallOptions): Promise<readonly string[]> {
  const place = { path: ['servers', 'detail'], collection: 'servers' };
  const all = await readAll(cloud.compute, place, CARRIER, call);
  return all.flatMap(({ id, metadata }) => (metadata[SERVER_TOKEN] === token ? [id] : []));
}

async function act(id: string, body: JsonObject, cloud: Cloud, call: CallOptions): Promise<void> {
  const path = ['servers', id, 'action'];
  await cloud.compute.request({ method: 'POST', path, body, answer: z.unknown() }, call);
}
