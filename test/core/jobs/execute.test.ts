import { describe, expect, it } from 'vitest';
import type { JobStore, JsonObject, StepRow } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import type { Operation, OperationContext } from '../../../src/core/jobs/operation.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { collect } from '../../../src/testing/job-store/fixtures.ts';
import { ManualClock, settled } from './manual-clock.ts';
import { claimOf, enqueue, JOB, LEASE, operationOf, TENANT, untilAborted, work } from './worker.ts';

const closed = new FafnirError('CLOSED', 'the engine was closed');
const unavailable = (): FafnirError => new FafnirError('UNAVAILABLE', 'no answer');

async function jobIn(store: JobStore = memoryStore()): Promise<{ store: JobStore; clock: ManualClock }> {
  await enqueue(store);
  return { store, clock: new ManualClock() };
}

/** A store some of whose appends go another way than the sound one's. */
function appending(
  append: (rows: readonly StepRow[], sound: () => Promise<void>) => Promise<void>,
  sound: JobStore = memoryStore(),
): JobStore {
  return { ...sound, append: (claim, rows, told) => append(rows, () => sound.append(claim, rows, told)) };
}

describe('a step', () => {
  it('that has ended is not run again by the next worker, which gets its result', async () => {
    const { store, clock } = await jobIn();
    const ran: string[] = [];
    const given: unknown[] = [];
    let attempts = 0;
    const operation = operationOf(async (context) => {
      attempts += 1;
      const once = (name: string) => async () => {
        ran.push(name);
        return { name, attempts };
      };
      given.push(await context.step('a', once('a')), await context.effect('b', once('b')));
      if (attempts === 1) await context.effect('c', () => untilAborted(context.signal));
      await context.effect('c', once('c'));
      given.push([...context.results('').keys()].sort(), context.intents());
      return {};
    });
    const first = await work(store, clock, operation);
    await settled();
    first.closing.abort(closed);
    expect(await first.ended).toBe('put-down');
    expect(await (await work(store, clock, operation)).ended).toEqual({ state: 'succeeded', result: {} });
    expect(ran).toEqual(['a', 'b', 'c']);
    const [a, b] = [
      { name: 'a', attempts: 1 },
      { name: 'b', attempts: 1 },
    ];
    expect(given).toEqual([a, b, a, b, ['a', 'b', 'c'], ['b', 'c']]);
  });

  it('with an effect has its intent in the journal before it begins, others have none', async () => {
    const { store, clock } = await jobIn();
    const seen: (readonly StepRow[])[] = [];
    const look = async (): Promise<null> => {
      seen.push(await store.journal(TENANT, JOB));
      return null;
    };
    await (
      await work(
        store,
        clock,
        operationOf(async (context) => {
          await context.step('a', look);
          await context.effect('b', look);
          return {};
        }),
      )
    ).ended;
    const a = { step: 'a', kind: 'result', value: null };
    expect(seen).toEqual([[], [a, { step: 'b', kind: 'intent' }]]);
  });

  it('with an effect that is told is told once, by whichever worker can write its result', async () => {
    const { store, clock } = await jobIn();
    const ran: number[] = [];
    const operation = operationOf(async (context) => {
      const made = await context.toldEffect(
        'make',
        async () => ran.push(context.job.epoch),
        (value) => ({ action: 'checkpoint.committed', object: { checkpoint: `c${value}` } }),
      );
      if (context.job.epoch < 3) await untilAborted(context.signal);
      return { made };
    });
    const told = async (): Promise<unknown[]> =>
      (await collect(store.audit.list(TENANT, {})))
        .filter(({ action }) => action === 'checkpoint.committed')
        .map(({ actor, object }) => ({ actor, ...object }));
    const deaf = appending(async (rows, sound) => {
      if (rows.some(({ kind }) => kind === 'result')) throw unavailable();
      await sound();
    }, store);
    await expect((await work(deaf, clock, operation)).ended).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect([ran, await told()]).toEqual([[1], []]);
    await clock.advance(LEASE + 1);
    const second = await work(store, clock, operation);
    await settled();
    second.closing.abort(closed);
    await second.ended;
    await clock.advance(LEASE + 1);
    expect(await (await work(store, clock, operation)).ended).toMatchObject({ state: 'succeeded' });
    expect(ran).toEqual([1, 2]);
    expect(await told()).toEqual([{ actor: 'test', job: JOB, checkpoint: 'c2' }]);
  });

  it('with an effect does not begin where its intent cannot be written', async () => {
    const { store, clock } = await jobIn(
      appending(([row], sound) => (row?.kind === 'intent' ? Promise.reject(unavailable()) : sound())),
    );
    let began = false;
    const operation = operationOf(async (context) => {
      await context.effect('a', async () => {
        began = true;
        return null;
      });
      return {};
    });
    await (await work(store, clock, operation)).ended.catch(() => undefined);
    expect(began).toBe(false);
  });

  it.each(['step', 'effect'] as const)('of a name that was used is refused: %s', async (kind) => {
    const { store, clock } = await jobIn();
    const operation = operationOf(async (context) => {
      await context.step('a', async () => 1);
      await context[kind]('a', async () => 2);
      return {};
    });
    const error = expect.objectContaining({ code: 'JOURNAL_MISMATCH', message: 'two steps are named a' });
    expect(await (await work(store, clock, operation)).ended).toEqual({ state: 'failed', error });
  });

  it('that fails with a retryable error is tried three times, with pauses', async () => {
    const { store, clock } = await jobIn();
    let tries = 0;
    const operation = operationOf(async (context) => {
      await context.effect('a', async () => {
        tries += 1;
        throw unavailable();
      });
      return {};
    });
    const worker = await work(store, clock, operation);
    await settled();
    expect(tries).toBe(1);
    await clock.advance(249);
    expect(tries).toBe(1);
    await clock.advance(1);
    expect(tries).toBe(2);
    await clock.advance(499);
    expect(tries).toBe(2);
    await clock.advance(1);
    expect(await worker.ended).toMatchObject({
      state: 'failed',
      error: { code: 'UNAVAILABLE', retryable: true },
    });
    expect(tries).toBe(3);
  });

  it('that succeeds the second time goes on with that', async () => {
    const { store, clock } = await jobIn();
    let tries = 0;
    const operation = operationOf(async (context) => ({
      value: await context.effect('a', async () => {
        tries += 1;
        if (tries === 1) throw unavailable();
        return tries;
      }),
    }));
    const worker = await work(store, clock, operation);
    await clock.advance(250);
    expect(await worker.ended).toEqual({ state: 'succeeded', result: { value: 2 } });
  });

  it('is not needed to try a reading again, of which nothing is journaled', async () => {
    const { store, clock } = await jobIn();
    let tries = 0;
    const read = async (): Promise<number> => {
      tries += 1;
      if (tries === 1) throw unavailable();
      return tries;
    };
    const operation = operationOf(async (context) => ({ value: await context.retry(read) }));
    const worker = await work(store, clock, operation);
    await clock.advance(250);
    expect(await worker.ended).toEqual({ state: 'succeeded', result: { value: 2 } });
    expect((await store.journal(TENANT, JOB)).map(({ step }) => step)).toEqual(['done']);
  });

  it('that takes too long is aborted and tried again, as its policy says', async () => {
    const { store, clock } = await jobIn();
    const reasons: unknown[] = [];
    const operation = operationOf(async (context) => {
      await context.effect('make/a', ({ signal }) =>
        untilAborted(signal).catch((reason: unknown) => {
          reasons.push(reason);
          throw reason;
        }),
      );
      return {};
    });
    const policies = { make: { attempts: 2, timeoutMilliseconds: 700, firstPauseMilliseconds: 100 } };
    const worker = await work(store, clock, operation, policies);
    await clock.advance(699);
    expect(reasons).toEqual([]);
    await clock.advance(1 + 100 + 700);
    expect(await worker.ended).toMatchObject({ state: 'failed', error: { code: 'UNAVAILABLE' } });
    expect(reasons).toEqual(Array(2).fill(expect.objectContaining({ code: 'UNAVAILABLE' })));
  });

  it('that does not end when it is aborted is not waited for', async () => {
    const { store, clock } = await jobIn();
    const operation = operationOf(async (context) => {
      await context.effect('make/a', () => new Promise<null>(() => undefined));
      return {};
    });
    const worker = await work(store, clock, operation, { make: { timeoutMilliseconds: 700 } });
    await clock.advance(700 + 5_000);
    expect(await worker.ended).toMatchObject({ state: 'failed', error: { code: 'PLUGIN_FAILED' } });
  });

  it.each<[string, unknown]>([
    ['final', new FafnirError('NOT_FOUND', 'gone')],
    ['foreign', new Error('odd')],
    ['no error at all', undefined],
  ])('that fails with an error that is %s is not tried again', async (_, error) => {
    const { store, clock } = await jobIn();
    let tries = 0;
    const operation = operationOf(async (context) => {
      await context.step('a', async () => {
        tries += 1;
        throw error;
      });
      return {};
    });
    const code = FafnirError.is(error) ? error.code : 'PLUGIN_FAILED';
    expect(await (await work(store, clock, operation)).ended).toMatchObject({
      state: 'failed',
      error: { code },
    });
    expect(tries).toBe(1);
  });

  it('has ended before the undoing of another begins', async () => {
    const { store, clock } = await jobIn();
    const order: string[] = [];
    const operation = operationOf(
      async (context) => {
        const slow = context.effect('slow', async () => {
          await settled();
          order.push('slow ended');
          return null;
        });
        const fails = context.effect('fails', async () => {
          throw new FafnirError('NOT_FOUND', 'gone');
        });
        await Promise.all([slow, fails]);
        return {};
      },
      { undo: async (context) => void order.push(`undo ${context.intents().join()}`) },
    );
    await (await work(store, clock, operation)).ended;
    expect(order).toEqual(['slow ended', 'undo slow,fails']);
  });
});

