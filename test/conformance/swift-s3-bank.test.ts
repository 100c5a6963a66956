import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { s3Bank } from '../../src/banks/s3.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { cloudOf, type SharedContainer, shareContainer } from '../lab/openstack/containers.ts';
import { openStackLab } from '../lab/openstack/openstack.ts';
import { type SwiftS3, swiftS3 } from '../lab/openstack/s3.ts';

const { openstack, skipped } = openStackLab();
const name = 's3Bank on OpenStack Swift';
const conditionalCreate = 'best-effort';

describe(name, () => {
  if (openstack === undefined) return it.skip(`needs the lab (${skipped})`, () => undefined);
  let container: SharedContainer;
  let service: SwiftS3;
  beforeAll(async () => {
    container = await shareContainer(cloudOf(openstack, openstack.sites.a));
    service = await swiftS3(openstack, openstack.sites.a);
  });
  afterAll(() => Promise.all([container.end(), service.end()]));
  const create = async () => {
    const place = { bucket: container.name, prefix: `fafnir/${randomUUID()}`, ...service.place };
    return { bank: s3Bank({ name: 's3', conditionalCreate, ...place }), dispose: async () => undefined };
  };
  registerSuite(bankSuite({ name, conditionalCreate, create }), { describe, it });
});
