import type { Dependencies, Protectable, Resource } from '../contracts/index.ts';
import { errorRecord, FafnirError } from '../errors.ts';

const MOST_TAGS = 256;
const LONGEST_KEY = 1_024;
const LONGEST_TAG = 256;
const LONGEST_TAG_VALUE = 1_024;

// What plugins return is untrusted: it is checked once, where it comes in.

/** Asks a plugin; what it throws becomes the cause of `DISCOVERY_FAILED`. */
export async function asked<Answer>(what: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    throw discoveryFailed(what, error);
  }
}

/** A listing failed: retryable where its cause is. A job's outcome has no cause, so the message says why, and the hint what to do. */
export const discoveryFailed = (what: string, cause: unknown): FafnirError =>
  new FafnirError('DISCOVERY_FAILED', `${what}: ${errorRecord(cause).message}`, {
    cause,
    ...(FafnirError.is(cause) ? { retryable: cause.retryable, hint: cause.hint } : { retryable: false }),
  });

/** A plugin returned what it must not. */
export const wrongAnswer = (type: string, what: string): FafnirError =>
  new FafnirError('WRONG_ANSWER', `the plugin for ${type} broke its contract: ${what}`);

/** Checks the form of what `dependencies` returned, down to the resources. */
export function checkDependencies(answer: Dependencies, { type }: Protectable): void {
  const { resources, edges, failures } = answer ?? {};
  if (!Array.isArray(resources) || !Array.isArray(failures)) {
    throw wrongAnswer(type, 'dependencies returned something else');
  }
  if (edges?.from === undefined || edges.to === undefined) {
    throw wrongAnswer(type, 'dependencies returned no edges');
  }
  if (edges.from.length !== edges.to.length) throw wrongAnswer(type, 'its edge columns differ in length');
  for (const resource of resources) checkResource(resource, type);
  if (!failures.every(isObject)) throw wrongAnswer(type, 'it returned something that is not a failure');
}

/** Checks a list of resources that must be of the plugin's own type. */
export function checkFound(answer: readonly Resource[], { type }: Protectable): void {
  if (!Array.isArray(answer)) throw wrongAnswer(type, 'find returned no list');
  for (const resource of answer) checkOwn(resource, type);
}

/** Checks a resource that must be of the plugin's own type. */
export function checkOwn(resource: Resource, type: string): void {
  checkResource(resource, type);
  if (resource.type !== type) throw wrongAnswer(type, 'it returned a resource of another type');
}

function checkResource(resource: Resource, asked: string): void {
  const valid =
    typeof resource === 'object' &&
    resource !== null &&
    isText(resource.type, LONGEST_KEY) &&
    isText(resource.id, LONGEST_KEY) &&
    typeof resource.name === 'string' &&
    isObject(resource.attributes) &&
    (resource.tags === undefined || areTags(resource.tags));
  if (!valid) throw wrongAnswer(asked, 'it returned something that is not a resource, or has too long tags');
}

const isText = (value: unknown, longest: number): boolean =>
  typeof value === 'string' && value !== '' && value.length <= longest;

const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function areTags(tags: unknown): boolean {
  if (typeof tags !== 'object' || tags === null || Array.isArray(tags)) return false;
  const entries = Object.entries(tags);
  return (
    entries.length <= MOST_TAGS &&
    entries.every(
      ([tag, value]) =>
        isText(tag, LONGEST_TAG) && typeof value === 'string' && value.length <= LONGEST_TAG_VALUE,
    )
  );
}
