import * as z from 'zod';
import type { TemplateArgument, TemplateCall } from '../contracts/index.ts';
import { parseOptions, strictOptions } from '../options.ts';

/** A template by its name, with what is given for its parameters. */
export interface TemplateUse {
  /** The template's name. */
  readonly template: string;
  /** By the names of parameters; those that have a default may be left out. Default: none. */
  readonly arguments?: Readonly<Record<string, TemplateArgument>>;
}

/** What can be given for a parameter. */
export const argument: z.ZodType<TemplateArgument> = z.union([z.string(), z.number(), z.boolean()]);

const useSchema = strictOptions({
  template: z.string(),
  arguments: z.record(z.string(), argument).default({}),
}) satisfies z.ZodType<TemplateCall>;

/** The use of a template from outside, or `INVALID_OPTIONS`. */
export const parseTemplateUse = (where: string, use: unknown): TemplateCall =>
  parseOptions(where, useSchema, use);
