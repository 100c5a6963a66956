import * as z from 'zod';
import type { JsonObject, VolumeRef } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { isJsonObject } from '../../json-value.ts';

/** How an answer is refused: names the plugin, and says what is wrong. */
export type Refuse = (what: string, cause?: unknown) => FafnirError;

/** How answers of the plugin are refused that people know by this name, such as `array files`. */
export const refusalOf =
  (plugin: string): Refuse =>
  (what, cause) =>
    new FafnirError('WRONG_ANSWER', `${plugin} broke its contract: ${what}`, { cause });

/**
 * What a plugin answered, in memory of its own but for JSON in it, and without what its contract does not know. Refused
 * where it is of another form, which `what` names.
 */
export function answerOf<Answer>(
  refuse: Refuse,
  what: string,
  schema: z.ZodType<Answer>,
  answer: unknown,
): Answer {
  let parsed: z.ZodSafeParseResult<Answer>;
  try {
    parsed = schema.safeParse(answer);
  } catch (error) {
    // A getter of the answer has thrown.
    throw refuse(`${what} cannot be read`, error);
  }
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue?.path.map(String).join('.') ?? '';
  throw refuse(`${what}: ${path === '' ? '' : `${path}: `}${issue?.message ?? 'is of another form'}`);
}

/** A foreign id. */
export const text: z.ZodType<string> = z.string().min(1).max(1_024);

/** JSON of about so many characters at most. */
export const jsonUpTo = (most: number): z.ZodType<JsonObject> =>
  z.custom<JsonObject>(
    (value) => isJsonObject(value, most),
    `must be a JSON object of at most ${most} characters`,
  );

/** A volume. */
export const volumeRef: z.ZodType<VolumeRef> = z.object({
  array: text,
  id: text,
  size: z.int().nonnegative(),
});
