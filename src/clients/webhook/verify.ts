import type { AuditRecord } from '../../core/contracts/index.ts';
import { systemClock } from '../../core/clock.ts';
import { FafnirError } from '../../core/errors.ts';
import { isSignedBy } from './signature.ts';

const TOLERANCE = 300_000;

/** What a webhook tells. */
export interface WebhookMessage {
  /** The same for each try: a receiver that has seen it has heard the message before. */
  readonly id: string;
  /** What was done. */
  readonly type: AuditRecord['action'];
  /** When, as ISO 8601. */
  readonly timestamp: string;
  /** The record of the audit. */
  readonly data: AuditRecord;
}

/** Headers of a request: those of the web's `Request`, or of Node's `IncomingMessage`. */
export type WebhookHeaders =
  | Pick<Headers, 'get'>
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** How a receiver verifies. */
export interface VerifyWebhookOptions {
  /** How much older or newer than now a message may be, in milliseconds. Default: 5 minutes. */
  readonly tolerance?: number;
  /** The time, milliseconds since 1970 UTC. Default: the machine's. */
  readonly now?: number;
}

/**
 * The message of a request, for a receiver that has the secret, or several while it is changed. `body` is as it came: parsed
 * and written again it has another signature. `ACCESS_DENIED` where it was not signed by any of them, or is too old or too
 * new: answer with 401.
 */
export function verifyWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  { tolerance = TOLERANCE, now = systemClock.now() }: VerifyWebhookOptions = {},
): WebhookMessage {
  const id = headerOf(headers, 'webhook-id');
  const timestamp = headerOf(headers, 'webhook-timestamp');
  const header = headerOf(headers, 'webhook-signature');
  if (!/^\d{1,15}$/.test(timestamp) || Math.abs(Number(timestamp) * 1_000 - now) > tolerance) {
    throw denied('its time is none, or too far from now');
  }
  const secrets = typeof secret === 'string' ? [secret] : secret;
  if (!isSignedBy(secrets, header, { id, timestamp, body })) throw denied('it was not signed by the secret');
  const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
  return { ...(JSON.parse(text) as Omit<WebhookMessage, 'id'>), id };
}

function headerOf(headers: WebhookHeaders, name: string): string {
  const value = typeof headers.get === 'function' ? headers.get(name) : Reflect.get(headers, name);
  if (typeof value === 'string' && value !== '') return value;
  throw denied(`it has no header ${name}`);
}

const denied = (why: string): FafnirError =>
  new FafnirError('ACCESS_DENIED', `the webhook is refused: ${why}`, {
    hint: 'Check the secret and the clocks of sender and receiver; answer with 401.',
  });
