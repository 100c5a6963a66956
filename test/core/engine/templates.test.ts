import { describe, expect, it } from 'vitest';
import type { JobTemplateReference, ScheduleTick, TemplateRequest } from '../../../src/index.ts';
import { createEngine } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { temporaryDirectory } from './application.ts';
import { all, failure, openWorld, protect, providersIn, type World } from './world.ts';

const WEEKLY: TemplateRequest = {
  name: 'weekly-check',
  description: 'Reads a share of the newest checkpoint.',
  operation: { name: 'verify', options: { level: { $parameter: 'level' }, sample: { $parameter: 'share' } } },
  parameters: {
    level: { type: 'text', choices: ['tags', 'deep'], default: 'tags' },
    share: { type: 'number' },
  },
};
const SWEEP: TemplateRequest = { name: 'sweep', operation: { name: 'collect' } };

const BACK: TemplateRequest = {
  name: 'back',
  operation: { name: 'restore', options: { to: { $parameter: 'to' }, conflict: { $parameter: 'conflict' } } },
  parameters: {
    to: { type: 'text', default: 'silver' },
    conflict: { type: 'text', choices: ['fail', 'rename'], default: 'fail' },
  },
};

const openBronze = (templates: readonly TemplateRequest[] = []): Promise<World> =>
  openWorld({ provider: 'bronze', options: { templates } });

const codeOf = async (work: () => unknown): Promise<string> => (await failure(work)).code;

