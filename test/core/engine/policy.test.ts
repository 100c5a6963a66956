import { describe, expect, it } from 'vitest';
import type {
  JobId,
  ProtectPreview,
  ResolvedPolicy,
  SnapshotPolicyRules,
  TenantId,
} from '../../../src/index.ts';
import { SHOP } from './application.ts';
import { refused } from './refusals.ts';
import { all, failure, openWorld, type PolicyRules, type World } from './world.ts';

const BOUNDED: SnapshotPolicyRules = {
  archive: { default: true, locked: true },
  keep: { default: 1, allowed: { most: 3 } },
};

const shop = { name: 'other', provider: 'gold', resources: SHOP };

/** What a job was asked to do with snapshots. */
async function policyOf({ acme }: World, id: JobId): Promise<ResolvedPolicy> {
  const record = await acme.jobs.get(id);
  return record?.input.policy as ResolvedPolicy;
}

/** A world whose tenant's rules can be changed. */
async function openChanging(policy: SnapshotPolicyRules = {}) {
  const asked: TenantId[] = [];
  const now: { rules: SnapshotPolicyRules | undefined } = { rules: undefined };
  const tenantPolicy: NonNullable<PolicyRules['tenantPolicy']> = (tenant) => {
    asked.push(tenant);
    return tenant === 'acme' ? now.rules : undefined;
  };
  return { world: await openWorld({ rules: { policy, tenantPolicy } }), now, asked };
}

describe('the policy of a plan', () => {
  it('is kept, and decides over the defaults of provider and tenant', async () => {
    const { world, now } = await openChanging(BOUNDED);
    await using _ = world;
    now.rules = { keep: { default: 2 }, background: { default: true } };
    const plan = await world.acme.plans.create({ ...shop, policy: { keep: 3 } });
    expect((await world.acme.plans.get(plan.id))?.policy).toEqual({ keep: 3 });
    expect((await world.acme.preview.protect(plan.id)).policy).toEqual({
      archive: { value: true, origin: 'provider' },
      keep: { value: 3, origin: 'plan' },
      background: { value: true, origin: 'tenant' },
      consistency: { value: 'crash', origin: 'built-in' },
      onInconsistency: { value: 'degrade', origin: 'built-in' },
      lock: { value: 0, origin: 'built-in' },
    });
  });

  it('is refused where the provider or the tenant does not allow it, and no plan is made', async () => {
    const { world, now } = await openChanging(BOUNDED);
    await using _ = world;
    now.rules = { consistency: { default: 'group', locked: true } };
    const policy = { archive: false, keep: 'all', consistency: 'none' } as const;
    const error = await failure(() => world.acme.plans.create({ ...shop, policy }));
    expect(error.code).toBe('REFUSED_BY_POLICY');
    expect(error.message.split('; ')).toEqual([
      'the plan asks for archive false, but the provider locks it to true',
      'the plan asks for keep all, but the provider allows only 0 to 3',
      'the plan asks for consistency none, but the tenant locks it to group',
    ]);
    expect(await all(world.acme.plans.list())).toEqual([world.plan]);
  });

  it('does not stand in the way of a checkpoint, which needs nothing of the job store', async () => {
    await using world = await openWorld();
    const plan = await world.acme.plans.create({ ...shop, policy: { keep: 3 } });
    const { checkpoint } = await (await world.acme.protect(plan.id, { policy: { keep: 2 } })).result();
    expect(await all(world.acme.checkpoints.list())).toMatchObject([{ id: checkpoint, state: 'available' }]);
  });
});

describe('the policy of a call', () => {
  it('is resolved when the job is made, and stays what it was', async () => {
    const { world, now } = await openChanging();
    await using _ = world;
    now.rules = { background: { default: true } };
    const job = await world.acme.protect(world.plan.id, { policy: { keep: 7 } });
    now.rules = { background: { default: false }, keep: { allowed: { most: 1 } } };
    await job.result();
    expect(await policyOf(world, job.id)).toMatchObject({
      keep: { value: 7, origin: 'call' },
      background: { value: true, origin: 'tenant' },
    });
  });

  it.each<[object, 'REFUSED_BY_POLICY' | 'INVALID_OPTIONS', RegExp]>([
    [{ keep: 4 }, 'REFUSED_BY_POLICY', /^the call asks for keep 4, but the provider allows only 0 to 3$/],
    [{ archive: false }, 'REFUSED_BY_POLICY', /locks it to true$/],
    [{ keep: -1 }, 'INVALID_OPTIONS', /policy: keep/],
    [{ retain: 1 }, 'INVALID_OPTIONS', /policy: unknown option retain; the valid options are archive, keep/],
  ])('is refused before there is a job, and so is its preview: %j', async (policy, code, message) => {
    await using world = await openWorld({ rules: { policy: BOUNDED } });
    const { acme, plan } = world;
    await refused(world, () => acme.protect(plan.id, { policy }), code, message);
    await refused(world, () => acme.preview.protect(plan.id, { policy }), code, message);
    expect(await all(acme.jobs.list())).toEqual([]);
  });
});