describe('a worker that another has replaced', () => {
  it('stops without undoing, and the other one goes on', async () => {
    const { store, clock } = await jobIn();
    let undone = 0;
    let attempts = 0;
    const operation = operationOf(
      async (context) => {
        attempts += 1;
        await context.effect('a', async () => {
          if (attempts === 1) await claimAfterLease(store, clock);
          return attempts;
        });
        return {};
      },
      {
        undo: async () => {
          undone += 1;
        },
      },
    );
    const worker = await work(store, clock, operation);
    expect(await worker.ended).toBe('unaccounted');
    expect(undone).toBe(0);
    expect(worker.events.filter(({ type }) => type === 'job.ended')).toEqual([]);
    expect(await store.get(TENANT, JOB)).toMatchObject({ state: 'running', epoch: 2 });
    expect(await store.journal(TENANT, JOB)).toEqual([{ step: 'a', kind: 'intent' }]);
  });

  // As another worker does when this one's lease has run out by its clock.
  async function claimAfterLease(store: JobStore, clock: ManualClock): Promise<void> {
    const now = clock.now() + LEASE + 1;
    expect(await store.claim({ now, leaseUntil: now + LEASE, job: JOB })).toBeDefined();
  }

  it('learns it at the next heartbeat, while a step is under way', async () => {
    const { store, clock } = await jobIn();
    let undone = 0;
    const operation = operationOf(
      async (context) => {
        await context.effect('a', () => untilAborted(context.signal));
        return {};
      },
      {
        undo: async () => {
          undone += 1;
        },
      },
    );
    const worker = await work(store, clock, operation);
    await settled();
    await claimAfterLease(store, clock);
    await clock.advance(LEASE / 3);
    expect(await worker.ended).toBe('unaccounted');
    expect(undone).toBe(0);
  });
});

