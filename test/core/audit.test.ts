import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { followingRecord, NO_RECORDS, verifyAudit } from '../../src/core/audit.ts';
import type { AuditEntry, AuditHead, AuditRecord, TenantId } from '../../src/core/contracts/index.ts';
import { failure } from './engine/world.ts';

const ACME = 'acme' as TenantId;
const OTHER = 'other' as TenantId;

const entry = (changes: Partial<AuditEntry> = {}): AuditEntry => ({
  at: 1_700_000_000_000.5,
  actor: 'ops',
  action: 'job.submitted',
  object: { job: 'j1', checkpoint: 'c1' },
  ...changes,
});

/** A chain of these entries. */
function chainOf(entries: readonly AuditEntry[], tenant: TenantId | null = ACME): AuditRecord[] {
  const records: AuditRecord[] = [];
  let head = NO_RECORDS;
  for (const one of entries) {
    const record = followingRecord(tenant, one, head);
    records.push(record);
    head = record;
  }
  return records;
}

const headOf = (records: readonly AuditRecord[]): AuditHead => {
  const { number, hash } = records.at(-1) ?? NO_RECORDS;
  return { number, hash };
};

const text = fc.string({ unit: 'binary', maxLength: 20 });
const entries: fc.Arbitrary<AuditEntry> = fc.record(
  {
    at: fc.double({ noNaN: true, min: 0, max: 4e12 }),
    actor: text,
    action: fc.constantFrom('job.submitted', 'job.ended', 'plan.created'),
    object: fc.dictionary(text, text, { maxKeys: 3 }),
    reason: text,
    outcome: fc.record(
      { state: fc.constantFrom('succeeded', 'failed'), code: text },
      { requiredKeys: ['state'] },
    ),
  },
  { requiredKeys: ['at', 'actor', 'action', 'object'] },
);
const chains = fc.array(entries, { minLength: 1, maxLength: 8 }).map((all) => chainOf(all));

/** A chain and a place in it. */
const placed = chains.chain((records) =>
  fc.record({ records: fc.constant(records), at: fc.nat({ max: records.length - 1 }) }),
);

const assertFound = async (records: readonly AuditRecord[], number: number, head?: AuditHead) => {
  const verdict = await verifyAudit(records, { heads: head ? [head] : [] });
  expect(verdict).toMatchObject({ isIntact: false, number });
};