describe('a previewed policy', () => {
  it('is what the run does, with who chose it', async () => {
    await using world = await openWorld({ rules: { policy: BOUNDED } });
    const preview = await world.acme.preview.protect(world.plan.id, { policy: { keep: 2 } });
    expect(preview.policy.keep).toEqual({ value: 2, origin: 'call' });
    expect(Object.isFrozen(preview.policy.keep)).toBe(true);
    const job = await world.acme.run(preview);
    await job.result();
    expect(await policyOf(world, job.id)).toEqual(preview.policy);
  });

  it('is DRIFTED where a default changed since, unless its call had said the same', async () => {
    const { world, now } = await openChanging();
    await using _ = world;
    const { acme, plan } = world;
    const preview = await acme.preview.protect(plan.id, { policy: { background: true } });
    now.rules = { keep: { default: 2 }, background: { default: false } };
    await refused(world, () => acme.run(preview), 'DRIFTED', /: keep 0 is 2$/);
    now.rules = { background: { default: false } };
    await (await acme.run(preview)).result();
  });

  it('is refused where it is not allowed any more', async () => {
    const { world, now } = await openChanging();
    await using _ = world;
    const preview = await world.acme.preview.protect(world.plan.id, { policy: { keep: 9 } });
    now.rules = { keep: { allowed: { most: 3 } } };
    await refused(world, () => world.acme.run(preview), 'REFUSED_BY_POLICY', /^the call asks for keep 9/);
  });

  it.each<[string, object | undefined]>([
    ['missing', undefined],
    ['damaged', { keep: { value: -1, origin: 'call' } }],
  ])('is INVALID_OPTIONS where it is %s', async (_, policy) => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    const changed = { ...preview, policy: policy && { ...preview.policy, ...policy } };
    await refused(world, () => world.acme.run(changed as ProtectPreview), 'INVALID_OPTIONS', /run: policy/);
  });
});

describe('the rules of a tenant', () => {
  it('are asked for each time, of the tenant whose call it is', async () => {
    const { world, now, asked } = await openChanging();
    await using _ = world;
    const rival = world.engine.for({ tenant: 'rival', actor: 'test' });
    const plan = await rival.plans.create(shop);
    now.rules = { keep: { default: 5 } };
    asked.length = 0;
    expect((await world.acme.preview.protect(world.plan.id)).policy.keep.value).toBe(5);
    expect((await rival.preview.protect(plan.id)).policy.keep.value).toBe(0);
    now.rules = undefined;
    expect((await world.acme.preview.protect(world.plan.id)).policy.keep.value).toBe(0);
    expect(asked).toEqual(['acme', 'rival', 'acme']);
  });

  it("are refused where they go beyond the provider's", async () => {
    const { world, now } = await openChanging(BOUNDED);
    await using _ = world;
    now.rules = { keep: { default: 4 } };
    const message = /^the tenant has the default keep 4, but the provider allows only 0 to 3$/;
    await refused(world, () => world.acme.protect(world.plan.id), 'REFUSED_BY_POLICY', message);
  });

  it.each<[string, () => unknown, 'INVALID_OPTIONS' | 'PLUGIN_FAILED', RegExp]>([
    [
      'contradict themselves',
      () => ({ archive: { locked: true } }),
      'INVALID_OPTIONS',
      /acme: archive is locked without a default/,
    ],
    ['are not rules', () => ({ keep: 3 }), 'INVALID_OPTIONS', /tenantPolicy of acme: keep/],
    ['come later', () => Promise.reject(new Error('too late')), 'INVALID_OPTIONS', /not a promise/],
    [
      'cannot be told',
      () => {
        throw new Error('no directory');
      },
      'PLUGIN_FAILED',
      /acme: no directory/,
    ],
  ])('are refused where they %s', async (_, answer, code, message) => {
    let answers: () => unknown = () => undefined;
    await using world = await openWorld({
      rules: { tenantPolicy: () => answers() as SnapshotPolicyRules | undefined },
    });
    answers = answer;
    await refused(world, () => world.acme.protect(world.plan.id), code, message);
    expect(await all(world.acme.jobs.list())).toEqual([]);
  });
});

describe('the rules of a provider', () => {
  it.each<[PolicyRules, RegExp]>([
    [
      { policy: { keep: { default: 4, allowed: { most: 3 } } } },
      /defineProvider: policy: keep: the default, 4/,
    ],
    [{ policy: { archive: { locked: true } } }, /archive is locked without a default/],
    [{ policy: null as never }, /defineProvider: policy/],
    [{ tenantPolicy: {} as never }, /tenantPolicy: must be a function/],
  ])('are checked when it is defined: %j', async (rules, message) => {
    const error = await failure(() => openWorld({ rules }));
    expect(error.code).toBe('INVALID_OPTIONS');
    expect(error.message).toMatch(message);
  });
});