describe('a job whose end is asked for', () => {
  const until = (ends: { undo: unknown[] }): Operation =>
    operationOf(
      async (context) => {
        await context.effect('a', () => untilAborted(context.signal));
        return {};
      },
      { undo: async ({ signal, intents }) => void ends.undo.push([signal.aborted, intents()]) },
    );

  it('in this process is undone at once', async () => {
    const { store, clock } = await jobIn();
    const ends = { undo: [] };
    const worker = await work(store, clock, until(ends));
    await settled();
    worker.cancelled.abort(new FafnirError('CANCELLED', 'job job-1 was cancelled'));
    expect(await worker.ended).toMatchObject({ state: 'cancelled', error: { code: 'CANCELLED' } });
    expect(ends.undo).toEqual([[false, ['a']]]);
  });

  it('through the store is undone at the next heartbeat', async () => {
    const { store, clock } = await jobIn();
    const ends = { undo: [] };
    const worker = await work(store, clock, until(ends));
    await settled();
    expect(await store.requestCancel(TENANT, JOB)).toBe(true);
    await clock.advance(LEASE / 3);
    expect(await worker.ended).toMatchObject({ state: 'cancelled' });
    expect(ends.undo).toEqual([[false, ['a']]]);
  });

  it('before anybody took it up begins no step', async () => {
    const { store, clock } = await jobIn();
    await store.requestCancel(TENANT, JOB);
    const ends = { undo: [] };
    expect(await (await work(store, clock, until(ends))).ended).toMatchObject({ state: 'cancelled' });
    expect(ends.undo).toEqual([[false, []]]);
  });

  it('after its success stays a success', async () => {
    const { store, clock } = await jobIn();
    const undo = async (): Promise<never> => {
      throw new Error('undone');
    };
    const operation = operationOf(async () => ({ made: 1 }), {
      undo,
      settle: async ({ signal }, result) => {
        await store.requestCancel(TENANT, JOB);
        worker.cancelled.abort(new FafnirError('CANCELLED', 'too late'));
        await clock.advance(LEASE / 3);
        return { ...result, aborted: signal.aborted };
      },
    });
    const worker = await work(store, clock, operation);
    expect(await worker.ended).toEqual({ state: 'succeeded', result: { made: 1, aborted: false } });
  });
});

