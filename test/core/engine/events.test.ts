import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Engine, Job, JobEvent, JobProgress, JsonObject } from '../../../src/index.ts';
import { FafnirError } from '../../../src/index.ts';
import { SHOP, temporaryDirectory } from './application.ts';
import { Fault, Gate, type Tap } from './taps.ts';
import { all, failure, openWorld, protect, type World } from './world.ts';

const inArchive = (tenant: string): Gate => new Gate((what) => what.startsWith(`bank.put ${tenant}/data/`));
const atTheStart = (): Gate => new Gate((what) => what.startsWith('find ') || what.startsWith('bank.list '));

/** Everything that the engine says of one job's progress. */
function progressOf(engine: Engine): JobProgress[] {
  const heard: JobProgress[] = [];
  engine.on('job.progress', ({ progress }) => heard.push(progress));
  return heard;
}

function expectForwardToTotal(heard: readonly JobProgress[]): void {
  expect(heard.length).toBeGreaterThan(3);
  for (const [at, { items, bytes }] of heard.entries()) {
    const before = heard[at - 1] ?? { items: { done: 0, total: 0 }, bytes: { done: 0, total: 0 } };
    expect(items.done).toBeGreaterThanOrEqual(before.items.done);
    expect(bytes.done).toBeGreaterThanOrEqual(before.bytes.done);
    expect(items.done).toBeLessThanOrEqual(items.total);
    expect(bytes.done).toBeLessThanOrEqual(bytes.total);
  }
  const last = heard.at(-1);
  expect(last?.items.done).toBe(last?.items.total);
  expect(last?.bytes.done).toBe(last?.bytes.total);
}

describe('the events of a job', () => {
  it('end with its end, which is what result() gives', async () => {
    const gate = atTheStart();
    await using world = await openWorld({ tap: gate.tap });
    const job = await world.acme.protect(world.plan.id);
    const listening = all(job.events());
    await gate.reached;
    gate.open();
    const events = await listening;
    const result = await job.result();
    expect(events.filter(({ type }) => type === 'job.ended')).toHaveLength(1);
    expect(events.at(-1)).toEqual({
      type: 'job.ended',
      job: job.id,
      tenant: 'acme',
      outcome: { state: 'succeeded', result },
    });
    const heard = events.flatMap((event) => (event.type === 'job.progress' ? [event.progress] : []));
    expect(heard.at(-1)).toMatchObject({ items: { done: 8, total: 8 } });
    expect(await all(job.events())).toEqual([events.at(-1)]);
  });

  it('end with its failure, or its cancellation', async () => {
    let tap: Tap = new Fault({ matches: (what) => what === 'array.open' }).tap;
    await using world = await openWorld({ tap: (what, run, signal) => tap(what, run, signal) });
    const failing = await world.acme.protect(world.plan.id);
    expect((await all(failing.events())).at(-1)).toMatchObject({
      type: 'job.ended',
      outcome: { state: 'failed', error: { code: 'PLUGIN_FAILED' } },
    });
    const gate = inArchive('acme');
    tap = gate.tap;
    const job = await world.acme.protect(world.plan.id);
    const listening = all(job.events());
    await gate.reached;
    await job.cancel();
    expect((await listening).at(-1)).toMatchObject({ type: 'job.ended', outcome: { state: 'cancelled' } });
  });

  it.each(['protect', 'restore', 'verify'] as const)(
    'say how %s gets on, never backwards, and to its total',
    async (operation) => {
      await using world = await openWorld();
      if (operation === 'protect') {
        const heard = progressOf(world.engine);
        await protect(world);
        expectForwardToTotal(heard);
        return;
      }
      const checkpoint = await protect(world);
      const heard = progressOf(world.engine);
      const { acme } = world;
      const starts: Record<typeof operation, () => Promise<Job<unknown>>> = {
        restore: () => acme.restore(checkpoint, { to: 'silver' }),
        verify: () => acme.verify(checkpoint),
      };
      await (await starts[operation]()).result();
      expectForwardToTotal(heard);
    },
  );

  it('go on after a fault that was tried again, without going back', async () => {
    const fault = new Fault({
      matches: (what) => what.startsWith('bank.put acme/index'),
      at: 2,
      error: () => new FafnirError('UNAVAILABLE', 'busy'),
    });
    await using world = await openWorld({ tap: fault.tap });
    const heard = progressOf(world.engine);
    await protect(world);
    expect(fault.struck).toBe(true);
    expectForwardToTotal(heard);
  });

  it('can be left in the middle, and a signal ends the listening, not the job', async () => {
    const gate = inArchive('acme');
    await using world = await openWorld({ tap: gate.tap });
    const job = await world.acme.protect(world.plan.id);
    const controller = new AbortController();
    const listening = all(job.events({ signal: controller.signal })).then(
      (events) => events,
      (error: unknown) => error,
    );
    await gate.reached;
    const reason = new Error('enough');
    controller.abort(reason);
    gate.open();
    expect(await job.result()).toHaveProperty('checkpoint');
    expect(await listening).toBe(reason);
  });

  it("are not told to another tenant, who has the job's id", async () => {
    const gate = inArchive('acme');
    await using world = await openWorld({ tap: gate.tap });
    const rival = world.engine.for({ tenant: 'rival', actor: 'test' });
    const job = await world.acme.protect(world.plan.id);
    const overheard: JobEvent[] = [];
    const listening = failure(async () => {
      for await (const event of rival.jobs.handle(job.id).events()) overheard.push(event);
    });
    await gate.reached;
    gate.open();
    await job.result();
    expect((await listening).code).toBe('NOT_FOUND');
    expect(overheard).toEqual([]);
  });

  it("are not mixed with those of other tenants' jobs", async () => {
    const gate = inArchive('acme');
    await using world = await openWorld({ tap: gate.tap });
    const rival = world.engine.for({ tenant: 'rival', actor: 'test' });
    const plan = await rival.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const job = await world.acme.protect(world.plan.id);
    const listening = all(job.events());
    await gate.reached;
    await protect({ acme: rival, plan });
    gate.open();
    const events = await listening;
    expect(events.every((event) => event.job === job.id && event.tenant === 'acme')).toBe(true);
  });
});

