import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Dispatcher, JobId, StoreTransaction } from '../core/contracts/index.ts';
import { codeOf, rejects } from './job-store/fixtures.ts';
import type { Suite } from './suite.ts';

/** A dispatcher under test, on a database that nobody else uses. */
export interface DispatcherSubject {
  /** Another handle on the same queue or channel, as another process has it. The suite closes it. */
  open(): Promise<Dispatcher>;
  /** Runs `body` in a transaction, which ends with it: rolled back where it rejects. */
  transaction(body: (transaction: StoreTransaction) => Promise<void>): Promise<void>;
  /** Removes what was made. */
  dispose(): Promise<void>;
}

/** What the suite of dispatchers needs to know. */
export interface DispatcherSuiteOptions {
  /** The implementation. */
  readonly name: string;
  /** Makes one for one case. */
  create(): Promise<DispatcherSubject>;
}

const JOB = 'job-1' as JobId;
const FOREVER = new AbortController().signal;
const PAUSE = 100;
/** How long a hint has to arrive that must not. One that is slower is not seen, so that no sound dispatcher fails by it. */
const TIME_TO_ARRIVE = 1_500;

/** The obligations of a Dispatcher. */
export function dispatcherSuite({ name, create }: DispatcherSuiteOptions): Suite {
  const cases: Readonly<
    Record<string, (worker: Dispatcher, host: Dispatcher, of: DispatcherSubject) => Promise<void>>
  > = {
    'a hint wakes a worker of another process, time and again': async (worker, host, of) => {
      for (const _ of [1, 2, 3]) await hinted(worker, host, of);
    },
    'a hint of a transaction that is rolled back wakes nobody': async (worker, host, of) => {
      await hinted(worker, host, of);
      await silence(worker);
      const rolledBack = of.transaction(async (transaction) => {
        await host.notify(JOB, transaction);
        throw new Error('rolled back');
      });
      await assert.rejects(rolledBack, /rolled back/);
      assert.equal(await isWoken(worker), false);
    },
    'a hint wakes nobody before its transaction is committed': async (worker, host, of) => {
      await hinted(worker, host, of);
      await silence(worker);
      await of.transaction(async (transaction) => {
        await host.notify(JOB, transaction);
        assert.equal(await isWoken(worker), false);
      });
      await worker.woken({ signal: FOREVER });
    },
    'a hint that comes while nobody waits is kept': async (worker, host, of) => {
      await hinted(worker, host, of);
      await silence(worker);
      await of.transaction((transaction) => host.notify(JOB, transaction));
      await delay(TIME_TO_ARRIVE);
      await worker.woken({ signal: FOREVER });
    },
    'waiting ends with the reason of its signal, and can be begun again': async (worker, host, of) => {
      const reason = new Error('enough');
      await silence(worker);
      await assert.rejects(worker.woken({ signal: AbortSignal.abort(reason) }), reason);
      const waiting = new AbortController();
      const ended = assert.rejects(worker.woken({ signal: waiting.signal }), reason);
      waiting.abort(reason);
      await ended;
      await hinted(worker, host, of);
    },
    'closing, also twice, ends who waits with CLOSED, and refuses who comes later': async (worker, host) => {
      await silence(worker);
      const waiting = codeOf(worker.woken({ signal: FOREVER }));
      await Promise.all([worker.close(), worker.close()]);
      assert.equal(await waiting, 'CLOSED');
      await rejects(worker.woken({ signal: FOREVER }), 'CLOSED');
      await host[Symbol.asyncDispose]();
      await rejects(host.woken({ signal: FOREVER }), 'CLOSED');
    },
  };
  return {
    name: `Dispatcher: ${name}`,
    cases: Object.entries(cases).map(([obligation, body]) => ({
      name: obligation,
      run: async () => {
        const subject = await create();
        const [worker, host] = [await subject.open(), await subject.open()];
        try {
          await host.open();
          await body(worker, host, subject);
        } finally {
          await worker.close();
          await host.close();
          await subject.dispose();
        }
      },
    })),
  };
}

/** Gives hints until one is heard: those before a worker listens may be lost. */
async function hinted(worker: Dispatcher, host: Dispatcher, of: DispatcherSubject): Promise<void> {
  let isHeard = false;
  const heard = worker.woken({ signal: FOREVER }).then(() => {
    isHeard = true;
  });
  while (!isHeard) {
    await of.transaction((transaction) => host.notify(JOB, transaction));
    await Promise.race([heard, delay(PAUSE)]);
  }
}

/** Takes the hints that are on their way. */
async function silence(worker: Dispatcher): Promise<void> {
  while (await isWoken(worker));
}

async function isWoken(worker: Dispatcher): Promise<boolean> {
  const signal = AbortSignal.timeout(TIME_TO_ARRIVE);
  const waiting = worker.woken({ signal }).then(() => true);
  return await waiting.catch((error: unknown) => {
    if (error === signal.reason) return false;
    throw error;
  });
}
