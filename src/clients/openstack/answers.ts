import type { StandardSchemaV1 } from '@standard-schema/spec';
import { FafnirError } from '../../core/errors.ts';
import { parseOptions } from '../../core/options.ts';

/** What a schema makes of an answer; `WRONG_ANSWER`, saying where, for one that it does not fit. */
export function parseAnswer<Output>(
  what: string,
  schema: StandardSchemaV1<unknown, Output>,
  body: unknown,
): Output {
  try {
    return parseOptions(what, schema, body);
  } catch (error) {
    const said = error instanceof Error ? error.message : what;
    throw new FafnirError('WRONG_ANSWER', `not an answer of OpenStack: ${said}`, {
      hint: 'Check that the address is that of the service, and its version.',
    });
  }
}
