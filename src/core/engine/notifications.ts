import * as z from 'zod';
import type { Clock, JobStore, NotificationRecord, Notifier } from '../contracts/index.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { parseChain } from './auditing.ts';

/** Which notifications; all where nothing is said. */
export interface NotificationsFilter {
  /** About whom; null for what the operators did. */
  readonly tenant?: string | null;
  /** For which notifier, by its name. */
  readonly notifier?: string;
  /** What became of them so far. */
  readonly state?: NotificationRecord['state'];
}

/** Names a notification. */
export interface NotificationName {
  /** About whom; null for what the operators did. */
  readonly tenant: string | null;
  /** The number of the audit record. */
  readonly number: number;
  /** The notifier's name. */
  readonly notifier: string;
}

const filterSchema = strictOptions({
  tenant: z.string().nullable().exactOptional(),
  notifier: z.string().exactOptional(),
  state: z.enum(['waiting', 'dead']).exactOptional(),
}) satisfies z.ZodType<NotificationsFilter>;
const nameSchema = strictOptions({
  tenant: z.string().nullable(),
  number: z.int().positive(),
  notifier: z.string(),
}) satisfies z.ZodType<NotificationName>;

/** What notifiers have not heard yet, for the operator of an engine. */
export class Notifications {
  readonly #store: JobStore;
  readonly #clock: Clock;

  /** Made by the engine. */
  constructor(store: JobStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** What waits, and what is dead because all tries failed. What was delivered is gone. */
  list(filter: NotificationsFilter = {}): AsyncIterable<NotificationRecord> {
    const { tenant, ...rest } = parseOptions('notifications.list', filterSchema, filter);
    return this.#store.notifications.list({
      ...rest,
      ...(tenant !== undefined && { tenant: parseChain(tenant) }),
    });
  }

  /** Sends a dead one again, now, and as often as a new one; false where there is no such dead one. */
  async resend(which: NotificationName): Promise<boolean> {
    const { tenant, ...rest } = parseOptions('notifications.resend', nameSchema, which);
    return this.#store.notifications.resend({ ...rest, tenant: parseChain(tenant) }, this.#clock.now());
  }
}

const milliseconds = z.int().nonnegative().exactOptional();
const shape = z.looseObject({
  contract: z.literal(1),
  name: z.string().min(1).max(255),
  actions: z.array(z.string()).min(1, 'a notifier is told of an action at least'),
  tenant: z.string().nullable().exactOptional(),
  retry: strictOptions({
    attempts: z.int().min(1).exactOptional(),
    firstPauseMilliseconds: milliseconds,
    longestPauseMilliseconds: milliseconds,
  }).exactOptional(),
  deliver: z.custom((value) => typeof value === 'function', 'must be a function'),
});

/** Notifiers from outside, as they are. */
export const notifiersSchema: z.ZodType<readonly Notifier[]> = z
  .array(
    z.custom<Notifier>((value) => shape.safeParse(value).success, 'must be a notifier of contract version 1'),
  )
  .refine(
    (notifiers) => new Set(notifiers.map(({ name }) => name)).size === notifiers.length,
    'two of them have one name',
  );
