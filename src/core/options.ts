import type { StandardSchemaV1 } from '@standard-schema/spec';
import * as z from 'zod';
import { FafnirError } from './errors.ts';

/** An object schema that refuses unknown options and names the valid ones. */
export function strictOptions<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const valid = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown option ${issue.keys.join(', ')}; the valid options are ${valid}`
        : undefined,
  });
}

/**
 * Checks a value that came from outside against any Standard Schema, and returns what the schema made of it.
 * `where` names the function for the message, such as `filesystemBank`.
 */
export function parseOptions<Output>(
  where: string,
  schema: StandardSchemaV1<unknown, Output>,
  value: unknown,
): Output {
  const outcome = schema['~standard'].validate(value);
  if (outcome instanceof Promise) {
    // What it comes to is of no interest any more, and its failure must not end the process.
    outcome.catch(() => undefined);
    throw new FafnirError('INVALID_OPTIONS', `${where}: its schema validates asynchronously`);
  }
  if (outcome.issues === undefined) return outcome.value;
  const issues = outcome.issues.map((issue) => {
    const path = (issue.path ?? [])
      .map((part) => String(typeof part === 'object' ? part.key : part))
      .join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
  throw new FafnirError('INVALID_OPTIONS', `${where}: ${issues.join('; ')}`);
}
