import { randomUUID } from 'node:crypto';
import { describe, it } from 'vitest';
import { swiftBank } from '../../src/banks/swift.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { cloudOf, makeContainer, removeContainer } from '../lab/openstack/containers.ts';
import { type OpenStack, openStackLab } from '../lab/openstack/openstack.ts';

const { openstack, skipped } = openStackLab();
const name = 'swiftBank on OpenStack';
const conditionalCreate = 'best-effort';

const create = async (lab: OpenStack) => {
  const cloud = cloudOf(lab, lab.sites.a);
  const container = `bank-${randomUUID()}`;
  await makeContainer(cloud, container);
  const bank = swiftBank({ name: 'swift', container, prefix: 'fafnir/suite', ...cloud });
  const dispose = async () => {
    const call = { signal: new AbortController().signal };
    const keys: string[] = [];
    for await (const { key } of bank.list('', call)) keys.push(key);
    await bank.remove(keys, call);
    await removeContainer(cloud, container);
  };
  return { bank, dispose };
};
if (openstack === undefined)
  describe.skip(`${name} (${skipped})`, () => it('needs the lab', () => undefined));
else registerSuite(bankSuite({ name, conditionalCreate, create: () => create(openstack) }), { describe, it });
