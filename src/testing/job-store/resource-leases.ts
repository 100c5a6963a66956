import assert from 'node:assert/strict';
import type { JobClaim, JobOutcome, JobStore, ResourceLease } from '../../core/contracts/index.ts';
import {
  ENDED,
  type Cases,
  ACME,
  claimOf,
  ERROR,
  FAILED,
  job,
  ODD,
  OTHER,
  rejects,
  SUCCEEDED,
  takenOver,
} from './fixtures.ts';

const lease = (resource: string, kind: string, ...excludes: string[]): ResourceLease => ({
  resource,
  kind,
  excludes,
});
const WRITE = lease('volume/a', 'write', 'write', 'read');
const READ = lease('volume/a', 'read', 'write');

/** Claims of jobs 1, 2 and so on, by one worker each. */
async function claimsOf<Numbers extends readonly number[]>(
  store: JobStore,
  ...numbers: Numbers
): Promise<{ [At in keyof Numbers]: JobClaim }> {
  const claims: JobClaim[] = [];
  for (const number of numbers) {
    await store.enqueue(job(number));
    claims.push(await claimOf(store, { job: job(number).id }));
  }
  return claims as { [At in keyof Numbers]: JobClaim };
}

async function taken(store: JobStore, claim: JobClaim, ...leases: ResourceLease[]): Promise<void> {
  assert.equal(await store.acquire(claim, leases), undefined);
}

async function held(
  store: JobStore,
  claim: JobClaim,
  leases: readonly ResourceLease[],
  by: { readonly job: number; readonly lease: ResourceLease },
): Promise<void> {
  const { resource, kind } = by.lease;
  assert.deepEqual(await store.acquire(claim, leases), { resource, job: job(by.job).id, kind });
}

