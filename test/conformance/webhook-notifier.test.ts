import { describe, it } from 'vitest';
import { verifyWebhook, webhook } from '../../src/clients/webhook/index.ts';
import { notifierSuite } from '../../src/testing/notifier-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { accept, newSecret, startReceiver } from '../clients/webhook/receiver.ts';

const suite = notifierSuite({
  name: 'webhook',
  async create() {
    const receiver = await startReceiver();
    const secret = newSecret();
    const answers = {
      accept,
      refuse: (response: { destroy(): unknown }) => response.destroy(),
      hang: () => 0,
    };
    return {
      notifier: webhook({ name: 'a', url: receiver.url, secret: () => secret, actions: ['job.ended'] }),
      received: () =>
        receiver.received.map(({ body, headers }) => {
          const { id, data: record } = verifyWebhook(body, headers, secret);
          return { id, record };
        }),
      answer: (how) => Object.assign(receiver, { answer: answers[how] }),
      dispose: async () => receiver[Symbol.asyncDispose](),
    };
  },
});

registerSuite(suite, { describe, it });
