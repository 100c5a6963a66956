import assert from 'node:assert/strict';
import {
  ENDED,
  type Cases,
  ACME,
  claimOf,
  collect,
  FAILED,
  ids,
  job,
  LARGEST_JSON,
  ODD,
  OTHER,
  rejects,
  sized,
} from './fixtures.ts';

/** Adding, finding and listing jobs. */
export const queue: Cases = {
  'the installation is 12 characters of a-f 0-9, and stays the same': async (store) => {
    const first = await store.installation();
    assert.match(first, /^[a-f0-9]{12}$/);
    await store.enqueue(job(1));
    assert.equal(await store.installation(), first);
  },
  'enqueue returns the job, queued and never claimed': async (store) => {
    const expected = {
      ...job(1),
      state: 'queued',
      epoch: 0,
      leaseUntil: 0,
      notBefore: 0,
      cancelRequested: false,
    };
    assert.deepEqual(await store.enqueue(job(1)), expected);
    assert.deepEqual(await store.get(ACME, job(1).id), expected);
  },
  'claim passes over parts of jobs that are left to others, unless they are asked for': async (store) => {
    await store.enqueue(job(1, { parent: job(9).id }));
    await store.enqueue(job(2, { parent: job(8).id }));
    await store.enqueue(job(3));
    const request = { now: 1, leaseUntil: 2, except: [job(9).id, job(3).id] };
    assert.equal((await store.claim(request))?.job.id, job(2).id);
    assert.equal((await store.claim(request))?.job.id, job(3).id);
    assert.equal(await store.claim(request), undefined);
    assert.equal((await store.claim({ ...request, job: job(1).id }))?.job.id, job(1).id);
    // Those that a dead worker left, too.
    assert.equal((await store.claim({ ...request, now: 3, leaseUntil: 4 }))?.job.id, job(2).id);
    assert.equal((await store.claim({ now: 3, leaseUntil: 4 }))?.job.id, job(1).id);
  },
  'enqueue of a known id changes nothing and returns that job': async (store) => {
    await store.enqueue(job(1));
    const { epoch } = (await claimOf(store)).job;
    const again = await store.enqueue(job(1, { actor: 'somebody else', input: { other: true } }));
    assert.deepEqual(again, await store.get(ACME, job(1).id));
    assert.deepEqual([again.actor, again.state, again.epoch], ['ops', 'running', epoch]);
  },
  'enqueue does not hand out a job of another tenant': async (store) => {
    await store.enqueue(job(1));
    await rejects(store.enqueue(job(1, { tenant: OTHER })), 'ALREADY_EXISTS');
    assert.equal((await store.get(ACME, job(1).id))?.tenant, ACME);
  },
  'get knows no job of another tenant and no unknown one': async (store) => {
    await store.enqueue(job(1));
    assert.equal(await store.get(OTHER, job(1).id), undefined);
    assert.equal(await store.get(ACME, job(2).id), undefined);
  },
  'an input of 256 KiB as JSON is kept': async (store) => {
    const input = { x: sized(LARGEST_JSON - '{"x":}'.length) };
    assert.deepEqual((await store.enqueue(job(1, { input }))).input, input);
  },
  'an input of one byte more is LIMIT_EXCEEDED, before any effect': async (store) => {
    const input = { x: sized(LARGEST_JSON - '{"x":}'.length + 1) };
    await rejects(store.enqueue(job(1, { input })), 'LIMIT_EXCEEDED');
    assert.equal(await store.get(ACME, job(1).id), undefined);
  },
  'odd text and keys come back as they were': async (store) => {
    const input = JSON.parse(`{"__proto__": {"polluted": 1}, "": [], "n": -1.5e300}`);
    input[ODD] = ODD;
    const odd = job(1, { actor: ODD, operation: ODD, input });
    await store.enqueue(odd);
    const found = await store.get(ACME, odd.id);
    assert.deepEqual([found?.actor, found?.operation], [ODD, ODD]);
    assert.equal(JSON.stringify(found?.input), JSON.stringify(input));
    assert.ok(found && Object.hasOwn(found.input, '__proto__') && !('polluted' in found.input));
  },
  'jobs are copies: changing what was given or returned changes nothing': async (store) => {
    const list = ['kept'];
    const returned = await store.enqueue(job(1, { input: { list } }));
    list.push('after enqueue');
    Object.assign(returned, { state: 'succeeded', epoch: 9 });
    Object.assign(returned.input, { list: 'changed' });
    const found = await store.get(ACME, job(1).id);
    assert.deepEqual([found?.state, found?.epoch, found?.input], ['queued', 0, { list: ['kept'] }]);
    Object.assign(found?.input ?? {}, { list: 'changed' });
    assert.deepEqual((await claimOf(store)).job.input, { list: ['kept'] });
  },
  'list is in ascending order of id over more than one page, and the tenant’s only': async (store) => {
    const numbers = Array.from({ length: 250 }, (_, at) => (at * 77) % 250);
    for (const number of numbers) await store.enqueue(job(number));
    await store.enqueue(job(900, { tenant: OTHER }));
    const expected = numbers.sort((a, b) => a - b).map((number) => job(number).id);
    assert.deepEqual(ids(await collect(store.list(ACME, {}))), expected);
    assert.deepEqual(ids(await collect(store.list(OTHER, {}))), [job(900).id]);
  },
  'a job keeps the one that it is a part of': async (store) => {
    await store.enqueue(job(1));
    const child = await store.enqueue(job(2, { parent: job(1).id }));
    assert.equal(child.parent, job(1).id);
    assert.equal((await store.get(ACME, job(2).id))?.parent, job(1).id);
    assert.equal((await claimOf(store, { job: job(2).id })).job.parent, job(1).id);
    assert.equal('parent' in ((await store.get(ACME, job(1).id)) ?? {}), false);
  },
  'enqueue under a claim adds a part of that job, and finds it again': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    const part = job(2, { parent: job(1).id });
    assert.equal((await store.enqueue(part, claim)).state, 'queued');
    await claimOf(store, { job: part.id });
    assert.equal((await store.enqueue(part, claim)).state, 'running');
  },
  'enqueue under a claim that was lost is FENCED, and adds nothing': async (store) => {
    await store.enqueue(job(1));
    const lost = await claimOf(store);
    const taken = await claimOf(store, { now: lost.job.leaseUntil + 1 });
    const part = job(2, { parent: job(1).id });
    await rejects(store.enqueue(part, lost), 'FENCED');
    assert.equal(await store.get(ACME, part.id), undefined);
    await store.finish(taken, FAILED, ENDED);
    await rejects(store.enqueue(part, taken), 'FENCED');
    assert.equal(await store.get(ACME, part.id), undefined);
  },
  'tenants are those that have jobs, each once and in ascending order': async (store) => {
    assert.deepEqual(await collect(store.tenants()), []);
    for (const number of [3, 1, 2]) {
      await store.enqueue(job(number));
      await store.enqueue(job(number + 10, { tenant: OTHER }));
    }
    assert.deepEqual(await collect(store.tenants()), [ACME, OTHER].sort());
  },
  'list by state gives the jobs of that state': async (store) => {
    for (const number of [1, 2, 3, 4]) await store.enqueue(job(number));
    await claimOf(store, { job: job(2).id });
    await store.finish(await claimOf(store, { job: job(3).id }), FAILED, ENDED);
    const listed = async (state: 'queued' | 'running' | 'failed' | 'cancelled') =>
      ids(await collect(store.list(ACME, { state })));
    assert.deepEqual(await listed('queued'), [job(1).id, job(4).id]);
    assert.deepEqual(await listed('running'), [job(2).id]);
    assert.deepEqual(await listed('failed'), [job(3).id]);
    assert.deepEqual(await listed('cancelled'), []);
  },
  'leaving a list ends it, and writes go on': async (store) => {
    for (const number of [1, 2, 3]) await store.enqueue(job(number));
    for await (const { id } of store.list(ACME, {})) {
      assert.equal((await claimOf(store, { job: id })).job.id, job(1).id);
      break;
    }
    assert.equal((await store.enqueue(job(4))).state, 'queued');
  },
};
