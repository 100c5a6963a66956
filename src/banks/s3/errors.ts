import { type ErrorCode, type ErrorFacts, FafnirError } from '../../core/errors.ts';
import { retryAfter } from '../../core/retry-after.ts';

/** What the SDK's errors carry; none of it is certain. */
type ServiceFailure = {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: unknown; readonly requestId?: unknown };
  readonly $response?: { readonly statusCode?: unknown; readonly headers?: Readonly<Record<string, string>> };
};

type Verdict = readonly [code: ErrorCode, facts?: Pick<ErrorFacts, 'retryable' | 'hint'>];

const BUCKET: Verdict = ['INVALID_OPTIONS', { hint: 'Correct the options bucket, region and endpoint.' }];
const QUOTA: Verdict = ['NO_SPACE', { hint: 'Raise the quota, or remove checkpoints.' }];

// The service's own words. NOT_FOUND is said of an object alone, never of a bucket.
const BY_NAME: Readonly<Record<string, Verdict>> = {
  NoSuchKey: ['NOT_FOUND'],
  NotFound: ['NOT_FOUND'],
  NoSuchVersion: ['NOT_FOUND'],
  NoSuchBucket: BUCKET,
  PermanentRedirect: BUCKET,
  TemporaryRedirect: BUCKET,
  AuthorizationHeaderMalformed: BUCKET,
  IllegalLocationConstraintException: BUCKET,
  InvalidBucketName: BUCKET,
  AccessDenied: ['ACCESS_DENIED'],
  ExpiredToken: ['ACCESS_DENIED'],
  InvalidToken: ['ACCESS_DENIED'],
  TokenRefreshRequired: ['ACCESS_DENIED'],
  // The SDK has learned the service's time from this very answer.
  RequestTimeTooSkewed: ['UNAVAILABLE'],
  QuotaExceeded: QUOTA,
  XMinioStorageFull: ['NO_SPACE'],
  XMinioAdminBucketQuotaExceeded: QUOTA,
  // The S3 interface of Swift has no other word for a quota.
  EntityTooLarge: [
    'LIMIT_EXCEEDED',
    { hint: 'The service takes no object of this size, or has a quota that is used up.' },
  ],
  InvalidRange: ['OUT_OF_RANGE'],
  // The bytes were changed or cut on their way.
  BadDigest: ['UNAVAILABLE'],
  IncompleteBody: ['UNAVAILABLE'],
  RequestTimeout: ['UNAVAILABLE'],
  OperationAborted: ['UNAVAILABLE'],
  ConditionalRequestConflict: ['UNAVAILABLE'],
  NoSuchUpload: ['UNAVAILABLE'],
};

const BY_STATUS: Readonly<Record<number, Verdict>> = {
  301: BUCKET,
  307: BUCKET,
  401: ['ACCESS_DENIED'],
  403: ['ACCESS_DENIED'],
  404: BUCKET,
  408: ['UNAVAILABLE'],
  416: ['OUT_OF_RANGE'],
  429: ['UNAVAILABLE'],
  501: ['UNSUPPORTED'],
  507: ['NO_SPACE'],
};

// No pause makes a certificate valid.
const CERTIFICATE = /CERT|SELF_SIGNED|^ERR_TLS/;
// The system's own codes, and Node's for answers that break off or are no HTTP.
const SOCKET = /^(E(?!RR_)|HPE_|ERR_SSL|ERR_STREAM_PREMATURE_CLOSE)/;
const LONGEST_MESSAGE = 512;

/**
 * An error of the SDK as one of this package, `doing` being what was tried. The cause is a copy of what may be
 * shown: the SDK's own errors lead to the request with its headers, and some answers repeat the session token.
 */
export function asBankError(error: unknown, doing: string, secrets: readonly string[]): FafnirError {
  if (FafnirError.is(error)) return error;
  const failure = failureIn(error);
  const name = nameOf(failure);
  const status = statusOf(error);
  const [code, facts] = BY_NAME[name] ?? (status === undefined ? byConnection(failure) : byStatus(status));
  const said = withoutSecrets(String(failure.message ?? ''), secrets).slice(0, LONGEST_MESSAGE);
  // The SDK's word for an answer without a message.
  const text = said === '' || said === 'UnknownError' ? name : `${name}: ${said}`;
  const requestId = failure.$metadata?.requestId;
  const cause = Object.assign(new Error(said), {
    name,
    $metadata: { httpStatusCode: status, ...(typeof requestId === 'string' && { requestId }) },
  });
  const pause = retryAfter(failure.$response?.headers ?? {});
  return new FafnirError(code, `cannot ${doing}: ${text}`, {
    ...facts,
    cause,
    ...(pause !== undefined && { retryAfterMilliseconds: pause }),
  });
}

/** The name of an error within the answer to a request that as a whole succeeded. */
export function failureOf(name: string | undefined, message: string | undefined): Error {
  return Object.assign(new Error(message ?? ''), {
    name: name ?? 'InternalError',
    $metadata: { httpStatusCode: 200 },
  });
}

/** The service's own word for an error. */
export const nameIn = (error: unknown): string => nameOf(failureIn(error));

/** The HTTP status of an error of the SDK or of its copy; undefined where there was no answer. */
export function statusOf(error: unknown): number | undefined {
  const { $metadata, $response } = failureIn(error);
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** True for an error of this package that stands for an answer with this HTTP status. */
export function wasRefused(error: unknown, status: number): boolean {
  return FafnirError.is(error) && statusOf(error.cause) === status;
}

function failureIn(error: unknown): ServiceFailure {
  return typeof error === 'object' && error !== null ? error : {};
}

function nameOf({ name, code }: ServiceFailure): string {
  // What Node says of sockets is in `code`; `name` is then no more than Error.
  if (typeof code === 'string' && (name === 'Error' || name === undefined)) return code;
  return typeof name === 'string' && name !== '' ? name : 'Error';
}

function byConnection({ name, code }: ServiceFailure): Verdict {
  const said = typeof code === 'string' ? code : '';
  if (CERTIFICATE.test(said)) {
    return ['UNAVAILABLE', { retryable: false, hint: 'Trust the certificate of the endpoint, or renew it.' }];
  }
  return name === 'TimeoutError' || SOCKET.test(said) ? ['UNAVAILABLE'] : ['PLUGIN_FAILED'];
}

function byStatus(status: number): Verdict {
  return BY_STATUS[status] ?? (status >= 400 && status < 500 ? ['PLUGIN_FAILED'] : ['UNAVAILABLE']);
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '[secret]'), text);
}
