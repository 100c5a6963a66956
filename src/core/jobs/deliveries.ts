import type {
  Clock,
  JobStore,
  NotificationClaim,
  NotificationError,
  Notifier,
  NotifierRetry,
} from '../contracts/index.ts';
import { briefRecord, errorRecord } from '../errors.ts';
import type { EngineEvent } from '../events.ts';
import { unlessAborted } from '../unless-aborted.ts';

// How soon a notification is noticed.
const LOOK_PAUSE = 1_000;
// A try that takes longer has failed. Until the lease ends, no other host tries.
const TRY_MILLISECONDS = 30_000;
const LEASE_MILLISECONDS = 60_000;
const USUAL: Required<NotifierRetry> = {
  attempts: 16,
  firstPauseMilliseconds: 5_000,
  longestPauseMilliseconds: 6 * 60 * 60 * 1_000,
};

/** What deliveries work with. */
export interface DeliveriesOptions {
  /** Where what is to be delivered is. */
  readonly store: Pick<JobStore, 'notifications'>;
  /** Who is told. */
  readonly notifiers: readonly Notifier[];
  /** The time. */
  readonly clock: Clock;
  /** Chance, from 0 to 1. */
  readonly random: () => number;
  /** Tells the host. */
  emit(event: EngineEvent): void;
}

/**
 * Delivers notifications, for each notifier one after the other, so that one that does not answer holds up no other. Any number
 * of hosts may do so on one store. What is delivered by a process that dies before it has said so is delivered again.
 */
export class Deliveries {
  readonly #options: DeliveriesOptions;
  readonly #closing = new AbortController();
  #working: Promise<unknown> = Promise.resolve();

  constructor(options: DeliveriesOptions) {
    this.#options = options;
  }

  /** Begins to deliver. */
  start(): void {
    this.#working = Promise.all(this.#options.notifiers.map((notifier) => this.#work(notifier)));
  }

  /** Resolves when nothing is being delivered, and nothing will be; what was under way is tried again soon. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#working;
  }

  async #work(notifier: Notifier): Promise<void> {
    const { clock, emit } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const isBusy = await this.#deliverNext(notifier).catch((error: unknown) => {
        emit({ type: 'worker.failed', error: errorRecord(error) });
        return false;
      });
      if (!isBusy) await clock.sleep(LOOK_PAUSE, { signal }).catch(() => undefined);
    }
  }

  // False where nothing is due.
  async #deliverNext(notifier: Notifier): Promise<boolean> {
    const { store, clock } = this.#options;
    const now = clock.now();
    const request = { notifier: notifier.name, now, leaseUntil: now + LEASE_MILLISECONDS };
    const claim = await store.notifications.claim(request);
    if (claim === undefined) return false;
    try {
      await this.#try(notifier, claim);
    } catch (error) {
      await this.#failed(notifier, claim, error);
      return true;
    }
    await store.notifications.settle(claim, { state: 'delivered' });
    return true;
  }

  async #try(notifier: Notifier, { record }: NotificationClaim): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(TRY_MILLISECONDS)]);
    const message = { id: `msg_${record.hash.slice(0, 32)}`, record };
    await unlessAborted(notifier.deliver(message, { signal }), signal);
  }

  async #failed(notifier: Notifier, claim: NotificationClaim, reason: unknown): Promise<void> {
    const { store, clock, random, emit } = this.#options;
    const { attempts, firstPauseMilliseconds, longestPauseMilliseconds } = { ...USUAL, ...notifier.retry };
    const { code, message } = briefRecord(reason);
    const error: NotificationError = { code, message };
    const now = clock.now();
    // It is not the receiver's fault.
    if (this.#closing.signal.aborted) {
      await store.notifications.settle(claim, { state: 'waiting', dueAt: now, error });
      return;
    }
    const pause = Math.min(longestPauseMilliseconds, firstPauseMilliseconds * 2 ** (claim.attempts - 1));
    const state = claim.attempts < attempts ? 'waiting' : 'dead';
    const dueAt = now + Math.ceil(pause * (0.5 + random() / 2));
    const isSettled = await store.notifications.settle(claim, { state, dueAt, error });
    if (!isSettled || state === 'waiting') return;
    const { tenant, number } = claim;
    emit({ type: 'notification.dead', notifier: notifier.name, tenant, number, error });
  }
}