describe('which way a job went', () => {
  const counting = (
    counts: Record<string, number>,
    run: (context: OperationContext) => Promise<JsonObject>,
  ): Operation => {
    const count = (name: string): void => {
      counts[name] = (counts[name] ?? 0) + 1;
    };
    return operationOf(
      (context) => {
        count('run');
        return run(context);
      },
      {
        settle: async ({ signal }, result) => {
          count('settle');
          if (counts.settle === 1 && counts.close === 1) await untilAborted(signal);
          return result;
        },
        undo: async ({ signal }) => {
          count('undo');
          if (counts.undo === 1 && counts.close === 1) await untilAborted(signal);
        },
      },
    );
  };

  it.each([true, false])('is kept by the worker that takes over (success: %s)', async (success) => {
    const { store, clock } = await jobIn();
    const counts: Record<string, number> = { close: 1 };
    const operation = counting(counts, async () => {
      if (!success) throw new FafnirError('NOT_FOUND', 'gone');
      return {};
    });
    const first = await work(store, clock, operation);
    await settled();
    first.closing.abort(closed);
    expect(await first.ended).toBe('put-down');
    const outcome = await (await work(store, clock, operation)).ended;
    expect(outcome).toMatchObject({ state: success ? 'succeeded' : 'failed' });
    expect(counts).toEqual({ close: 1, run: 1, [success ? 'settle' : 'undo']: 2 });
  });

  it('is failed with both errors where undoing fails', async () => {
    const { store, clock } = await jobIn();
    const fail = (code: 'NOT_FOUND' | 'ACCESS_DENIED', message: string) => async (): Promise<never> => {
      throw new FafnirError(code, message);
    };
    const operation = operationOf(fail('NOT_FOUND', 'gone'), { undo: fail('ACCESS_DENIED', 'locked') });
    expect(await (await work(store, clock, operation)).ended).toMatchObject({
      state: 'failed',
      error: { code: 'NOT_FOUND', message: 'gone; undoing it failed: locked' },
    });
  });

  it('is not undoing where the store wrote the success and its answer was lost', async () => {
    let lost = 0;
    const { store, clock } = await jobIn(
      appending(async (rows, sound) => {
        await sound();
        if (rows.some(({ step }) => step === 'done') && lost++ === 0) throw unavailable();
      }),
    );
    const counts: Record<string, number> = {};
    const worker = await work(
      store,
      clock,
      counting(counts, async () => ({})),
    );
    await clock.advance(LEASE / 2);
    const outcome = await worker.ended.catch(() => undefined);
    expect(counts.undo).toBeUndefined();
    expect(outcome).not.toMatchObject({ state: 'failed' });
  });

  it('is not failure where the store wrote a result and its answer was lost', async () => {
    let lost = 0;
    const { store, clock } = await jobIn(
      appending(async ([row], sound) => {
        await sound();
        if (row?.step === 'a' && row.kind === 'result' && lost++ === 0) throw unavailable();
      }),
    );
    const operation = operationOf(async (context) => ({ a: await context.effect('a', async () => 1) }));
    const worker = await work(store, clock, operation);
    await clock.advance(LEASE / 2);
    const outcome = await worker.ended.catch(() => undefined);
    expect(outcome).not.toMatchObject({ state: 'failed' });
  });

  it.each<[string, unknown]>([
    ['an object without a prototype', Object.create(null)],
    ['an object that is no text', { toString: 'no function' }],
  ])('is failure also for what cannot be written as text: %s', async (_, thrown) => {
    const { store, clock } = await jobIn();
    const operation = operationOf(async () => {
      throw thrown;
    });
    const outcome = await (await work(store, clock, operation)).ended;
    expect(outcome).toMatchObject({ state: 'failed', error: { code: 'PLUGIN_FAILED' } });
  });
});

