import type { AuditAction, AuditRecord } from './audit.ts';
import type { CallOptions } from './call.ts';
import type { TenantId } from './identity.ts';

/** A record of an audit as somebody is to hear of it. */
export type NotifierMessage = {
  /** The same for each try, and for each notifier; tells the receiver what it has heard before. */
  readonly id: string;
  /** What was done. */
  readonly record: AuditRecord;
};

/** How often a delivery is tried. The pause after a try is twice that before it, and some of it is left to chance. */
export type NotifierRetry = {
  /** How many tries there are before a notification is dead. Default: 16, which takes about a day. */
  readonly attempts?: number;
  /** The pause after the first try, in milliseconds. Default: 5,000. */
  readonly firstPauseMilliseconds?: number;
  /** No pause is longer than this, in milliseconds. Default: 6 hours. */
  readonly longestPauseMilliseconds?: number;
};

/** Somebody outside who is told what was done, such as a webhook. */
export interface Notifier {
  /** The version of this contract. */
  readonly contract: 1;
  /** Names it in the store, so that it stays the same over restarts and on all hosts; 1 to 255 characters. */
  readonly name: string;
  /** What it is told of. */
  readonly actions: readonly AuditAction[];
  /** Of which tenant alone; null for what the operators do. All of both where it is left out. */
  readonly tenant?: TenantId | null;
  /** How often a delivery is tried. */
  readonly retry?: NotifierRetry;
  /**
   * Delivers a message; resolves when the receiver has it. Any error means that it may not have it: the engine tries again, with
   * the same id. The error's code and message are kept, so they hold no secret. May be called for the same message by two
   * hosts.
   */
  deliver(message: NotifierMessage, call: CallOptions): Promise<void>;
}

/** Names a notification: who is to hear of which record. */
export type NotificationKey = Pick<AuditRecord, 'tenant' | 'number'> & {
  /** The notifier's name. */
  readonly notifier: string;
};

/** A record of which somebody has not heard yet. */
export type NotificationRecord = NotificationKey & {
  /** `waiting`: it is tried, or will be. `dead`: all tries failed. What was delivered is gone. */
  readonly state: 'waiting' | 'dead';
  /** How often it was tried since it was added, or was to be sent again. */
  readonly attempts: number;
  /** Nobody takes it before this time, milliseconds since 1970 UTC. */
  readonly dueAt: number;
  /** Why the last try failed, where one has. */
  readonly error?: NotificationError;
};

/** Why a try failed. */
export type NotificationError = {
  /** The stable code. */
  readonly code: string;
  /** What happened. */
  readonly message: string;
};

/** The right to settle a notification, until another claims it. */
export type NotificationClaim = NotificationRecord & {
  /** How often it was claimed. */
  readonly epoch: number;
  /** What is to be told. */
  readonly record: AuditRecord;
};

/** What became of a try. */
export type NotificationOutcome =
  | {
      /** The receiver has it. */
      readonly state: 'delivered';
    }
  | {
      /** It is tried again, or never. */
      readonly state: NotificationRecord['state'];
      /** When, milliseconds since 1970 UTC. */
      readonly dueAt: number;
      /** Why the try failed. */
      readonly error: NotificationError;
    };

/** Which notifications; all where nothing is said. */
export type NotificationFilter = {
  /** Of whose chain; null for that of the operators. */
  readonly tenant?: TenantId | null;
  /** Whose to deliver. */
  readonly notifier?: string;
  /** What became of them so far. */
  readonly state?: NotificationRecord['state'];
};

/**
 * What is still to be delivered. A record that is added with `notify` adds a notification for each of the names, due at the
 * record's time, in the same transaction. Each method is one, as in `JobStore`.
 */
export interface NotificationStore {
  /**
   * Takes the one that waits, is due at `now` and was due first, for this notifier; then it is due again at `leaseUntil`, so that
   * another host tries it where this one dies. Raises `attempts` and `epoch`. Undefined where there is none.
   */
  claim(request: {
    readonly notifier: string;
    readonly now: number;
    readonly leaseUntil: number;
  }): Promise<NotificationClaim | undefined>;
  /** Records what became of a try; false, and nothing is changed, where it was claimed again, was sent again or is gone. */
  settle(claim: NotificationClaim, outcome: NotificationOutcome): Promise<boolean>;
  /** Those that are not delivered, in ascending order of chain, number and notifier; the operators' chain is first. */
  list(filter: NotificationFilter): AsyncIterable<NotificationRecord>;
  /** Lets a dead one wait again, as if it had never been tried, due at `now`; false where there is no such dead one. */
  resend(key: NotificationKey, now: number): Promise<boolean>;
}
