import assert from 'node:assert/strict';
import { type Cases, ACME, collect, ids, ODD, OTHER, plan, rejects } from './fixtures.ts';

/** Plans. */
export const plans: Cases = {
  'a plan comes back as it was': async ({ plans }) => {
    const resources = [
      { type: 'Local::Application', id: ODD },
      { type: ODD, id: 'shop' },
    ];
    const odd = plan(1, { name: ODD, provider: ODD, resources });
    await plans.create(odd);
    assert.deepEqual(await plans.get(ACME, odd.id), odd);
  },
  'a plan without resources comes back without': async ({ plans }) => {
    await plans.create(plan(1, { resources: [] }));
    assert.deepEqual((await plans.get(ACME, plan(1).id))?.resources, []);
  },
  'a second plan of the same name is ALREADY_EXISTS, and changes nothing': async ({ plans }) => {
    await plans.create(plan(1));
    await rejects(plans.create(plan(2, { name: plan(1).name })), 'ALREADY_EXISTS');
    assert.deepEqual(await collect(plans.list(ACME)), [plan(1)]);
  },
  'a second plan of the same id is ALREADY_EXISTS, and changes nothing': async ({ plans }) => {
    await plans.create(plan(1));
    await rejects(plans.create(plan(1, { name: 'another' })), 'ALREADY_EXISTS');
    await rejects(plans.create(plan(1)), 'ALREADY_EXISTS');
    assert.deepEqual(await collect(plans.list(ACME)), [plan(1)]);
  },
  'names are compared exactly': async ({ plans }) => {
    for (const [at, name] of ['shop', 'Shop', 'shop ', '\u00e9', 'e\u0301'].entries()) {
      await plans.create(plan(at, { name }));
    }
    assert.equal((await collect(plans.list(ACME))).length, 5);
  },
  'two tenants may have plans of the same name and id': async ({ plans }) => {
    await plans.create(plan(1));
    await plans.create(plan(1, { tenant: OTHER, provider: 'silver' }));
    assert.equal((await plans.get(ACME, plan(1).id))?.provider, 'gold');
    assert.equal((await plans.get(OTHER, plan(1).id))?.provider, 'silver');
  },
  'another tenant cannot see, list or remove a plan': async ({ plans }) => {
    await plans.create(plan(1));
    assert.equal(await plans.get(OTHER, plan(1).id), undefined);
    assert.deepEqual(await collect(plans.list(OTHER)), []);
    await plans.remove(OTHER, plan(1).id);
    assert.deepEqual(await plans.get(ACME, plan(1).id), plan(1));
  },
  'a removed plan is gone, its name is free, and removing it again is success': async ({ plans }) => {
    await plans.create(plan(1));
    await plans.create(plan(2));
    await plans.remove(ACME, plan(1).id);
    await plans.remove(ACME, plan(1).id);
    await plans.remove(ACME, plan(99).id);
    assert.equal(await plans.get(ACME, plan(1).id), undefined);
    assert.deepEqual(await collect(plans.list(ACME)), [plan(2)]);
    await plans.create(plan(3, { name: plan(1).name }));
  },
  'list of plans is in ascending order of id over more than one page': async ({ plans }) => {
    const numbers = Array.from({ length: 250 }, (_, at) => (at * 77) % 250);
    for (const number of numbers) await plans.create(plan(number));
    const expected = numbers.sort((a, b) => a - b).map((number) => plan(number).id);
    assert.deepEqual(ids(await collect(plans.list(ACME))), expected);
  },
  'plans are copies: changing what was given or returned changes nothing': async ({ plans }) => {
    const resources = [{ type: 'Local::Application', id: 'shop' }];
    await plans.create(plan(1, { resources }));
    resources.push({ type: 'Local::Volume', id: 'later' });
    const returned = await plans.get(ACME, plan(1).id);
    Object.assign(returned ?? {}, { name: 'changed' });
    Object.assign(returned?.resources[0] ?? {}, { id: 'changed' });
    assert.deepEqual(await plans.get(ACME, plan(1).id), plan(1));
  },
};