describe('a chain', () => {
  it('has the digest that the documentation tells', () => {
    const [first, second] = chainOf([entry({ reason: 'é' }), entry()]);
    const zeros = '0'.repeat(64);
    const canonical =
      '{"action":"job.submitted","actor":"ops","at":1700000000000.5,"number":1,' +
      `"object":{"checkpoint":"c1","job":"j1"},"previous":"${zeros}","reason":"é","tenant":"acme"}`;
    expect(first?.hash).toBe(createHash('sha256').update(canonical).digest('hex'));
    expect([second?.number, second?.previous]).toEqual([2, first?.hash]);
  });

  it('is intact as it was written, wherever one begins, also as JSON of somebody else', async () => {
    await fc.assert(
      fc.asyncProperty(placed, async ({ records, at }) => {
        const head = headOf(records);
        expect(await verifyAudit(records, { heads: [head] })).toEqual({ isIntact: true, head });
        const after = headOf(records.slice(0, at));
        const rest: AuditRecord[] = JSON.parse(JSON.stringify(records.slice(at)));
        const reversed = rest.map((one) => Object.fromEntries(Object.entries(one).reverse()) as AuditRecord);
        expect(await verifyAudit(reversed, { after, heads: [head] })).toEqual({ isIntact: true, head });
      }),
    );
  });

  it('tells of any member that was changed, at its place', async () => {
    const changed = placed.chain(({ records, at }) => {
      const record = records[at] as AuditRecord;
      const members = Object.keys(record) as (keyof AuditRecord)[];
      const value = fc.oneof(
        fc.string(),
        fc.double({ noNaN: true }),
        fc.constant(null),
        fc.dictionary(text, text),
      );
      return fc.record({
        records: fc.constant(records),
        at: fc.constant(at),
        member: fc.constantFrom(...members, 'more' as keyof AuditRecord),
        value,
      });
    });
    await fc.assert(
      fc.asyncProperty(changed, async ({ records, at, member, value }) => {
        const record = records[at] as AuditRecord;
        fc.pre(JSON.stringify(record[member]) !== JSON.stringify(value));
        const forged = { ...record, [member]: value };
        await assertFound(records.with(at, forged), at + 1);
      }),
    );
  });

  it('tells of a member that is missing', async () => {
    const [record] = chainOf([entry({ reason: 'why', outcome: { state: 'failed', code: 'BUSY' } })]);
    for (const member of Object.keys(record as AuditRecord)) {
      const { [member as keyof AuditRecord]: _, ...rest } = record as AuditRecord;
      await assertFound([rest as AuditRecord], 1);
    }
  });

  it('tells of a record that was removed, but for the last, which only a kept head shows', async () => {
    await fc.assert(
      fc.asyncProperty(placed, async ({ records, at }) => {
        const left = records.toSpliced(at, 1);
        const isLast = at === records.length - 1;
        if (isLast) expect(await verifyAudit(left)).toMatchObject({ isIntact: true });
        else await assertFound(left, at + 1);
        await assertFound(left, at + 1, headOf(records));
      }),
    );
  });

  it('tells of records that were swapped', async () => {
    await fc.assert(
      fc.asyncProperty(placed, fc.nat(), async ({ records, at }, other) => {
        const [one, two] = [at, other % records.length].sort((a, b) => a - b) as [number, number];
        fc.pre(one !== two);
        const [first, second] = [records[one] as AuditRecord, records[two] as AuditRecord];
        await assertFound(records.with(one, second).with(two, first), one + 1);
      }),
    );
  });

  it('tells of a record that was put in: a copy, one of another chain, or one that follows as it should', async () => {
    await fc.assert(
      fc.asyncProperty(placed, entries, async ({ records, at }, one) => {
        await assertFound(records.toSpliced(at, 0, records[at] as AuditRecord), at + 2);
        const before = records[at - 1] ?? NO_RECORDS;
        // The first of all tells whose chain it is.
        const theirs = followingRecord(OTHER, one, before);
        await assertFound(records.toSpliced(at, 0, theirs), at === 0 ? 2 : at + 1);
        await assertFound(records.toSpliced(at, 0, followingRecord(ACME, one, before)), at + 2);
      }),
    );
  });

  it('tells of a fork: another history from some place on, by the head that was kept', async () => {
    await fc.assert(
      fc.asyncProperty(
        placed,
        fc.array(entries, { minLength: 1, maxLength: 4 }),
        async ({ records, at }, others) => {
          const head = headOf(records);
          const forked = records.slice(0, at);
          for (const one of others)
            forked.push(followingRecord(ACME, { ...one, actor: 'forger' }, headOf(forked)));
          fc.pre(records.slice(at).every(({ actor }) => actor !== 'forger'));
          expect((await verifyAudit(forked)).isIntact).toBe(true);
          expect((await verifyAudit(forked, { heads: [head] })).isIntact).toBe(false);
          // Half of one and half of the other is seen by itself.
          const joined = [...forked, ...records.slice(forked.length)];
          if (joined.length > forked.length) await assertFound(joined, forked.length + 1);
        },
      ),
    );
  });

  it('does not begin in the middle by itself, nor end before a head that is before it', async () => {
    const records = chainOf([entry(), entry(), entry()]);
    await assertFound(records.slice(1), 1);
    const after = headOf(records.slice(0, 2));
    const kept = { number: 2, hash: 'f'.repeat(64) };
    expect(await verifyAudit(records.slice(2), { after, heads: [kept] })).toEqual({
      isIntact: false,
      number: 2,
      fault: 'head',
    });
    const backwards = await failure(() => verifyAudit([], { after, heads: [NO_RECORDS] }));
    expect(backwards.code).toBe('INVALID_OPTIONS');
    expect(await verifyAudit([])).toEqual({ isIntact: true, head: NO_RECORDS });
  });

  it('is held against each of several heads, in whatever order they come', async () => {
    const records = chainOf([entry(), entry(), entry(), entry()]);
    const heads = [4, 2, 2, 3].map((count) => headOf(records.slice(0, count)));
    expect((await verifyAudit(records, { heads })).isIntact).toBe(true);
    const verdict = (change: readonly AuditHead[]) => verifyAudit(records, { heads: [...heads, ...change] });
    const other = (number: number): AuditHead => ({ number, hash: 'f'.repeat(64) });
    const found = (number: number, fault: string) => ({ isIntact: false, number, fault });
    expect(await verdict([other(2)])).toEqual(found(2, 'head'));
    expect(await verdict([other(7), other(3)])).toEqual(found(3, 'head'));
    expect(await verdict([other(7), other(6)])).toEqual(found(5, 'ended'));
    const after = headOf(records.slice(0, 2));
    const rest = () =>
      verifyAudit(records.slice(2), { after, heads: [...heads, headOf(records.slice(0, 1))] });
    expect((await failure(rest)).code).toBe('INVALID_OPTIONS');
  });

  it('names what is wrong', async () => {
    const records = chainOf([entry(), entry(), entry()]);
    const [first, second, third] = records as [AuditRecord, AuditRecord, AuditRecord];
    const faultOf = async (all: readonly AuditRecord[], head?: AuditHead) => {
      const verdict = await verifyAudit(all, { heads: head ? [head] : [] });
      return verdict.isIntact ? 'none' : verdict.fault;
    };
    expect(await faultOf([first, { ...second, actor: 'x' }, third])).toBe('changed');
    expect(await faultOf([first, third])).toBe('number');
    expect(await faultOf([first, followingRecord(OTHER, entry(), first)])).toBe('tenant');
    const other = followingRecord(ACME, entry({ actor: 'x' }), first);
    expect(await faultOf([first, other, third])).toBe('previous');
    expect(await faultOf([first, second], headOf(records))).toBe('ended');
    expect(await faultOf([first, other, followingRecord(ACME, entry(), other)], headOf(records))).toBe(
      'head',
    );
    expect(await faultOf([{ ...first, at: Number.NaN }])).toBe('changed');
  });
});
