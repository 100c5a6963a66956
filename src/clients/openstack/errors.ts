import { type ErrorCode, type ErrorFacts, FafnirError } from '../../core/errors.ts';
import { retryAfter } from '../../core/retry-after.ts';
import type { Secrets } from './secrets.ts';
import type { WireAnswer } from './wire.ts';

type Verdict = readonly [code: ErrorCode, facts?: Pick<ErrorFacts, 'retryable' | 'hint'>];

const REFUSED: Verdict = [
  'PLUGIN_FAILED',
  { hint: 'The service refused the request; the message has its words.' },
];
const QUOTA: Verdict = [
  'NO_SPACE',
  { hint: 'Raise the quota of the project, or remove what it no longer needs.' },
];
const ELSEWHERE: Verdict = ['WRONG_ANSWER', { hint: 'Correct the address of the service in the catalog.' }];

const BY_STATUS: Readonly<Record<number, Verdict>> = {
  401: ['ACCESS_DENIED', { hint: 'Check the credentials, and that they are still valid.' }],
  403: ['ACCESS_DENIED', { hint: 'Give the user the role that the service asks for.' }],
  404: ['NOT_FOUND'],
  405: ['UNSUPPORTED'],
  406: ['UNSUPPORTED'],
  408: ['UNAVAILABLE'],
  409: [
    'BUSY',
    { hint: 'Try again when the resource is in another state; the message says in which it is.' },
  ],
  410: ['NOT_FOUND'],
  413: ['LIMIT_EXCEEDED', { hint: 'Ask the service for less at once.' }],
  416: ['OUT_OF_RANGE'],
  429: ['UNAVAILABLE'],
  // Swift's own word for too many requests.
  498: ['UNAVAILABLE'],
  501: ['UNSUPPORTED'],
  507: ['NO_SPACE'],
};

// No pause makes a certificate valid.
const CERTIFICATE = /CERT|SELF_SIGNED|^ERR_TLS/;
// The system's own codes, and those of answers that break off or are no HTTP.
const SOCKET = /^(E(?!RR_)|HPE_|ERR_SSL|UND_ERR_(SOCKET|CONNECT_TIMEOUT|CLOSED|DESTROYED))/;
const NEVER_SENT = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT)$/;
const LONGEST = 512;

/** An answer that is no success as an error of this package; `what` is what was tried. */
export function answerError(what: string, answer: WireAnswer, secrets: Secrets): FafnirError {
  const { status, headers } = answer;
  const said = secrets.hide(messageIn(answer.body)).slice(0, LONGEST);
  const requestId =
    headers['x-openstack-request-id'] ?? headers['x-compute-request-id'] ?? headers['x-trans-id'];
  const [code, facts] = verdictOf(status, said);
  const pause = retryAfter(headers);
  const trace = [`HTTP ${status}`, ...(requestId === undefined ? [] : [requestId])].join(', ');
  return new FafnirError(code, `${what}: ${said === '' ? '' : `${said} `}(${trace})`, {
    ...facts,
    cause: Object.assign(new Error(said), { status, ...(requestId !== undefined && { requestId }) }),
    ...(pause !== undefined && { retryAfterMilliseconds: pause }),
  });
}

/** What came in place of an answer as an error of this package. */
export function wireError(what: string, error: unknown, secrets: Secrets): FafnirError {
  if (FafnirError.is(error)) return error;
  const code = systemCodeOf(error);
  const said = error instanceof Error ? secrets.hide(error.message).slice(0, LONGEST) : '';
  const message = `${what}: ${[code, said].filter((part) => part !== '').join(': ')}`;
  // A copy of what may be shown, since the original may lead to the request.
  const facts = { cause: Object.assign(new Error(said), { code }) };
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return new FafnirError('LIMIT_EXCEEDED', message, facts);
  if (CERTIFICATE.test(code)) {
    const hint = 'Trust the certificate of the service, or renew it.';
    return new FafnirError('UNAVAILABLE', message, { ...facts, retryable: false, hint });
  }
  return new FafnirError(SOCKET.test(code) ? 'UNAVAILABLE' : 'PLUGIN_FAILED', message, facts);
}

/** True where a connection failed in the middle or never came about. */
export function isConnectionFailure(error: unknown): boolean {
  return FafnirError.is(error) && SOCKET.test(systemCodeOf(error.cause));
}

/** True where the service cannot have seen the request. */
export function wasNeverSent(error: unknown): boolean {
  return FafnirError.is(error) && NEVER_SENT.test(systemCodeOf(error.cause));
}

function verdictOf(status: number, said: string): Verdict {
  if ([403, 409, 413].includes(status) && /quota/i.test(said)) return QUOTA;
  if (status === 409 && /already exists|duplicate/i.test(said)) return ['ALREADY_EXISTS'];
  if (status < 400) return ELSEWHERE;
  return BY_STATUS[status] ?? (status < 500 ? REFUSED : ['UNAVAILABLE']);
}

/** Each service has its own way: `{ itemNotFound: { message } }`, `{ errors: [{ detail }] }`, or a page. */
function messageIn(body: unknown): string {
  if (typeof body === 'string') return withoutTags(body);
  if (!isRecord(body)) return '';
  const inner = Array.isArray(body.errors) ? body.errors[0] : Object.values(body).find(isRecord);
  const places = [inner, body].filter(isRecord);
  const found = places.flatMap(({ message, detail, title }) => [message, detail, title]);
  return found.find((one) => typeof one === 'string') ?? '';
}

function withoutTags(page: string): string {
  const body = page.slice(0, 64 * LONGEST).replace(/<head>.*<\/head>/s, '');
  return body
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

function systemCodeOf(error: unknown): string {
  return isRecord(error) && typeof error.code === 'string' ? error.code : '';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