/** Leases of resources, and when they end. */
export const resourceLeases: Cases = {
  'a lease that is taken is refused to another job, which learns who holds it': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    await taken(store, first, WRITE);
    await held(store, second, [WRITE], { job: 1, lease: WRITE });
  },
  'what the wanted lease excludes, and the held one does not, stands against it': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    const browse = lease('volume/a', 'browse');
    await taken(store, first, browse);
    const remove = lease('volume/a', 'remove', 'write', 'browse');
    await held(store, second, [remove], { job: 1, lease: browse });
  },
  'what the held lease excludes, and the wanted one does not, stands against it': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    const remove = lease('volume/a', 'remove', 'write', 'browse');
    await taken(store, first, remove);
    await held(store, second, [lease('volume/a', 'browse')], { job: 1, lease: remove });
  },
  'kinds that do not exclude each other share a resource, also one kind with itself': async (store) => {
    const [first, second, third, fourth] = await claimsOf(store, 1, 2, 3, 4);
    await taken(store, first, READ);
    await taken(store, second, READ);
    await taken(store, third, lease('volume/a', 'browse', 'remove'));
    await held(store, fourth, [lease('volume/a', 'remove', 'browse')], {
      job: 3,
      lease: lease('volume/a', 'browse'),
    });
  },
  'another resource is free, and names are compared exactly': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    const odd = lease(ODD, ODD, ODD);
    await taken(store, first, WRITE, odd);
    const near = ['volume/A', 'volume/', 'volume/a ', 'volume/%', 'volume/ab'];
    await taken(store, second, ...near.map((resource) => ({ ...WRITE, resource })));
    await taken(store, second, lease('volume/a', 'Read', 'Write', 'write '));
    await held(store, second, [odd], { job: 1, lease: odd });
  },
  'leases of another tenant do not count': async (store) => {
    const [first] = await claimsOf(store, 1);
    await store.enqueue(job(2, { tenant: OTHER }));
    const second = await claimOf(store, { job: job(2).id });
    await taken(store, first, WRITE);
    await taken(store, second, WRITE);
    const [third] = await claimsOf(store, 3);
    await held(store, third, [WRITE], { job: 1, lease: WRITE });
    await store.finish(second, SUCCEEDED, ENDED);
    await held(store, third, [WRITE], { job: 1, lease: WRITE });
  },
  'a claim in the name of another tenant takes nothing and is FENCED': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    const forged: JobClaim = { job: { ...first.job, tenant: OTHER } };
    await rejects(store.acquire(forged, [WRITE]), 'FENCED');
    await rejects(store.postpone(forged, 9_000), 'FENCED');
    await rejects(store.finish(forged, SUCCEEDED, ENDED), 'FENCED');
    assert.deepEqual(await store.get(ACME, job(1).id), first.job);
    await taken(store, second, WRITE);
  },
  'a job does not stand against itself, and what it holds counts as taken': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    await taken(store, first, WRITE, READ, WRITE);
    await taken(store, first, READ, WRITE, lease('volume/b', 'read'));
    await store.finish(first, SUCCEEDED, ENDED);
    await taken(store, second, WRITE);
  },
  'a lease taken again with other kinds excludes both': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    await taken(store, first, lease('volume/a', 'browse', 'write'));
    await taken(store, first, lease('volume/a', 'browse', 'remove'));
    for (const kind of ['write', 'remove']) {
      await held(store, second, [lease('volume/a', kind)], { job: 1, lease: lease('volume/a', 'browse') });
    }
    await taken(store, second, lease('volume/a', 'browse'));
  },
  'of several leases all are taken or none': async (store) => {
    const [first, second, third] = await claimsOf(store, 1, 2, 3);
    const [before, after] = [lease('volume/0', 'write', 'write'), lease('volume/b', 'write', 'write')];
    await taken(store, first, WRITE);
    await held(store, second, [before, READ, after], { job: 1, lease: WRITE });
    await taken(store, third, before, after);
  },
  'a refusal leaves the job what it holds': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    const own = lease('volume/b', 'write', 'write');
    await taken(store, first, WRITE);
    await taken(store, second, own);
    await held(store, second, [own, WRITE], { job: 1, lease: WRITE });
    await held(store, first, [own], { job: 2, lease: own });
  },
  'of jobs that want a lease at once one gets it': async (store) => {
    const claims = await claimsOf(store, 1, 2, 3, 4, 5);
    const holders = await Promise.all(claims.map((claim) => store.acquire(claim, [WRITE])));
    assert.equal(holders.filter((holder) => holder === undefined).length, 1);
  },
  'no leases are fine for the claim that counts, and FENCED for a former one': async (store) => {
    const { former, current } = await takenOver(store);
    await taken(store, current);
    await rejects(store.acquire(former, []), 'FENCED');
  },
  'a former claim takes nothing and is FENCED': async (store) => {
    const { former } = await takenOver(store);
    await rejects(store.acquire(former, [WRITE]), 'FENCED');
    const [second] = await claimsOf(store, 2);
    await taken(store, second, WRITE);
  },
  'a job whose worker died keeps its leases': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    await taken(store, first, WRITE);
    await store.heartbeat(first, 1);
    await store.heartbeat(second, 99_999);
    await held(store, second, [WRITE], { job: 1, lease: WRITE });
  },
  'a new claim of the job holds them still, and a former one frees nothing': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    await taken(store, first, WRITE);
    const current = await claimOf(store, { now: 2_001, leaseUntil: 3_000, job: job(1).id });
    await held(store, second, [WRITE], { job: 1, lease: WRITE });
    await rejects(store.finish(first, SUCCEEDED, ENDED), 'FENCED');
    await rejects(store.postpone(first, 0), 'FENCED');
    await held(store, second, [WRITE], { job: 1, lease: WRITE });
    await taken(store, current, WRITE);
    await store.finish(current, SUCCEEDED, ENDED);
    await taken(store, second, WRITE);
  },
  'a cancel request frees nothing': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    await taken(store, first, WRITE);
    await store.requestCancel(ACME, job(1).id);
    await held(store, second, [WRITE], { job: 1, lease: WRITE });
  },
  'every end of a job frees its leases, and no others': async (store) => {
    const outcomes: JobOutcome[] = [SUCCEEDED, FAILED, { state: 'cancelled', error: ERROR }];
    const [other] = await claimsOf(store, 9);
    const kept = lease('volume/b', 'write', 'write');
    await taken(store, other, kept);
    for (const [at, outcome] of outcomes.entries()) {
      const [claim] = await claimsOf(store, at);
      await taken(store, claim, WRITE);
      await store.finish(claim, outcome, ENDED);
      await rejects(store.acquire(claim, [WRITE]), 'FENCED');
    }
    const [last] = await claimsOf(store, 10);
    await taken(store, last, WRITE);
    await held(store, last, [kept], { job: 9, lease: kept });
  },
  'an end that is refused frees nothing': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    await taken(store, first, WRITE);
    const result = { large: 'x'.repeat(256 * 1024) };
    await rejects(store.finish(first, { state: 'succeeded', result }, ENDED), 'LIMIT_EXCEEDED');
    await held(store, second, [WRITE], { job: 1, lease: WRITE });
  },
  'leases are copies: changing what was given or returned changes nothing': async (store) => {
    const [first, second] = await claimsOf(store, 1, 2);
    const excludes = ['write'];
    await taken(store, first, { resource: 'volume/a', kind: 'read', excludes });
    excludes.pop();
    const holder = await store.acquire(second, [lease('volume/a', 'write')]);
    Object.assign(holder ?? {}, { job: 'changed' });
    await held(store, second, [lease('volume/a', 'write')], { job: 1, lease: READ });
  },
};
