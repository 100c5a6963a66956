import assert from 'node:assert/strict';
import type {
  PlanRecord,
  ResourceSelector,
  RetentionPolicy,
  SnapshotPolicyWish,
} from '../../core/contracts/index.ts';
import { type Cases, ACME, collect, ids, ODD, OTHER, plan, rejects } from './fixtures.ts';

const KEY = { type: 'Local::Application', id: ODD };
const OTHER_KEY = { type: ODD, id: 'shop' };

/** Every form that a selector can have. */
const SELECTORS: readonly ResourceSelector[] = [
  KEY,
  OTHER_KEY,
  { type: 'Local::Server' },
  { tags: { tier: 'gold', team: null, empty: '' } },
  { name: '*' },
  { name: '' },
  { attributes: { size: { cpus: 2, disks: [1.5, null, 'a', true, {}] }, zone: null } },
  { type: ODD, tags: { [ODD]: ODD }, name: ODD, attributes: { [ODD]: ODD } },
];

/** Rules whose conditions have names that mean something to careless code. */
const unusual = (): ResourceSelector[] =>
  ['__proto__', 'constructor', 'toString', 'id', 'length', '0', ''].flatMap((name) => {
    const [tag, attribute] = [
      `{${JSON.stringify(name)}: null}`,
      `{${JSON.stringify(name)}: {"__proto__": 1}}`,
    ];
    return [{ tags: JSON.parse(tag) }, { attributes: JSON.parse(attribute) }];
  });

/** What is in a plan with every member in its place, as text: what else compares may pass over some names. */
const selectorsOf = (found: PlanRecord | undefined): string =>
  JSON.stringify([found?.resources, found?.exclude]);

/** Plans. */
export const plans: Cases = {
  'a plan comes back as it was': async ({ plans }) => {
    const dependencies = [
      { from: KEY, to: OTHER_KEY },
      { from: OTHER_KEY, to: KEY },
    ];
    const odd = plan(1, {
      name: ODD,
      provider: ODD,
      resources: SELECTORS,
      exclude: SELECTORS.toReversed(),
      dependencies,
      incomplete: 'allow',
      onFailure: 'continue',
      policy: {
        archive: true,
        keep: 'all',
        background: false,
        consistency: 'group',
        onInconsistency: 'refuse',
        lock: 30,
      },
    });
    await plans.create(odd);
    assert.deepEqual(await plans.get(ACME, odd.id), odd);
    assert.deepEqual(await collect(plans.list(ACME)), [odd]);
  },
  'what becomes of a failed run and of an incomplete one is kept apart': async ({ plans }) => {
    await plans.create(plan(1, { incomplete: 'allow' }));
    await plans.create(plan(2, { onFailure: 'continue' }));
    const found = await collect(plans.list(ACME));
    assert.deepEqual(
      found.map(({ incomplete, onFailure }) => [incomplete, onFailure]),
      [
        ['allow', 'fail'],
        ['refuse', 'continue'],
      ],
    );
  },
  'a policy comes back with the fields that it has, and no others': async ({ plans }) => {
    const policies: SnapshotPolicyWish[] = [
      { keep: 0 },
      { keep: 7, archive: false },
      { consistency: 'none' },
    ];
    for (const [at, policy] of policies.entries()) await plans.create(plan(at, { policy }));
    const found = await collect(plans.list(ACME));
    assert.deepEqual(
      found.map(({ policy }) => policy),
      policies,
    );
  },
  'a retention comes back with the fields that it has, and none where there is none': async ({ plans }) => {
    const retentions: (RetentionPolicy | undefined)[] = [
      undefined,
      { archive: { last: 3, spacing: 0 } },
      {
        array: { within: 86_400_000 },
        external: { hourly: 1, daily: 2, weekly: 3, monthly: 4, yearly: 5 },
        proof: 'source-compared',
        least: 2,
        timeZone: 'Europe/Vienna',
      },
    ];
    for (const [at, retention] of retentions.entries())
      await plans.create(plan(at, retention ? { retention } : {}));
    const found = await collect(plans.list(ACME));
    assert.deepEqual(
      found.map(({ retention }) => retention),
      retentions,
    );
  },
  'conditions of rules come back whatever their names are: none is lost': async ({ plans }) => {
    const odd = plan(1, { resources: unusual(), exclude: unusual() });
    await plans.create(odd);
    const found = await plans.get(ACME, odd.id);
    assert.equal(selectorsOf(found), selectorsOf(odd));
    const [first] = found?.resources ?? [];
    assert.ok(first && !('id' in first) && Object.hasOwn(first.tags ?? {}, '__proto__'));
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
    const given = () => ({
      resources: [
        { type: 'Local::Application', id: 'shop' },
        { tags: { tier: 'gold' }, attributes: { size: { cpus: 2 } } },
      ],
      exclude: [{ name: 'cache-*' }],
      dependencies: [{ from: { ...KEY }, to: { ...OTHER_KEY } }],
    });
    const change = ({ resources, exclude, dependencies }: Partial<PlanRecord>): void => {
      const [key = {}, rule] = resources ?? [];
      Object.assign(key, { id: 'changed' });
      if (rule !== undefined && !('id' in rule)) {
        Object.assign(rule.tags ?? {}, { tier: null });
        Object.assign(rule.attributes?.size ?? {}, { cpus: 3 });
      }
      Object.assign(exclude?.[0] ?? {}, { name: '*' });
      Object.assign(dependencies?.[0]?.to ?? {}, { id: 'changed' });
    };
    const lists = given();
    await plans.create(plan(1, lists));
    change(lists);
    lists.resources.push({ type: 'Local::Volume', id: 'later' });
    lists.exclude.pop();
    lists.dependencies.pop();
    const returned = await plans.get(ACME, plan(1).id);
    assert.deepEqual(returned, plan(1, given()));
    change(returned ?? {});
    Object.assign(returned ?? {}, { name: 'changed', incomplete: 'allow', onFailure: 'continue' });
    assert.deepEqual(await plans.get(ACME, plan(1).id), plan(1, given()));
  },
};
