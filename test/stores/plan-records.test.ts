import { describe, expect, it } from 'vitest';
import type { PlanId, PlanRecord, TenantId } from '../../src/core/contracts/index.ts';
import { keepPlan, planRecord } from '../../src/stores/plan-records.ts';

const key = { type: 'Local::Application', id: 'shop' };
const plan: PlanRecord = {
  id: 'plan-1' as PlanId,
  tenant: 'acme' as TenantId,
  name: 'shop',
  provider: 'gold',
  resources: [key, { type: 'Local::Server', tags: { tier: null }, name: 'web-*', attributes: { cpus: 2 } }],
  exclude: [{ tags: { tier: 'scratch' } }],
  dependencies: [{ from: key, to: { type: 'Local::Network', id: 'front' } }],
  incomplete: 'allow',
  onFailure: 'continue',
  policy: { archive: true, keep: 2 },
  retention: { archive: { last: 3, daily: 7 }, least: 2 },
  createdAt: 1,
};

describe('a plan that is kept', () => {
  it('has what the contract knows, and nothing that a caller had beside it', () => {
    const extra = { extra: 1 };
    const [first = key, ...others] = plan.resources;
    const kept = keepPlan({
      ...plan,
      ...extra,
      resources: [{ ...first, ...extra }, ...others],
      policy: { ...plan.policy, ...extra },
      exclude: plan.exclude.map((selector) => ({ ...selector, ...extra })),
      dependencies: plan.dependencies.map(({ from, to }) => ({ from: { ...from, ...extra }, to, ...extra })),
    });
    expect(kept).toEqual(keepPlan(plan));
    expect(planRecord(kept)).toEqual(plan);
  });

  it('refuses what is not JSON', () => {
    const circle: { self?: object } = {};
    circle.self = circle;
    const resources = [{ attributes: { circle: circle as never } }];
    expect(() => keepPlan({ ...plan, resources })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTIONS', message: expect.stringContaining('resources') }),
    );
  });

  const damage: [keyof PlanRecord, string][] = [
    ...['', '{', '{}', 'null', '[null]', '["shop"]', '[[]]', '[{}]'].map(
      (text): [keyof PlanRecord, string] => ['resources', text],
    ),
    ['resources', '[{"type":"Local::Server","id":7}]'],
    ['resources', '[{"id":"shop"}]'],
    ['resources', '[{"type":"Local::Server","id":"web","name":"web"}]'],
    ['resources', '[{"type":"Local::Server","tagz":{"tier":null}}]'],
    ['resources', '[{"type":"Local::Server","__proto__":{"tags":{}}}]'],
    ['resources', '[{"type":7}]'],
    ['resources', '[{"name":null}]'],
    ['resources', '[{"tags":[]}]'],
    ['resources', '[{"tags":{"tier":7}}]'],
    ['resources', '[{"attributes":[]}]'],
    ['exclude', '[{"tags":{"tier":{}}}]'],
    ['exclude', 'true'],
    ['dependencies', '[{"from":{"type":"T","id":"a"}}]'],
    ['dependencies', '[{"from":{"type":"T","id":"a"},"to":{"type":"T"}}]'],
    ['dependencies', '[{"from":{"type":"T","id":"a"},"to":{"type":"T","id":"b"},"kind":"x"}]'],
    ['incomplete', 'Allow'],
    ['onFailure', ''],
    ...['', '[]', 'null', '{"archive":1}', '{"keep":-1}', '{"keep":"some"}', '{"consistency":"Crash"}'].map(
      (text): [keyof PlanRecord, string] => ['policy', text],
    ),
    ['policy', '{"keeps":1}'],
    ['policy', '{"toString":1}'],
    ...[
      '',
      '[]',
      '7',
      '{"archives":{}}',
      '{"archive":[]}',
      '{"archive":{"last":-1}}',
      '{"archive":{"lasts":1}}',
    ].map((text): [keyof PlanRecord, string] => ['retention', text]),
    ['retention', '{"proof":"guessed"}'],
    ['retention', '{"least":"1"}'],
    ['retention', '{"timeZone":7}'],
  ];

  it.each(damage)('and was damaged in %s (%s) is CORRUPT, and says where', (field, text) => {
    expect(() => planRecord({ ...keepPlan(plan), [field]: text })).toThrow(
      expect.objectContaining({
        code: 'CORRUPT',
        message: expect.stringContaining(`${field} of plan plan-1`),
      }),
    );
  });
});
