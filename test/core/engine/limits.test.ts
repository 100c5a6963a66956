import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { Clock, EngineOptions, NewPlan } from '../../../src/index.ts';
import { createEngine } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { DISK, HOST, type Hosts, System } from './hosts.ts';
import { failure } from './world.ts';

// Jobs look soon again whether what they wait for is free.
const clock: Clock = {
  ...systemClock,
  sleep: (milliseconds, call) => systemClock.sleep(milliseconds <= 500 ? 1 : milliseconds, call),
};
const key = (id: string) => ({ type: HOST, id });

/** Protects hosts of systems in jobs of their own at once, each a tenant's; what the jobs came to when all have ended. */
async function protectAll(
  jobs: readonly { readonly system: System; readonly hosts: readonly string[]; readonly tenant?: string }[],
  options: Partial<EngineOptions> = {},
  plan: Partial<NewPlan> = {},
): Promise<readonly string[]> {
  const providers = [...new Set(jobs.map(({ system }) => system.provider))];
  await using engine = await createEngine({ store: memoryStore(), providers, clock, ...options });
  const started = await Promise.all(
    jobs.map(async ({ system, hosts, tenant = 'acme' }, at) => {
      const session = engine.for({ tenant, actor: 'test' });
      const { name: provider } = system.provider;
      const asked = { name: `plan ${at}`, provider, resources: hosts.map(key), ...plan };
      return session.protect((await session.plans.create(asked)).id, { whenBusy: 'wait' });
    }),
  );
  const ended = await Promise.allSettled(started.map((job) => job.result()));
  return ended.map((one) => (one.status === 'fulfilled' ? one.value.state : String(one.reason)));
}

/** So many hosts, each with a disk or more of its own on one array. */
const rowOf = (count: number, disks = 1, array = 'a'): Hosts =>
  Object.fromEntries(
    Array.from({ length: count }, (_, at) => [
      `h${at}`,
      { disks: Array.from({ length: disks }, (_, disk) => `${array}/${at}-${disk}`) },
    ]),
  );
const names = (hosts: Hosts): string[] => Object.keys(hosts);

describe('the limits of an engine', () => {
  it('hold over all jobs of a tenant, for each type and array, and all jobs end', async () => {
    const hosts = rowOf(12, 2);
    const of = { concurrency: 2, archived: true };
    const systems = ['one', 'two'].map((name) => new System(hosts, { ...of, name }));
    const jobs = systems.flatMap((system, at) =>
      [0, 3, 6, 9].map((first) => ({
        system,
        hosts: names(hosts).slice(first, first + 3),
        tenant: `tenant-${at}`,
      })),
    );
    const states = await protectAll(jobs, { limits: { perTenant: 4, perType: 3, types: { [DISK]: 2 } } });
    expect(new Set(states)).toEqual(new Set(['available']));
    for (const { most, paused, snapshots } of systems) {
      expect(most).toMatchObject({ any: 4, [HOST]: 3, [DISK]: 2, 'array a': 2 });
      expect([paused.size, snapshots.length]).toEqual([0, 0]);
    }
  });

  it.each([1, 2, 5])('let all jobs end where one tenant may make %i calls at once', async (perTenant) => {
    const hosts = rowOf(5, 2);
    const system = new System(hosts, { archived: true });
    const jobs = names(hosts).map((host) => ({ system, hosts: [host] }));
    const states = await protectAll(jobs, { limits: { perTenant, perType: 1 } });
    expect(new Set(states)).toEqual(new Set(['available']));
    expect(system.most.any).toBeLessThanOrEqual(perTenant);
    expect(system.most).toMatchObject({ [HOST]: 1, [DISK]: 1, 'array a': 1, paused: 1 });
  });

  it('do not keep a pause from ending', async () => {
    const hosts: Hosts = Object.fromEntries(
      ['a', 'b', 'c', 'd', 'e'].map((id) => [id, { disks: [`${id}/1`] }]),
    );
    const system = new System(hosts);
    const held = Promise.withResolvers<void>();
    let [isEnding, isFull] = [false, false];
    system.before = async (call) => {
      if (call === 'unquiesce a') {
        // Now another job takes the only place of the tenant, and keeps it.
        isEnding = true;
        for (let turn = 0; turn < 1_000 && !isFull; turn += 1) await setImmediate();
      } else if (isEnding && !call.startsWith('unquiesce')) {
        isFull = true;
        await held.promise;
      }
    };
    const running = protectAll(
      names(hosts).map((host) => ({ system, hosts: [host] })),
      { limits: { perTenant: 1 } },
    );
    while (!system.log.includes('end a')) await setImmediate();
    expect(isFull).toBe(true);
    held.resolve();
    expect(await running).toEqual(names(hosts).map(() => 'available'));
  });
});