describe('a template', () => {
  it('makes a job of what it says with what is given, and the job tells name and version', async () => {
    await using world = await openBronze();
    const { acme, plan } = world;
    const checkpoint = await protect(world);
    const { version, origin } = await acme.templates.put(WEEKLY);
    expect(origin).toBe('tenant');
    const job = await acme.templates.run(WEEKLY.name, { plan: plan.id, arguments: { share: 0.5 } });
    expect(await job.result()).toMatchObject({ checkpoint });
    const record = await acme.jobs.get(job.id);
    expect(record).toMatchObject({
      operation: 'verify',
      actor: 'test',
      template: { name: WEEKLY.name, version },
      input: { checkpoint, level: 'tags', sample: 0.5, whenBusy: 'queue' },
    });
    expect(await acme.jobs.get(checkpoint as never)).not.toHaveProperty('template');
  });

  it('of each operation makes a job that succeeds', async () => {
    await using world = await openBronze();
    const { acme, plan } = world;
    const operations: TemplateRequest['operation'][] = [
      { name: 'protect', options: { policy: { consistency: 'none' }, pauseMilliseconds: 5_000 } },
      { name: 'verify' },
      { name: 'retain', options: { policy: { array: { last: { $parameter: 'last' } } } } },
      { name: 'collect' },
    ];
    for (const operation of operations) {
      const parameters = operation.name === 'retain' ? { last: { type: 'number' as const, default: 3 } } : {};
      await acme.templates.put({ name: operation.name, operation, parameters });
      const job = await acme.templates.run(operation.name, { plan: plan.id, whenBusy: 'wait' });
      await job.result();
      expect(await acme.jobs.get(job.id)).toMatchObject({ operation: operation.name });
    }
  });

  it.each<[string, Record<string, string | number | boolean>, RegExp]>([
    ['missing', {}, /share is missing/],
    ['unknown', { share: 1, shares: 1 }, /shares is unknown/],
    ['of a wrong type', { share: '1' }, /share must be of type number/],
    ['none of the choices', { share: 1, level: 'all' }, /level must be one of tags, deep/],
    ['nothing that the operation takes', { share: 7 }, /sample/],
    ['the name of what every object has', { share: 1, constructor: 'x' }, /constructor is unknown/],
  ])('refuses an argument that is %s, and makes no job', async (_, given, message) => {
    await using world = await openBronze([WEEKLY]);
    await protect(world);
    const before = (await all(world.acme.jobs.list())).length;
    const error = await failure(() =>
      world.acme.templates.run(WEEKLY.name, { plan: world.plan.id, arguments: given }),
    );
    expect(error).toMatchObject({ code: 'INVALID_OPTIONS', message: expect.stringMatching(message) });
    expect(await all(world.acme.jobs.list())).toHaveLength(before);
  });

  it.each<[string, object]>([
    ['a name that is no id', { name: 'a b' }],
    ['an operation that is not made from templates', { operation: { name: 'remove' } }],
    ['a parameter that is not used', { parameters: { ...WEEKLY.parameters, more: { type: 'text' } } }],
    ['options with a parameter that it does not have', { parameters: {} }],
    [
      'a default of another type',
      { parameters: { ...WEEKLY.parameters, share: { type: 'number', default: 'x' } } },
    ],
    [
      'a default that is no choice',
      { parameters: { ...WEEKLY.parameters, share: { type: 'number', choices: [1], default: 2 } } },
    ],
    [
      'a default that the operation does not take',
      { parameters: { ...WEEKLY.parameters, share: { type: 'number', default: 2 } } },
    ],
    [
      'an option that the operation does not have',
      { operation: { name: 'verify', options: { depth: 1 } }, parameters: {} },
    ],
    ['a field that is not known', { provider: 'gold' }],
  ])('with %s is refused', async (_, change) => {
    await using world = await openBronze();
    expect(await codeOf(() => world.acme.templates.put({ ...WEEKLY, ...change }))).toBe('INVALID_OPTIONS');
    expect(await all(world.acme.templates.list())).toEqual([]);
  });

  it('that is too large is refused', async () => {
    await using world = await openBronze();
    const operation = { name: 'verify', options: { level: 'x'.repeat(16 * 1024) } } as const;
    const large = { name: 'large', operation };
    expect(await codeOf(() => world.acme.templates.put(large))).toBe('LIMIT_EXCEEDED');
  });

  it('has the same version while it says the same, and another when it is replaced', async () => {
    await using world = await openBronze();
    const { templates } = world.acme;
    const first = await templates.put(SWEEP);
    expect(await templates.put({ ...SWEEP, description: 'Gives back space.' })).toMatchObject({
      version: first.version,
    });
    const second = await templates.put({ ...SWEEP, operation: { name: 'verify' } });
    expect(second.version).not.toBe(first.version);
    expect(await all(templates.list())).toEqual([second]);
    expect(await templates.get('sweep')).toEqual(second);
  });

  it('of a tenant is its own: others do not see, run or remove it', async () => {
    await using world = await openBronze();
    const other = world.engine.for({ tenant: 'other', actor: 'test' });
    await world.acme.templates.put(SWEEP);
    expect(await all(other.templates.list())).toEqual([]);
    expect(await other.templates.get('sweep')).toBeUndefined();
    await other.templates.remove('sweep');
    expect(await codeOf(() => other.templates.run('sweep', { plan: world.plan.id }))).toBe('NOT_FOUND');
    await world.acme.templates.remove('sweep');
    expect(await codeOf(() => world.acme.templates.run('sweep', { plan: world.plan.id }))).toBe('NOT_FOUND');
  });

  it('is told of by the audit, with the reason, when it says something new and when it goes', async () => {
    await using world = await openBronze();
    const { acme } = world;
    const told = async () =>
      (await all(acme.audit({ after: 1 }))).map(({ actor, action, object, reason }) => ({
        ...{ actor, action, object },
        ...(reason !== undefined && { reason }),
      }));
    const { version } = await acme.templates.put(SWEEP, { reason: 'ticket 1' });
    await acme.templates.put(SWEEP, { reason: 'again' });
    const described = { ...SWEEP, description: 'Gives back space.' };
    await world.engine.for({ tenant: 'acme', actor: 'ops' }).templates.put(described);
    await acme.templates.remove('none', { reason: 'of nothing' });
    await acme.templates.remove('sweep', { reason: 'ticket 2' });
    await acme.templates.remove('sweep');
    const object = { template: 'sweep', version };
    expect(await told()).toEqual([
      { actor: 'test', action: 'template.stored', object, reason: 'ticket 1' },
      { actor: 'ops', action: 'template.stored', object },
      { actor: 'test', action: 'template.removed', object: { template: 'sweep' }, reason: 'ticket 2' },
    ]);
    expect(await codeOf(() => acme.templates.put(SWEEP, { reason: '' }))).toBe('INVALID_OPTIONS');
    expect(await codeOf(() => acme.templates.remove('sweep', { why: 'x' } as object))).toBe(
      'INVALID_OPTIONS',
    );
    expect(await acme.templates.get('sweep')).toBeUndefined();
  });

  it('of the host is there for all tenants, and no tenant takes its name', async () => {
    await using world = await openBronze([WEEKLY]);
    for (const tenant of ['acme', 'other']) {
      const { templates } = world.engine.for({ tenant, actor: 'test' });
      expect(await all(templates.list())).toMatchObject([{ name: WEEKLY.name, origin: 'host' }]);
      expect(await codeOf(() => templates.put({ ...SWEEP, name: WEEKLY.name }))).toBe('ALREADY_EXISTS');
      await templates.remove(WEEKLY.name);
      expect(await templates.get(WEEKLY.name)).toMatchObject({ origin: 'host' });
    }
    await using directory = await temporaryDirectory();
    const engine = (templates: readonly TemplateRequest[]) =>
      createEngine({ store: memoryStore(), providers: [providersIn(directory.path).bronze], templates });
    expect(await codeOf(() => engine([SWEEP, SWEEP]))).toBe('DUPLICATE_NAME');
    expect(await codeOf(() => engine([{ ...SWEEP, name: '' }]))).toBe('INVALID_OPTIONS');
  });
});

