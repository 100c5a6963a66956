import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobClaim, JobId, JobStore, StepRow, TenantId } from '../../../src/core/contracts/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';

const tenant = 'acme' as TenantId;
const id = 'job-1' as JobId;
const CLAIM = { now: 1, leaseUntil: 9 };
const MISMATCH = expect.objectContaining({ code: 'JOURNAL_MISMATCH' });

let directory = '';
let one: JobStore;
let other: JobStore;
let claim: JobClaim;

async function claimed(store: JobStore, now = CLAIM.now): Promise<JobClaim> {
  const taken = await store.claim({ ...CLAIM, now, leaseUntil: now + 8 });
  if (taken === undefined) throw new Error('there was no job to claim');
  return taken;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fafnir-journals-'));
  [one, other] = [sqliteStore(join(directory, 'fafnir.db')), sqliteStore(join(directory, 'fafnir.db'))];
  const job = {
    id,
    tenant,
    actor: 'ops',
    operation: 'protect',
    operationVersion: 1,
    input: {},
    createdAt: 1,
  };
  await one.enqueue(job);
  claim = await claimed(one);
});

afterEach(async () => {
  await one.close();
  await other.close();
  await rm(directory, { recursive: true });
});

const intent = (step: string): StepRow => ({ step, kind: 'intent' });
const steps = async (): Promise<string[]> => (await one.journal(tenant, id)).map(({ step }) => step);

describe('a journal that two write with one claim', () => {
  it('by two handles has every row once, in the order written', async () => {
    await one.append(claim, [intent('a')]);
    await other.append(claim, [intent('b')]);
    await other.append(claim, [intent('c')]);
    await expect(one.append(claim, [intent('d'), intent('b')])).rejects.toEqual(MISMATCH);
    await one.append(claim, [intent('d')]);
    await expect(other.append(claim, [intent('d')])).rejects.toEqual(MISMATCH);
    await other.append(claim, [intent('e')]);
    expect(await steps()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('by copies of the claim has every row once', async () => {
    const copy = { job: { ...claim.job } };
    await one.append(claim, [intent('a')]);
    await expect(one.append(copy, [intent('a')])).rejects.toEqual(MISMATCH);
    await one.append(copy, [intent('b')]);
    await expect(one.append(claim, [intent('b')])).rejects.toEqual(MISMATCH);
    expect(await steps()).toEqual(['a', 'b']);
  });
});

describe('a claim that wrote before', () => {
  it('is FENCED once the job was claimed again, whatever that claim wrote', async () => {
    await one.append(claim, [intent('a')]);
    const next = await claimed(other, 10);
    for (const step of ['b', 'c']) {
      await expect(one.append(claim, [intent(step)])).rejects.toMatchObject({ code: 'FENCED' });
      await other.append(next, [intent(step)]);
    }
    expect(await steps()).toEqual(['a', 'b', 'c']);
  });
});

describe('rows that are added together', () => {
  it('are kept as they are, be their values small or large, with the fields that the contract knows', async () => {
    const large = 'x'.repeat(10_000);
    const rows: StepRow[] = [
      { step: 'a', kind: 'intent', input: 'digest' },
      { step: 'a', kind: 'result', input: 'digest', value: { deep: [[[null, 'b', { c: -0.5 }]]] } },
      { step: '"\u2028\ud800', kind: 'result', value: '\u2028\ud800' },
    ];
    const extra = { extra: 1 };
    await one.append(
      claim,
      rows.map((row) => ({ ...row, ...extra })),
    );
    await one.append(claim, [
      { step: 'b', kind: 'intent', ...extra },
      { step: 'b', kind: 'result', value: large },
    ]);
    expect(await one.journal(tenant, id)).toEqual([
      ...rows,
      { step: 'b', kind: 'intent' },
      { step: 'b', kind: 'result', value: large },
    ]);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['what encodes itself as nothing', { toJSON: () => undefined }],
    ['a bigint', 1n],
  ])('are refused with a result that is no JSON (%s), all of them', async (_, value) => {
    const rows: StepRow[] = [intent('a'), { step: 'a', kind: 'result', value: value as never }];
    await expect(one.append(claim, rows)).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    expect(await steps()).toEqual([]);
  });
});
