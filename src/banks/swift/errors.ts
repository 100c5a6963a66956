import { FafnirError } from '../../core/errors.ts';

/** The HTTP status that an error of the client stands for; undefined where there was no answer. */
export function statusOf(error: unknown): number | undefined {
  if (!FafnirError.is(error) || !(error.cause instanceof Error) || !('status' in error.cause))
    return undefined;
  const { status } = error.cause;
  return typeof status === 'number' ? status : undefined;
}

/** A container that is not there: never `NOT_FOUND`, which is said of an object alone. */
export function missingContainer(where: string, cause: unknown): FafnirError {
  return new FafnirError('INVALID_OPTIONS', `${where} does not exist`, {
    cause,
    hint: 'Create the container, or correct the options container, authUrl, region and credentials.',
  });
}
