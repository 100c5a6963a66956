import assert from 'node:assert/strict';
import type { AuditRecord, Notifier, NotifierMessage, TenantId } from '../core/contracts/index.ts';
import type { Suite } from './suite.ts';

/** A notifier under test, with its receiver. */
export interface NotifierSubject {
  /** Tells the receiver. */
  readonly notifier: Notifier;
  /** What the receiver was sent, in order, whatever it answered. */
  received(): readonly NotifierMessage[];
  /** What the receiver does from now on; at first it accepts. `hang`: it gives no answer. */
  answer(how: 'accept' | 'refuse' | 'hang'): void;
  /** Ends the receiver. */
  dispose(): Promise<void>;
}

/** What the suite of notifiers needs to know. */
export interface NotifierSuiteOptions {
  /** The implementation. */
  readonly name: string;
  /** Makes one for one case. */
  create(): Promise<NotifierSubject>;
}

const record: AuditRecord = {
  tenant: 'acme' as TenantId,
  number: 7,
  at: 1_700_000_000_000.5,
  actor: 'ops \u00e9 \u{1f409}',
  action: 'job.ended',
  object: { job: 'j1', operation: 'protect' },
  reason: '"quoted"',
  outcome: { state: 'failed', code: 'NO_SPACE' },
  previous: '0'.repeat(64),
  hash: 'f'.repeat(64),
};
const MESSAGE: NotifierMessage = { id: 'msg_1', record };
const forever = (): AbortSignal => new AbortController().signal;

/** The obligations of a Notifier. */
export function notifierSuite({ name, create }: NotifierSuiteOptions): Suite {
  const cases: Readonly<Record<string, (subject: NotifierSubject) => Promise<void>>> = {
    'what was delivered the receiver has, as it was': async ({ notifier, received }) => {
      await notifier.deliver(MESSAGE, { signal: forever() });
      assert.deepEqual(received(), [MESSAGE]);
    },
    'a repeat has the same id': async ({ notifier, received }) => {
      for (const _ of [1, 2]) await notifier.deliver(MESSAGE, { signal: forever() });
      assert.deepEqual(received(), [MESSAGE, MESSAGE]);
    },
    'what the receiver refuses was not delivered, and may be later': async (subject) => {
      subject.answer('refuse');
      await assert.rejects(subject.notifier.deliver(MESSAGE, { signal: forever() }));
      subject.answer('accept');
      await subject.notifier.deliver(MESSAGE, { signal: forever() });
      assert.ok(subject.received().length >= 1);
    },
    'an abort ends a delivery that gets no answer': async (subject) => {
      subject.answer('hang');
      const stop = new AbortController();
      const delivered = subject.notifier.deliver(MESSAGE, { signal: stop.signal });
      stop.abort(new Error('enough'));
      await assert.rejects(delivered);
    },
    'what is aborted before it begins is not sent': async ({ notifier, received }) => {
      await assert.rejects(notifier.deliver(MESSAGE, { signal: AbortSignal.abort(new Error('enough')) }));
      assert.deepEqual(received(), []);
    },
  };
  return {
    name: `Notifier: ${name}`,
    cases: Object.entries(cases).map(([obligation, body]) => ({
      name: obligation,
      run: async () => {
        const subject = await create();
        try {
          await body(subject);
        } finally {
          await subject.dispose();
        }
      },
    })),
  };
}