describe('an array that takes one call at once', () => {
  it('has nobody paused while it finishes snapshots that it has called taken', async () => {
    const hosts = rowOf(3);
    const system = new System(hosts, { tells: true });
    const paused: number[] = [];
    system.before = async (call) => {
      if (!call.startsWith('finish')) return;
      for (let turn = 0; turn < 1_000 && system.paused.size > 0; turn += 1) await setImmediate();
      for (let turn = 0; turn < 50; turn += 1) await setImmediate();
      paused.push(system.paused.size);
    };
    const states = await protectAll([{ system, hosts: names(hosts) }]);
    expect(states).toEqual(['available']);
    expect(paused).toEqual([0, 0, 0]);
  });

  it.each([
    ['one job', [6]],
    ['two jobs', [3, 3]],
    ['six jobs', [1, 1, 1, 1, 1, 1]],
  ])('has one of six hosts paused at once, in %s', async (_, sizes) => {
    const hosts = rowOf(6, 2);
    const system = new System(hosts);
    let next = 0;
    const jobs = sizes.map((size) => {
      next += size;
      return { system, hosts: names(hosts).slice(next - size, next) };
    });
    const states = await protectAll(jobs);
    expect(new Set(states)).toEqual(new Set(['available']));
    expect(system.most).toMatchObject({ paused: 1, snapshot: 1 });
    const turns = names(hosts).map((host, at) => [
      `pause ${host}`,
      `snapshot a/${at}-0 a/${at}-1`,
      `end ${host}`,
    ]);
    for (let at = 0; at < system.log.length; at += 3)
      expect(turns).toContainEqual(system.log.slice(at, at + 3));
    expect(system.log).toHaveLength(18);
  });

  it('has hosts with disks on others too paused apart', async () => {
    const hosts = { both: { disks: ['a/1', 'b/1'] }, left: { disks: ['a/2'] }, right: { disks: ['b/2'] } };
    const system = new System(hosts);
    const states = await protectAll(names(hosts).map((host) => ({ system, hosts: [host] })));
    expect(new Set(states)).toEqual(new Set(['available']));
    const [from, to] = [system.log.indexOf('pause both'), system.log.indexOf('end both')];
    expect(system.log.slice(from, to + 1).toSorted()).toEqual(
      ['pause both', 'snapshot a/1', 'snapshot b/1', 'end both'].toSorted(),
    );
  });

  it.each(['fail', 'continue'] as const)(
    'ends the job where one of six snapshots fails, to %s',
    async (onFailure) => {
      const hosts = rowOf(6);
      const system = new System(hosts);
      let failed = false;
      const after: string[] = [];
      system.before = async (call) => {
        if (failed) after.push(call);
        if (!call.startsWith('snapshot ') || failed) return;
        failed = true;
        throw new Error('no snapshot');
      };
      const states = await protectAll([{ system, hosts: names(hosts) }], {}, { onFailure });
      expect(states).toEqual([onFailure === 'fail' ? expect.stringMatching(/no snapshot/) : 'partial']);
      expect([system.paused.size, system.snapshots.length]).toEqual([0, onFailure === 'fail' ? 0 : 5]);
      // Nobody is paused for a job that has failed already.
      if (onFailure === 'fail') expect(after.filter((call) => /^(quiesce|snapshot)/.test(call))).toEqual([]);
    },
  );

  it('takes no more snapshots for a job that has failed, of hosts that are not paused', async () => {
    const hosts = rowOf(3);
    const system = new System(hosts, { pausable: false });
    system.before = (call) =>
      call.startsWith('snapshot ') ? Promise.reject(new Error('no snapshot')) : Promise.resolve();
    expect(await protectAll([{ system, hosts: names(hosts) }])).toEqual([
      expect.stringMatching(/no snapshot/),
    ]);
    expect(system.log).toHaveLength(1);
  });
});

