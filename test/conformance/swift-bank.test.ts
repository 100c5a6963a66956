import { afterAll, beforeAll, describe, it } from 'vitest';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { cephLab } from '../lab/ceph/ceph.ts';
import { cloudOf, type SharedContainer, shareContainer, tempAuthOf } from '../lab/openstack/containers.ts';
import { openStackLab } from '../lab/openstack/openstack.ts';

const { openstack, skipped } = openStackLab();
const { ceph, skipped: cephSkipped } = cephLab();
const clouds = [
  ['OpenStack', openstack && cloudOf(openstack, openstack.sites.a), skipped],
  ['Ceph', ceph && tempAuthOf(ceph.swift), cephSkipped],
] as const;

describe.each(clouds)('swiftBank on %s', (of, cloud, reason) => {
  if (cloud === undefined) return it.skip(`needs the lab (${reason})`, () => undefined);
  let container: SharedContainer;
  beforeAll(async () => {
    container = await shareContainer(cloud);
  });
  afterAll(() => container.end());
  const create = async () => ({ bank: container.open(), dispose: async () => undefined });
  const name = `swiftBank on ${of}`;
  registerSuite(bankSuite({ name, conditionalCreate: 'best-effort', create }), { describe, it });
});
