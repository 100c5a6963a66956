import { afterAll, beforeAll, describe, it } from 'vitest';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { cephLab } from '../lab/ceph/ceph.ts';
import { LockBucket } from '../lab/ceph/lock-bucket.ts';

const { ceph, skipped } = cephLab();

describe.each(['governance', 'compliance'] as const)('s3Bank with locks on Ceph, %s', (lock) => {
  if (ceph === undefined) return it.skip(`needs the lab (${skipped})`, () => undefined);
  const bucket = new LockBucket(ceph);
  beforeAll(() => bucket.create());
  afterAll(() => bucket.remove());
  const create = async () => {
    const bank = bucket.open({ lock });
    return { bank, dispose: () => bucket.empty(bank) };
  };
  registerSuite(bankSuite({ name: lock, locks: true, create }), { describe, it });
});
