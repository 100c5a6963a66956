import assert from 'node:assert/strict';
import type { JobTemplateRecord } from '../../core/contracts/index.ts';
import { ACME, type Cases, collect, job, ODD, OTHER, schedule, template } from './fixtures.ts';

/** Templates, and what is made from them. */
export const templates: Cases = {
  'a template comes back as it was': async ({ templates }) => {
    const every: JobTemplateRecord[] = [
      template(1),
      template(2, {
        description: ODD,
        operation: { name: 'protect', options: { [ODD]: [1.5, null, { $parameter: ODD }, [{}]] } },
        parameters: {
          a: { type: 'text', description: ODD, choices: [ODD, ''], default: '' },
          b: { type: 'boolean', default: false },
          c: { type: 'number', choices: [0, -1.5] },
        },
        version: 'fedcba9876543210',
        actor: ODD,
      }),
      template(3, { operation: { name: 'collect', options: {} }, parameters: {} }),
      template(4, { operation: { name: 'retain', options: {} } }),
      template(5, { operation: { name: 'restore', options: { to: { $parameter: 'share' } } } }),
    ];
    for (const one of every) await templates.put(one);
    assert.deepEqual(await collect(templates.list(ACME)), every);
    for (const one of every) assert.deepEqual(await templates.get(ACME, one.name), one);
  },
  'a template that is put again is replaced, and no other': async ({ templates }) => {
    for (const number of [1, 2]) await templates.put(template(number));
    const later = template(1, { operation: { name: 'collect', options: {} }, parameters: {}, version: 'a' });
    await templates.put(later);
    assert.deepEqual(await collect(templates.list(ACME)), [later, template(2)]);
  },
  'a template that is put again and says the same stays as it was': async ({ templates }) => {
    await templates.put(template(1));
    await templates.put(template(1, { actor: 'other', storedAt: 2 }));
    assert.deepEqual(await templates.get(ACME, template(1).name), template(1));
  },
  'another tenant cannot see, list, replace or remove a template': async ({ templates }) => {
    await templates.put(template(1));
    const { name } = template(1);
    assert.equal(await templates.get(OTHER, name), undefined);
    assert.deepEqual(await collect(templates.list(OTHER)), []);
    const theirs = template(1, { tenant: OTHER, description: 'theirs' });
    await templates.put(theirs);
    assert.deepEqual(await templates.get(ACME, name), template(1));
    assert.deepEqual(await templates.get(OTHER, name), theirs);
    await templates.remove(OTHER, name);
    assert.deepEqual(await templates.get(ACME, name), template(1));
  },
  'a removed template is gone, and removing it again is success': async ({ templates }) => {
    for (const number of [1, 2]) await templates.put(template(number));
    for (const number of [1, 1, 9]) await templates.remove(ACME, template(number).name);
    assert.equal(await templates.get(ACME, template(1).name), undefined);
    assert.deepEqual(await collect(templates.list(ACME)), [template(2)]);
  },
  'list of templates is in ascending order of name over more than one page': async ({ templates }) => {
    const numbers = Array.from({ length: 250 }, (_, at) => (at * 77) % 250);
    for (const number of numbers) await templates.put(template(number));
    const expected = numbers.sort((a, b) => a - b).map((number) => template(number).name);
    assert.deepEqual(
      (await collect(templates.list(ACME))).map(({ name }) => name),
      expected,
    );
  },
  'templates are copies: changing what was given or returned changes nothing': async ({ templates }) => {
    const change = ({ operation, parameters }: Partial<JobTemplateRecord>): void => {
      Object.assign(operation?.options ?? {}, { sample: 1 });
      Object.assign(parameters?.share ?? {}, { default: 1 });
    };
    const share = { type: 'number', default: 0.25 } as const;
    const options = { sample: { $parameter: 'share' } };
    const given = { operation: { name: 'verify' as const, options }, parameters: { share: { ...share } } };
    await templates.put(template(1, given));
    change(given);
    change((await templates.get(ACME, template(1).name)) ?? {});
    assert.deepEqual(await templates.get(ACME, template(1).name), template(1));
  },
  'a job tells the template that it was made from, and stays when that goes': async (store) => {
    const from = { name: template(1).name, version: template(1).version };
    await store.templates.put(template(1));
    const made = await store.enqueue(job(1, { template: from }));
    const plain = await store.enqueue(job(2));
    assert.deepEqual(made.template, from);
    assert.ok(!('template' in plain));
    await store.templates.remove(ACME, from.name);
    assert.deepEqual((await store.get(ACME, made.id))?.template, from);
    assert.deepEqual((await store.claim({ now: 1_000, leaseUntil: 2_000 }))?.job.template, from);
    assert.deepEqual((await collect(store.list(ACME, {})))[0]?.template, from);
    assert.ok(!('template' in ((await store.get(ACME, plain.id)) ?? {})));
  },
  'a schedule of a template comes back as it was': async ({ schedules }) => {
    const operation = { template: 'weekly', arguments: { a: ODD, b: false, c: -1.5 } };
    const kept = await schedules.create(schedule(1, { operation }));
    assert.deepEqual(kept.operation, operation);
    assert.deepEqual((await schedules.get(ACME, kept.id))?.operation, operation);
  },
};