describe('a job whose journal cannot be written', () => {
  const failingOnce = (error: FafnirError): JobStore => {
    let failed = false;
    return appending(async (rows, sound) => {
      if (failed || !rows.some(({ step, kind }) => step === 'make' && kind === 'result')) return sound();
      failed = true;
      throw error;
    });
  };
  const making = (ran: string[]): Operation =>
    operationOf(
      async (context) => {
        const beside = context.step('beside', () =>
          ran.includes('make') ? Promise.resolve(0) : untilAborted(context.signal),
        );
        const made = await context.effect('make', async () => ran.push('make'));
        return { made, beside: await beside };
      },
      { undo: async () => void ran.push('undo') },
    );

  it('stays for the next claim where the store may answer again', async () => {
    const { store, clock } = await jobIn(failingOnce(unavailable()));
    const ran: string[] = [];
    const worker = await work(store, clock, making(ran));
    await expect(worker.ended).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await store.get(TENANT, JOB)).toMatchObject({ state: 'running' });
    expect(worker.events.filter(({ type }) => type === 'job.ended')).toEqual([]);
    await clock.advance(LEASE + 1);
    const outcome = await (await work(store, clock, making(ran))).ended;
    expect(outcome).toEqual({ state: 'succeeded', result: { made: 2, beside: 0 } });
    expect(ran).toEqual(['make', 'make']);
  });

  it('fails where the store refuses for good', async () => {
    const error = new FafnirError('ACCESS_DENIED', 'read-only');
    const { store, clock } = await jobIn(failingOnce(error));
    const worker = await work(store, clock, making([]));
    expect(await worker.ended).toBe('unaccounted');
    expect(await store.get(TENANT, JOB)).toMatchObject({
      state: 'failed',
      outcome: { error: { code: 'ACCESS_DENIED' } },
    });
  });

  it('has in it what its steps came to before a row that was waited for', async () => {
    const { store, clock } = await jobIn();
    const operation = operationOf(async (context) => {
      await context.step('read', async () => 1);
      expect(await store.journal(TENANT, JOB)).toEqual([]);
      await context.effect('make', async () => 2);
      expect((await store.journal(TENANT, JOB)).map(({ step }) => step)).toEqual(['read', 'make', 'make']);
      return {};
    });
    expect(await (await work(store, clock, operation)).ended).toEqual({ state: 'succeeded', result: {} });
  });
});

describe('a worker that dies at any write', () => {
  // Each effect has two: its intent with the result of the step before it, and its result. The last tells the way.
  const writes = 7;

  const steps = (ran: string[]): Operation =>
    operationOf(
      async (context) => {
        let sum = 0;
        for (const name of ['a', 'b', 'c']) {
          sum += await context.step(`${name}/read`, async () => ran.push(`${name}/read`) && 1);
          sum += await context.effect(`${name}/make`, async () => ran.push(`${name}/make`) && 10);
        }
        return { sum };
      },
      { undo: async () => void ran.push('undo') },
    );

  it('may do so at as many writes as there are', async () => {
    let appends = 0;
    const { store, clock } = await jobIn(
      appending((_rows, sound) => {
        appends += 1;
        return sound();
      }),
    );
    await (await work(store, clock, steps([]))).ended;
    expect(appends).toBe(writes);
  });

  it.each(
    Array.from(
      { length: writes },
      (_, at) =>
        [
          [at, 'before'],
          [at, 'after'],
        ] as const,
    ).flat(),
  )('leaves the job to one that ends it: write %i, %s it', async (dies, when) => {
    let appends = 0;
    let dead = false;
    const sound = memoryStore();
    const dying: JobStore = {
      ...sound,
      append: async (claim, added) => {
        dead ||= appends === dies && when === 'before';
        appends += 1;
        if (!dead) await sound.append(claim, added);
        dead ||= appends === dies + 1;
        if (dead) throw new FafnirError('FENCED', 'the process is gone');
      },
    };
    await enqueue(sound);
    const clock = new ManualClock();
    const ran: string[] = [];
    const operation = steps(ran);
    expect(await (await work(dying, clock, operation)).ended).toBe('unaccounted');
    const written = (await sound.journal(TENANT, JOB)).filter(({ kind }) => kind === 'result');
    await clock.advance(LEASE + 1);
    const second = await (await work(sound, clock, operation)).ended;
    expect(second).toEqual({ state: 'succeeded', result: { sum: 33 } });
    expect(ran).not.toContain('undo');
    for (const { step } of written.filter(({ step: name }) => name !== 'done'))
      expect(ran.filter((name) => name === step)).toEqual([step]);
    expect(new Set(ran).size).toBe(6);
    await expect(claimOf(sound, clock)).rejects.toThrow();
  });
});
