import type { ErrorRecord } from './contracts/job.ts';

/** A stable error code; {@link ERROR_CODES} has the hint of each. */
export type ErrorCode =
  | 'ACCESS_DENIED'
  | 'ALREADY_EXISTS'
  | 'BUSY'
  | 'CANCELLED'
  | 'CLOSED'
  | 'CORRUPT'
  | 'CYCLE'
  | 'DISCOVERY_FAILED'
  | 'DRIFTED'
  | 'DUPLICATE_NAME'
  | 'FENCED'
  | 'HELD'
  | 'INCONSISTENT'
  | 'INVALID_ID'
  | 'INVALID_KEY'
  | 'INVALID_OPTIONS'
  | 'JOURNAL_MISMATCH'
  | 'LIMIT_EXCEEDED'
  | 'LOCKED'
  | 'MAPPING_GAP'
  | 'NO_SNAPSHOT'
  | 'NO_SPACE'
  | 'NO_STRATEGY'
  | 'NOT_AVAILABLE'
  | 'NOT_FOUND'
  | 'NOT_ONE_INSTANT'
  | 'NOT_PROVEN'
  | 'NOT_SERVING'
  | 'OUT_OF_RANGE'
  | 'PLUGIN_FAILED'
  | 'QUOTA_EXCEEDED'
  | 'REFUSED_BY_POLICY'
  | 'UNAVAILABLE'
  | 'UNKNOWN_ARRAY'
  | 'UNKNOWN_KEY'
  | 'UNKNOWN_PROVIDER'
  | 'UNKNOWN_TYPE'
  | 'UNSUPPORTED'
  | 'WRONG_ANSWER';

/**
 * Every code an error of this package can carry, with the two things a caller needs when the thrower knew no
 * better: whether trying again can help, and what to do. Codes are stable: they are added, never renamed.
 */
export const ERROR_CODES: Readonly<Record<ErrorCode, Required<Pick<ErrorFacts, 'retryable' | 'hint'>>>> = {
  ACCESS_DENIED: {
    retryable: false,
    hint: 'Check the permissions of the account or directory named in the message.',
  },
  ALREADY_EXISTS: { retryable: false, hint: 'Choose another name, or remove what holds this one.' },
  BUSY: {
    retryable: true,
    hint: 'Another job works on the resource; try again when it has ended, or let this one queue.',
  },
  CANCELLED: { retryable: false, hint: 'The operation was cancelled; start it again if it is still wanted.' },
  CLOSED: { retryable: false, hint: 'The engine or handle was closed; create a new one.' },
  CORRUPT: {
    retryable: false,
    hint: 'The stored data does not match its digest; restore from another copy.',
  },
  CYCLE: { retryable: false, hint: 'Make one of the references in the path a resource of its own.' },
  DISCOVERY_FAILED: {
    retryable: false,
    hint: 'Repair what the cause names: an incomplete graph is not protected.',
  },
  DRIFTED: { retryable: false, hint: 'The application changed since the preview; preview again.' },
  DUPLICATE_NAME: {
    retryable: false,
    hint: 'Names and types must be unique: remove or rename one of the two.',
  },
  FENCED: {
    retryable: false,
    hint: 'Another worker took this job over; its outcome is the one that counts.',
  },
  HELD: { retryable: false, hint: 'Lift the holds on the checkpoint first, if you may.' },
  INCONSISTENT: {
    retryable: false,
    hint: 'Let the application be paused, put its volumes on one array with group snapshots, or let the policy degrade.',
  },
  INVALID_ID: {
    retryable: false,
    hint: 'Use 1 to 120 of A-Z a-z 0-9 . _ - and begin with a letter or digit.',
  },
  INVALID_KEY: {
    retryable: false,
    hint: 'Bank keys are segments of A-Z a-z 0-9 . _ = - joined by single slashes.',
  },
  INVALID_OPTIONS: { retryable: false, hint: 'Correct the option that the message names.' },
  JOURNAL_MISMATCH: {
    retryable: false,
    hint: 'The operation code changed under a running job; start a new job.',
  },
  LIMIT_EXCEEDED: {
    retryable: false,
    hint: 'The object is larger than this reader accepts; it is not one of ours.',
  },
  LOCKED: {
    retryable: false,
    hint: 'Wait until the lock of the bank has ended: nobody can remove it before.',
  },
  MAPPING_GAP: {
    retryable: false,
    hint: 'Map every resource that the message lists to one that exists there.',
  },
  NO_SNAPSHOT: {
    retryable: false,
    hint: 'The array has no snapshot of the volume any more; protect it again, and archive that.',
  },
  NO_SPACE: { retryable: true, hint: 'Free space on the device that the message names.' },
  NO_STRATEGY: {
    retryable: false,
    hint: 'Add a strategy that can handle the volume, or leave the volume out.',
  },
  NOT_AVAILABLE: { retryable: false, hint: 'Only available checkpoints can be restored or verified.' },
  NOT_FOUND: { retryable: false, hint: 'Check the id in the message, and that it belongs to this tenant.' },
  NOT_ONE_INSTANT: {
    retryable: true,
    hint: 'The volumes were written during the snapshot; pause the application.',
  },
  NOT_PROVEN: {
    retryable: true,
    hint: 'The copy did not read back as written; it does not count as a copy.',
  },
  NOT_SERVING: {
    retryable: false,
    hint: 'What was restored did not come up; the message has what its probe saw.',
  },
  OUT_OF_RANGE: { retryable: false, hint: 'Read inside the size of the object or volume.' },
  PLUGIN_FAILED: { retryable: false, hint: 'The cause is the error of the plugin that the message names.' },
  QUOTA_EXCEEDED: {
    retryable: false,
    hint: 'Remove what is no longer wanted, collect to give back its bytes, or have the quota raised.',
  },
  REFUSED_BY_POLICY: {
    retryable: false,
    hint: 'Ask for what the policy of the level in the message allows.',
  },
  UNAVAILABLE: { retryable: true, hint: 'Try again when the service or device in the message answers.' },
  UNKNOWN_ARRAY: { retryable: false, hint: 'Give the provider a part with this array.' },
  UNKNOWN_KEY: {
    retryable: false,
    hint: 'Give the key provider the key-encryption key that the message names.',
  },
  UNKNOWN_PROVIDER: { retryable: false, hint: 'Use one of the providers that createEngine was given.' },
  UNKNOWN_TYPE: { retryable: false, hint: 'Give the provider a part that protects this type.' },
  UNSUPPORTED: { retryable: false, hint: 'Use a plugin whose capabilities include what was asked.' },
  WRONG_ANSWER: {
    retryable: false,
    hint: 'A plugin broke its contract; report it to the maker of the plugin.',
  },
};