describe('hosts that depend on each other and are paused together', () => {
  const inOrder = (log: readonly string[], first: string, second: string): boolean =>
    log.indexOf(first) !== -1 && log.indexOf(first) < log.indexOf(second);

  it('begin with the dependant, end with what it depends on, and take their turns on one array', async () => {
    const hosts = {
      front: { hosts: ['middle'], disks: ['a/front'] },
      middle: { hosts: ['back'], disks: ['a/middle'] },
      back: { disks: ['a/back'] },
    };
    const system = new System(hosts);
    expect(await protectAll([{ system, hosts: ['front'] }])).toEqual(['available']);
    expect(system.log.filter((line) => !line.startsWith('snapshot'))).toEqual([
      'pause front',
      'pause middle',
      'pause back',
      'end back',
      'end middle',
      'end front',
    ]);
    for (const host of names(hosts)) {
      expect(inOrder(system.log, `pause ${host}`, `snapshot a/${host}`)).toBe(true);
      expect(inOrder(system.log, `snapshot a/${host}`, `end ${host}`)).toBe(true);
    }
    expect(system.most).toMatchObject({ paused: 3, snapshot: 1 });
  });

  it('through one that has no disks and is not paused', async () => {
    const hosts = {
      front: { hosts: ['link'], disks: ['a/1'] },
      link: { hosts: ['back'] },
      back: { disks: ['a/2'] },
    };
    const system = new System(hosts);
    expect(await protectAll([{ system, hosts: ['front'] }])).toEqual(['available']);
    expect(system.log.filter((line) => !line.startsWith('snapshot'))).toEqual([
      'pause front',
      'pause back',
      'end back',
      'end front',
    ]);
  });

  it.each([
    { concurrency: 1, tells: false },
    { concurrency: 2, tells: false },
    { concurrency: 1, tells: true },
  ])(
    'in any graph and any jobs, with room for $concurrency groups (tells: $tells), neither wait for ever nor too early',
    async ({ concurrency, tells }) => {
      const graphs = fc.record({
        // For each host the hosts before it that it depends on, and its disks, some of which it shares.
        hosts: fc.array(
          fc.record({
            on: fc.array(fc.nat({ max: 7 }), { maxLength: 2 }),
            disks: fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.nat({ max: 9 })), {
              minLength: 1,
              maxLength: 2,
            }),
          }),
          { minLength: 2, maxLength: 8 },
        ),
      });
      const property = fc.asyncProperty(graphs, async ({ hosts: drawn }) => {
        const hosts: Hosts = Object.fromEntries(
          drawn.map(({ on, disks }, at) => [
            `h${at}`,
            {
              hosts: [...new Set(on.filter((other) => other < at).map((other) => `h${other}`))],
              disks: [...new Set(disks.map(([array, disk]) => `${array}/${disk}`))],
            },
          ]),
        );
        const system = new System(hosts, { concurrency, tells });
        if (tells) system.before = () => setImmediate();
        // Each host by itself with all that it depends on: jobs that share a volume follow each other.
        const jobs = [
          names(hosts),
          ...names(hosts)
            .slice(-2)
            .map((host) => [host]),
        ];
        const states = await protectAll(jobs.map((of) => ({ system, hosts: of })));
        expect(states).toEqual(jobs.map(() => 'available'));
        expect(system.paused.size).toBe(0);
        expect(system.most['array a'] ?? 0).toBeLessThanOrEqual(concurrency);
        expect(system.most['array b'] ?? 0).toBeLessThanOrEqual(concurrency);
      });
      await fc.assert(property, { numRuns: 60 });
    },
  );

  it('in one job keep the order of pauses in any graph', async () => {
    const edges = fc.array(fc.tuple(fc.nat({ max: 6 }), fc.nat({ max: 6 })), { maxLength: 12 });
    const property = fc.asyncProperty(edges, async (pairs) => {
      const hosts: Hosts = Object.fromEntries(
        Array.from({ length: 7 }, (_, at) => [
          `h${at}`,
          {
            hosts: [...new Set(pairs.flatMap(([a, b]) => (a > b && a === at ? [`h${b}`] : [])))],
            disks: [
              `a/${at}`,
              ...pairs.flatMap(([a, b]) => (a < b && (a === at || b === at) ? [`a/${a}-${b}`] : [])),
            ],
          },
        ]),
      );
      const system = new System(hosts);
      expect(await protectAll([{ system, hosts: names(hosts) }])).toEqual(['available']);
      for (const [host, { hosts: on = [] }] of Object.entries(hosts)) {
        for (const other of on) {
          expect(inOrder(system.log, `pause ${host}`, `pause ${other}`)).toBe(true);
          expect(inOrder(system.log, `end ${other}`, `end ${host}`)).toBe(true);
        }
      }
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('are protected where they bear data of their own beside the volumes that they group', async () => {
    const system = new System({ front: { hosts: ['back'] }, back: { disks: ['a/1'] } }, { bearing: true });
    expect(await protectAll([{ system, hosts: ['front'] }])).toEqual(['available']);
    expect(system.snapshots.map(({ volume }) => volume.id).sort()).toEqual(['a/1', 'own/back', 'own/front']);
  });
});

describe('a job that waits for another that holds the array', () => {
  it.each(['cancelled', 'closed'])('pauses nobody, also when it is %s', async (how) => {
    const hosts = rowOf(2);
    const system = new System(hosts);
    const held = Promise.withResolvers<void>();
    system.before = (call) => (call === 'snapshot a/0-0' ? held.promise : Promise.resolve());
    const engine = await createEngine({
      store: memoryStore(),
      providers: [system.provider],
      clock,
    });
    const session = engine.for({ tenant: 'acme', actor: 'test' });
    const start = async (host: string) => {
      const plan = await session.plans.create({ name: host, provider: 'sim', resources: [key(host)] });
      return session.protect(plan.id);
    };
    const first = await start('h0');
    while (!system.log.includes('snapshot a/0-0')) await setImmediate();
    const second = await start('h1');
    // Until it has nothing left to do but to wait.
    for (let turn = 0; turn < 300; turn += 1) await setImmediate();
    if (how === 'cancelled') {
      expect(await second.cancel()).toBe(true);
      held.resolve();
      await first.result();
      await engine.close();
    } else {
      const lost = Promise.all([first, second].map((job) => failure(() => job.result())));
      const closing = engine.close();
      held.resolve();
      await closing;
      expect((await lost).map(({ code }) => code)).toEqual(['CLOSED', 'CLOSED']);
    }
    expect(system.paused.size).toBe(0);
    expect(system.log).toEqual(['pause h0', 'snapshot a/0-0', 'end h0']);
  });
});