describe('a template of a restore', () => {
  it('restores the checkpoint that it is run with, as the same call of the session would', async () => {
    await using world = await openBronze();
    const { acme } = world;
    const checkpoint = await protect(world);
    const { version } = await acme.templates.put(BACK);
    const job = await acme.templates.run('back', { checkpoint, arguments: { conflict: 'rename' } });
    const { resources } = await job.result();
    expect(resources).toBeGreaterThan(0);
    const same = await acme.restore(checkpoint, { to: 'silver', conflict: 'rename' });
    await same.result();
    const [record, other] = [await acme.jobs.get(job.id), await acme.jobs.get(same.id)];
    expect(record).toMatchObject({ operation: 'restore', template: { name: 'back', version } });
    expect(record?.input).toEqual(other?.input);
    const given = await failure(async () => (await acme.templates.run('back', { checkpoint })).result());
    expect(given.code).toBe('MAPPING_GAP');
  });

  it('is told what it restores, and a template of a plan is not', async () => {
    await using world = await openBronze([BACK]);
    const { acme, plan } = world;
    const checkpoint = await protect(world);
    await acme.templates.put(SWEEP);
    const before = (await all(acme.jobs.list())).length;
    const wrong = [
      () => acme.templates.run('back', { plan: plan.id }),
      () => acme.templates.run('sweep', { checkpoint }),
      () => acme.templates.run('back', { checkpoint, plan: plan.id } as { checkpoint: typeof checkpoint }),
      () => acme.templates.run('sweep', { checkpoint, plan: plan.id } as { plan: typeof plan.id }),
    ];
    for (const run of wrong) expect(await codeOf(run)).toBe('INVALID_OPTIONS');
    expect((await failure(() => wrong[0]?.())).message).toBe(
      'templates.run: template back is run with a checkpoint',
    );
    expect((await failure(() => wrong[1]?.())).message).toBe(
      'templates.run: template sweep is run with a plan',
    );
    expect(await codeOf(() => acme.templates.run('back', { checkpoint: '../x' as never }))).toBe(
      'INVALID_ID',
    );
    expect(await all(acme.jobs.list())).toHaveLength(before);
  });

  it.each<[string, object, RegExp]>([
    ['an option that a restore does not have', { options: { to: 'gold', level: 'deep' } }, /level/],
    ['no destination', { options: {} }, /to/],
    [
      'options that do not go together',
      { options: { to: 'gold', into: 'existing', conflict: 'skip' } },
      /template back: conflict is for resources that are created/,
    ],
    ['a checkpoint', { options: { to: 'gold', checkpoint: 'c' } }, /checkpoint/],
    ['an option of the job', { options: { to: 'gold', whenBusy: 'wait' } }, /whenBusy/],
  ])('with %s is refused when it is stored', async (_, { options }: { options?: object }, message) => {
    await using world = await openBronze();
    const operation = { name: 'restore', options } as TemplateRequest['operation'];
    const error = await failure(() => world.acme.templates.put({ name: 'back', operation }));
    expect(error).toMatchObject({ code: 'INVALID_OPTIONS', message: expect.stringMatching(message) });
    expect(await all(world.acme.templates.list())).toEqual([]);
  });

  it('is nothing for a schedule, when that is made and when a tick is fired', async () => {
    await using world = await openBronze();
    const { acme, plan } = world;
    await acme.templates.put(BACK);
    const operation = { template: 'back' };
    const error = await failure(() => acme.schedules.create({ plan: plan.id, operation }));
    expect(error).toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringMatching(/template back restores a checkpoint/),
    });
    await acme.templates.put({ ...SWEEP, name: 'back' });
    const { id } = await acme.schedules.create({ plan: plan.id, operation });
    await acme.templates.put(BACK);
    expect(await acme.schedules.fire(id, { event: 'a' })).toMatchObject({
      state: 'missed',
      reason: 'refused',
      error: { code: 'INVALID_OPTIONS' },
    });
    expect(
      await codeOf(() => acme.schedules.create({ plan: plan.id, operation: { name: 'restore' } as never })),
    ).toBe('INVALID_OPTIONS');
  });
});