/** What may be said of an error beside its code and message. */
export interface ErrorFacts {
  /** The error that led to this one. */
  readonly cause?: unknown;
  /** Overrides the code's own answer where the thrower knows better. */
  readonly retryable?: boolean;
  /** How long the one that refused asks to be left alone, in milliseconds. */
  readonly retryAfterMilliseconds?: number;
  /** Overrides the code's own hint where a better one is known. */
  readonly hint?: string;
}

const MARKER = Symbol.for('fafnir.error');

/** The one error class of this package. Recognise it by {@link FafnirError.is}, tell cases apart by `code`. */
export class FafnirError extends Error {
  /** The class, for logs. */
  override readonly name = 'FafnirError';
  /** What went wrong, as a stable code. */
  readonly code: ErrorCode;
  /** True when the same call may succeed later without a change by the caller. */
  readonly retryable: boolean;
  /** What to do about it, as one sentence. */
  readonly hint: string;
  /** How long the one that refused asks to be left alone, in milliseconds; undefined where it said nothing. */
  readonly retryAfterMilliseconds: number | undefined;

  // Marks the class across copies of the package, where `instanceof` fails.
  static {
    Object.defineProperty(FafnirError.prototype, MARKER, { value: true });
  }

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, 'cause' in facts ? { cause: facts.cause } : undefined);
    this.code = code;
    this.retryable = facts.retryable ?? ERROR_CODES[code].retryable;
    this.hint = facts.hint ?? ERROR_CODES[code].hint;
    this.retryAfterMilliseconds = facts.retryAfterMilliseconds;
  }

  /** True for an error of this class, also of another installed copy; with `code`, for that code only. */
  static is(value: unknown, code?: ErrorCode): value is FafnirError {
    if (typeof value !== 'object' || value === null || !(MARKER in value)) return false;
    return code === undefined || ('code' in value && value.code === code);
  }

  /** The value as a FafnirError: itself if it is one, else wrapped as `code` with the value as cause. */
  static from(value: unknown, code: ErrorCode, message: string): FafnirError {
    if (FafnirError.is(value)) return value;
    const detail = describe(value);
    return new FafnirError(code, `${message}: ${detail}`, { cause: value });
  }
}

/** An error as plain data, for records and events: its code, message and hint, and nothing of the stack. */
export function errorRecord(value: unknown): ErrorRecord {
  const { code, message, retryable, hint } = FafnirError.from(value, 'PLUGIN_FAILED', 'unexpected error');
  return { code, message, retryable, hint };
}

const LONGEST_BRIEF = 1_024;

/** An error as plain data of bounded size, for records of which there may be many. */
export function briefRecord(value: unknown): ErrorRecord {
  const { code, message, retryable, hint } = errorRecord(value);
  return { code, message: message.slice(0, LONGEST_BRIEF), retryable, hint: hint.slice(0, LONGEST_BRIEF) };
}

// Plugins may throw anything, also what refuses to become text.
function describe(value: unknown): string {
  if (value instanceof Error) return value.message;
  return typeof value === 'object' || typeof value === 'function' ? typeof value : String(value);
}

/** The error of a record. */
export function errorOf({ code, message, retryable, hint }: ErrorRecord): FafnirError {
  const known = code in ERROR_CODES ? (code as ErrorCode) : 'PLUGIN_FAILED';
  return new FafnirError(known, message, { retryable, hint });
}

/** An error that says more, for people: what its failure leaves behind. */
export function withMore(error: unknown, more: readonly string[]): FafnirError {
  const { code, message, retryable, hint } = FafnirError.from(error, 'PLUGIN_FAILED', 'unexpected error');
  return new FafnirError(code, [message, ...more].join('; '), { cause: error, retryable, hint });
}
