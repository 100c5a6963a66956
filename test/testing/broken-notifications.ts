import type { JobStore, NotificationStore } from '../../src/core/contracts/index.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import type { BrokenStore } from './broken-stores.ts';

function changing(change: (store: NotificationStore) => Partial<NotificationStore>): () => JobStore {
  return () => {
    const store = memoryStore();
    return { ...store, notifications: { ...store.notifications, ...change(store.notifications) } };
  };
}

/** Doubles with careless notifications that the suite must catch. */
export const BROKEN_NOTIFICATIONS: readonly BrokenStore[] = [
  {
    forgets: 'until when a notification is claimed',
    foundBy: ['is tried again when the lease has ended'],
    create: changing((store) => ({
      claim: (request) => store.claim({ ...request, leaseUntil: request.now }),
    })),
  },
  {
    forgets: 'when a notification is due',
    foundBy: ['none before its time', 'waits for its time'],
    create: changing((store) => ({ claim: (request) => store.claim({ ...request, now: Infinity }) })),
  },
  {
    forgets: 'that another host may have claimed it again',
    foundBy: ['by another epoch'],
    create: changing((store) => ({
      settle: async (claim, outcome) => {
        const epochs = [claim.epoch, claim.epoch + 1, claim.epoch + 2];
        for (const epoch of epochs) if (await store.settle({ ...claim, epoch }, outcome)) return true;
        return false;
      },
    })),
  },
  {
    forgets: 'what is dead',
    foundBy: ['a dead one is never tried'],
    create: changing((store) => ({
      settle: (claim, outcome) =>
        store.settle(claim, outcome.state === 'dead' ? { ...outcome, state: 'waiting' } : outcome),
    })),
  },
  {
    forgets: 'which notifications were asked for',
    foundBy: ['those that are asked for are listed'],
    create: changing((store) => ({ list: () => store.list({}) })),
  },
];
