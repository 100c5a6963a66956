import * as z from 'zod';
import type { AuditAction, Notifier, NotifierRetry } from '../../core/contracts/index.ts';
import { systemClock } from '../../core/clock.ts';
import { FafnirError } from '../../core/errors.ts';
import { parseTenantId } from '../../core/identity.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { signatureOf } from './signature.ts';

export {
  verifyWebhook,
  type VerifyWebhookOptions,
  type WebhookHeaders,
  type WebhookMessage,
} from './verify.ts';

/** A secret, or several while it is changed: `whsec_` and the base64 of 24 to 64 bytes. */
export type WebhookSecret = string | readonly string[];

/** A webhook as a host asks for it. */
export interface WebhookOptions {
  /** Names it in the store; stays the same, whatever its address is. */
  readonly name: string;
  /** Where it is: `https`, or `http` on the loopback interface. */
  readonly url: string;
  /** Asked for each try, and never stored. */
  readonly secret: () => WebhookSecret | Promise<WebhookSecret>;
  /** What it is told of. */
  readonly actions: readonly AuditAction[];
  /** Of which tenant alone; null for what the operators do. Default: all of both. */
  readonly tenant?: string | null;
  /** How long an answer may take, in milliseconds, at most 25,000. Default: 15,000. */
  readonly timeoutMilliseconds?: number;
  /** How often it is tried. */
  readonly retry?: NotifierRetry;
  /** Lets the address be of `http` elsewhere, where anybody on the way can read the messages. Default false. */
  readonly allowPlainHttp?: boolean;
}

const count = z.int().nonnegative().exactOptional();
const optionsSchema = strictOptions({
  name: z.string().min(1).max(255),
  url: z.string().refine((url) => URL.canParse(url), 'not an address'),
  secret: z.custom<WebhookOptions['secret']>((value) => typeof value === 'function', 'must be a function'),
  actions: z.array(z.custom<AuditAction>((value) => typeof value === 'string', 'must be an action')).min(1),
  tenant: z.string().nullable().exactOptional(),
  timeoutMilliseconds: z.int().min(1).max(25_000).exactOptional(),
  retry: strictOptions({
    attempts: z.int().min(1).exactOptional(),
    firstPauseMilliseconds: count,
    longestPauseMilliseconds: count,
  }).exactOptional(),
  allowPlainHttp: z.boolean().exactOptional(),
}) satisfies z.ZodType<WebhookOptions>;

/**
 * A webhook, signed as the Standard Webhooks specification says. A message has arrived when the answer's status is one of 200 to 299;
 * redirects are not followed, and what else the answer says is not read. Give it to `createEngine({ notifiers })`.
 */
export function webhook(options: WebhookOptions): Notifier {
  const asked = parseOptions('webhook', optionsSchema, options);
  const { name, secret, actions, tenant, retry, timeoutMilliseconds = 15_000 } = asked;
  const url = addressOf(asked);
  return {
    contract: 1,
    name,
    actions,
    ...(tenant !== undefined && { tenant: tenant === null ? null : parseTenantId(tenant) }),
    ...(retry && { retry }),
    async deliver({ id, record }, { signal }) {
      signal.throwIfAborted();
      const secrets = [await secretOf(name, secret)].flat();
      const timestamp = String(Math.floor(systemClock.now() / 1_000));
      const at = new Date(record.at).toISOString();
      const body = JSON.stringify({ type: record.action, timestamp: at, data: record });
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'fafnir',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': secrets.map((one) => signatureOf(one, { id, timestamp, body })).join(' '),
      };
      const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMilliseconds)]);
      const status = await post(name, url, { headers, body, signal: limited });
      if (status >= 200 && status < 300) return;
      const hint = status >= 300 && status < 400 ? { hint: 'Give the address that it redirects to.' } : {};
      throw new FafnirError('UNAVAILABLE', `webhook ${name}: the answer was ${status}`, hint);
    },
  };
}

// The path of an address may itself be a secret: messages have the name alone.
async function post(name: string, url: URL, request: RequestInit): Promise<number> {
  let response: Response;
  try {
    response = await fetch(url, { ...request, method: 'POST', redirect: 'manual' });
  } catch (error) {
    const why =
      error instanceof Error && error.name === 'TimeoutError' ? 'no answer in time' : 'no connection';
    throw new FafnirError('UNAVAILABLE', `webhook ${name}: ${why}`, { cause: error });
  }
  await response.body?.cancel().catch(() => undefined);
  return response.status;
}

// What the host's function says of its failure may name the secret.
async function secretOf(name: string, secret: WebhookOptions['secret']): Promise<WebhookSecret> {
  try {
    return await secret();
  } catch (cause) {
    throw new FafnirError('UNAVAILABLE', `webhook ${name}: its secret could not be had`, { cause });
  }
}

function addressOf({ url, allowPlainHttp = false }: WebhookOptions): URL {
  const address = new URL(url);
  const { protocol, hostname, username, password } = address;
  const isLoopback =
    hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  const isAllowed = protocol === 'https:' || (protocol === 'http:' && (isLoopback || allowPlainHttp));
  if (isAllowed && username === '' && password === '') return address;
  throw new FafnirError('INVALID_OPTIONS', 'webhook: url: https without a user is wanted', {
    hint: 'Use https, or http on the loopback interface; allowPlainHttp lets others read the messages.',
  });
}
