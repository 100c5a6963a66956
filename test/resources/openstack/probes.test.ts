import { describe, expect, it } from 'vitest';
import type { ConnectRequest, JsonObject, Protectable } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import { TableCloud } from './table-cloud.ts';

const newCall = () => ({ signal: new AbortController().signal });

const floating: JsonObject = {
  floating_network_id: 'public',
  floating_ip_address: '198.51.100.7',
  port_id: 'port',
};

/** The plugin for floating addresses of a cloud where each leads to this port. */
function leadingTo(port_id: string | null): Protectable {
  const client = new TableCloud({});
  client.answer = () => ({ floatingip: { id: 'address', port_id } });
  const found = openStackResources({ client }).find(({ type }) => type === 'OS::Neutron::FloatingIP');
  if (found === undefined) throw new Error('nothing protects floating addresses');
  return found;
}

const requestWith = (description: JsonObject, resolve: ConnectRequest['resolve']): ConnectRequest => ({
  token: '0'.repeat(32),
  description,
  resolve,
  address: (one) => one,
});

describe('the probe of a floating address', () => {
  const key = { type: 'OS::Neutron::FloatingIP', id: 'address' };
  const made = requestWith(floating, ({ type }) => ({ type, id: 'other port' }));
  const probe = (protectable: Protectable, request: ConnectRequest) =>
    protectable.probe?.(key, request, newCall());

  it('wants it to lead to what stands for its port', async () => {
    await probe(leadingTo('other port'), made);
    for (const port of ['port', null]) {
      await expect(probe(leadingTo(port), made)).rejects.toMatchObject({
        message: expect.stringContaining('does not lead to port other port'),
      });
    }
  });

  it('wants nothing where it led nowhere, or its port was left out', async () => {
    const nowhere = requestWith({ ...floating, port_id: null }, () => {
      throw new FafnirError('NOT_FOUND', 'nobody is to ask');
    });
    await probe(leadingTo(null), nowhere);
    await probe(
      leadingTo(null),
      requestWith(floating, () => undefined),
    );
  });
});

it('is a role of what takes its time, and of nothing else', () => {
  const probed = openStackResources({ client: new TableCloud({}) }).filter(
    ({ probe }) => probe !== undefined,
  );
  expect(probed.map(({ type }) => type)).toEqual(['OS::Nova::Server', 'OS::Neutron::FloatingIP']);
});