describe('listeners', () => {
  const warned = async (work: () => Promise<void>): Promise<string[]> => {
    const warnings: string[] = [];
    const hear = (warning: Error): number => warnings.push(warning.message);
    process.on('warning', hear);
    try {
      await work();
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('warning', hear);
    }
    return warnings;
  };

  const TYPES = ['job.started', 'job.progress', 'job.ended', 'checkpoint.committed'] as const;

  it('that throw disturb nothing, and the others hear everything', async () => {
    await using world = await openWorld();
    const heard: string[] = [];
    const warnings = await warned(async () => {
      for (const type of TYPES) {
        world.engine.on(type, () => {
          throw new Error(`thrown at ${type}`);
        });
        world.engine.on(type, () => heard.push(type));
      }
      await protect(world);
    });
    expect(new Set(heard)).toEqual(new Set(TYPES));
    expect(heard.filter((type) => type === 'job.ended')).toHaveLength(1);
    expect(warnings).toContain('thrown at job.ended');
  });

  it('that reject do not bring the host down', async () => {
    await using directory = await temporaryDirectory();
    const fixture = fileURLToPath(new URL('fixtures/rejecting-listener.ts', import.meta.url));
    const child = spawn(process.execPath, [fixture, directory.path], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
    expect({ said, code }).toEqual({ said: 'survived', code: 0 });
  });

  it('end when they were taken away, and only they', async () => {
    await using world = await openWorld();
    const heard: string[] = [];
    const listener = (): number => heard.push('heard');
    const remove = world.engine.on('job.ended', listener);
    world.engine.on('job.ended', listener);
    await protect(world);
    expect(heard).toHaveLength(2);
    remove();
    remove();
    await protect(world);
    expect(heard).toHaveLength(3);
  });
});

describe('an observer', () => {
  const FIELDS: Readonly<Record<string, readonly string[]>> = {
    'job.started': ['job', 'tenant', 'operation', 'attempt'],
    'job.progress': ['job', 'tenant', 'progress'],
    'job.ended': ['job', 'tenant', 'outcome'],
    'checkpoint.committed': ['checkpoint', 'plan', 'state', 'tenant'],
  };
  const SECRET = 'correct-horse-battery';

  async function withSecret(world: World): Promise<void> {
    const file = join(world.path, 'a', 'servers', 'db.json');
    const record = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...record, metadata: { password: SECRET } }));
  }

  it('is told known fields alone, as plain data, and nothing of what was captured', async () => {
    const told: [string, JsonObject][] = [];
    await using world = await openWorld({
      options: { observer: { publish: (channel, message) => void told.push([channel, message]) } },
    });
    await withSecret(world);
    const checkpoint = await protect(world);
    await (await world.acme.restore(checkpoint, { to: 'silver' })).result();
    await failure(async () => (await world.acme.restore('nothing' as never, { to: 'silver' })).result());
    expect(new Set(told.map(([channel]) => channel))).toEqual(new Set(Object.keys(FIELDS)));
    for (const [channel, message] of told) {
      expect(Object.keys(message).sort()).toEqual([...(FIELDS[channel] ?? [])].sort());
      expect(JSON.parse(JSON.stringify(message))).toEqual(message);
    }
    expect(JSON.stringify(told)).not.toContain(SECRET);
  });

  it('that throws disturbs nothing', async () => {
    await using world = await openWorld({
      options: {
        observer: {
          publish: () => {
            throw new Error('thrown by the observer');
          },
        },
      },
    });
    const ended: string[] = [];
    world.engine.on('job.ended', ({ outcome }) => ended.push(outcome.state));
    await protect(world);
    expect(ended).toEqual(['succeeded']);
  });
});
