import assert from 'node:assert/strict';
import type {
  CallOptions,
  ConnectRequest,
  CreateRequest,
  JsonObject,
  Protectable,
  Resource,
  ResourceKey,
  Surroundings,
} from '../../core/contracts/index.ts';
import { type ErrorCode, FafnirError } from '../../core/errors.ts';
import type { ProtectableFixture } from './obligation.ts';

/** A call whose caller stays. */
export const live: CallOptions = { signal: new AbortController().signal };
/** Nothing has this id. */
export const NOBODY = 'fafnir-nobody';
/** The token of a creation; another for each, since a system may outlive the run. */
export const newToken = (): string => crypto.randomUUID().replaceAll('-', '');

/** The ids of all that is listed, in order. */
export async function listedIds({ protectable }: ProtectableFixture): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { id } of protectable.list(live)) ids.push(id);
  return ids.sort();
}

/** Finds the resource of the fixture. */
export async function original({ protectable, resource }: ProtectableFixture): Promise<Resource> {
  const [found, ...others] = await protectable.find([resource.id], live);
  assert.ok(found !== undefined && others.length === 0, `${resource.id} is not found, or not once`);
  return found;
}

/** Its description. */
export const describedBy = (
  { protectable }: ProtectableFixture,
  { type, id }: ResourceKey,
): Promise<JsonObject> => protectable.capture({ type, id }, live);

/** What a second one is to have in common with the original. */
export function sameness({ same }: ProtectableFixture, description: JsonObject): unknown {
  if (same !== undefined) return same(description);
  const { id: _, ...rest } = description;
  return rest;
}

const surroundingsIn = (fixture: ProtectableFixture, token: string): Surroundings => ({
  resolve: (one) => one,
  address: (one) => fixture.address?.(one, token) ?? one,
});

/** What a creation is asked for with. */
export function requestFor(fixture: ProtectableFixture, token: string): CreateRequest {
  const { joined, maps } = fixture.protectable;
  return {
    token,
    ...(maps && { names: { of: (_: string, one: string) => one } }),
    ...(joined && { surroundings: surroundingsIn(fixture, token) }),
  };
}

/** Makes the resource again, whole and joined. */
export async function makeAgain(
  fixture: ProtectableFixture,
  token: string,
  more: Partial<CreateRequest> = {},
): Promise<Resource> {
  const description = await describedBy(fixture, fixture.resource);
  const made = await fixture.protectable.create(
    description,
    { ...requestFor(fixture, token), ...more },
    live,
  );
  await join(fixture, made, token);
  return made;
}

/** What something made is joined and probed with. */
export async function connectionOf(fixture: ProtectableFixture, token: string): Promise<ConnectRequest> {
  const description = await describedBy(fixture, fixture.resource);
  const { names } = requestFor(fixture, token);
  return { token, description, ...surroundingsIn(fixture, token), ...(names && { names }) };
}

/** Joins what was made. */
export async function join(fixture: ProtectableFixture, made: Resource, token: string): Promise<void> {
  const { type, id } = made;
  await fixture.protectable.connect({ type, id }, await connectionOf(fixture, token), live);
}

/** Does work, then removes what has the token, whatever came of the work. */
export async function withToken(
  { protectable }: { readonly protectable: Protectable },
  work: (token: string) => Promise<void>,
): Promise<void> {
  const token = newToken();
  try {
    await work(token);
  } finally {
    await protectable.remove({ token }, live);
  }
}

/** Asserts that a call is refused with one of these codes. */
export async function refuses(
  what: string,
  work: () => unknown,
  ...codes: readonly ErrorCode[]
): Promise<void> {
  const [outcome] = await Promise.allSettled([(async () => work())()]);
  assert.ok(outcome.status === 'rejected', `${what}: was not refused`);
  const known = codes.some((code) => FafnirError.is(outcome.reason, code));
  assert.ok(known, `${what}: wanted ${codes.join(' or ')}, got ${String(outcome.reason)}`);
}
