import { randomUUID } from 'node:crypto';
import { describe, it } from 'vitest';
import { type S3BankOptions, s3Bank } from '../../src/banks/s3.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { cephLab } from '../lab/ceph/ceph.ts';

const { ceph, skipped } = cephLab();

for (const conditionalCreate of ['atomic', 'best-effort'] as const) {
  const name = `s3Bank on Ceph, ${conditionalCreate}`;
  const create = async ({ endpoint, region, owner }: NonNullable<typeof ceph>) => {
    const place = { bucket: 'fafnir', prefix: randomUUID(), endpoint, region, credentials: owner };
    const options: S3BankOptions = { name: 's3', ...place, conditionalCreate };
    const bank = s3Bank(options);
    const call = { signal: new AbortController().signal };
    const dispose = async () => {
      const keys: string[] = [];
      for await (const { key } of bank.list('', call)) keys.push(key);
      await bank.remove(keys, call);
    };
    return { bank, dispose };
  };
  if (ceph === undefined) describe.skip(`${name} (${skipped})`, () => it('needs the lab', () => undefined));
  else registerSuite(bankSuite({ name, conditionalCreate, create: () => create(ceph) }), { describe, it });
}