describe('a schedule of a template', () => {
  const fired = async (
    { acme }: World,
    schedule: Parameters<World['acme']['schedules']['fire']>[0],
    event: string,
  ): Promise<{ readonly tick: ScheduleTick; readonly template: JobTemplateReference | undefined }> => {
    const tick = await acme.schedules.fire(schedule, { event });
    if (tick.state === 'missed') return { tick, template: undefined };
    await acme.jobs.handle(tick.job).result();
    return { tick, template: (await acme.jobs.get(tick.job))?.template };
  };

  it('does at each tick what the template says then', async () => {
    await using world = await openBronze();
    const { acme, plan } = world;
    await protect(world);
    const first = await acme.templates.put(WEEKLY);
    const operation = { template: WEEKLY.name, arguments: { share: 1 } };
    const schedule = await acme.schedules.create({ plan: plan.id, operation });
    expect(schedule.operation).toEqual(operation);
    const before = await fired(world, schedule.id, 'a');
    expect(before.template).toEqual({ name: WEEKLY.name, version: first.version });

    const options = { sample: { $parameter: 'share' } };
    const parameters = { share: { type: 'number' } } as const;
    const second = await acme.templates.put({
      name: WEEKLY.name,
      operation: { name: 'verify', options },
      parameters,
    });
    expect((await fired(world, schedule.id, 'b')).template?.version).toBe(second.version);

    await acme.templates.put({ ...SWEEP, name: WEEKLY.name });
    expect((await fired(world, schedule.id, 'c')).tick).toMatchObject({
      state: 'missed',
      reason: 'refused',
      error: { code: 'INVALID_OPTIONS', message: expect.stringContaining('share is unknown') },
    });
    await acme.templates.remove(WEEKLY.name);
    expect((await fired(world, schedule.id, 'd')).tick).toMatchObject({
      reason: 'refused',
      error: { code: 'NOT_FOUND' },
    });
  });

  it('is refused with an unknown template, and with arguments that it does not take', async () => {
    await using world = await openBronze([WEEKLY]);
    const { acme, plan } = world;
    const create = (operation: { template: string; arguments?: Record<string, number> }) =>
      codeOf(() => acme.schedules.create({ plan: plan.id, operation }));
    expect(await create({ template: 'other' })).toBe('NOT_FOUND');
    expect(await create({ template: WEEKLY.name })).toBe('INVALID_OPTIONS');
    expect(await create({ template: WEEKLY.name, arguments: { share: 0 } })).toBe('INVALID_OPTIONS');
    expect(await all(acme.schedules.list())).toEqual([]);
  });
});
