import { createHash } from 'node:crypto';
import * as z from 'zod';
import type {
  Json,
  JsonObject,
  JobTemplate,
  TemplateArgument,
  TemplateCall,
  TemplateParameter,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { isId } from '../identity.ts';
import { encodeJson } from '../json-text.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { type AskedRestore, parseRestoreOptions } from './restore-options.ts';
import { type CheckedCall, parsePlanOperation } from './schedule-options.ts';
import { argument } from './template-use.ts';

const LARGEST_TEMPLATE = 16 * 1024;
const PARAMETER = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;

/** A template as a host or a tenant writes it. */
export interface TemplateRequest {
  /** Unique within the tenant: 1 to 120 of `A-Z a-z 0-9 . _ -`, the first a letter or digit. */
  readonly name: string;
  /** For people. Default: none. */
  readonly description?: string;
  /** What is done, with a plan or with a checkpoint. */
  readonly operation: {
    /** The operation: one that a schedule knows, or `restore`. */
    readonly name: JobTemplate['operation']['name'];
    /** Its options; anywhere in them `{ $parameter: 'share' }` stands for the argument of that name. Default: none. */
    readonly options?: JsonObject;
  };
  /** What is left open; each is used in the options. Default: nothing. */
  readonly parameters?: Readonly<Record<string, TemplateParameter>>;
}

/** What a template comes to with its arguments. */
export type FilledTemplate =
  | CheckedCall
  | {
      /** As `session.restore`. */
      readonly name: 'restore';
      /** All but the checkpoint. */
      readonly options: AskedRestore;
    };

const TYPES = { text: z.string(), number: z.number(), boolean: z.boolean() } as const;

const parameterSchema = strictOptions({
  type: z.enum(['text', 'number', 'boolean']),
  description: z.string().max(1_000).exactOptional(),
  default: argument.exactOptional(),
  choices: z.array(argument).min(1).exactOptional(),
}).superRefine(({ type, choices, default: usual }, { addIssue }) => {
  const fits = (value: TemplateArgument): boolean => TYPES[type].safeParse(value).success;
  if (choices?.every(fits) === false) addIssue(`choices must be of type ${type}`);
  if (usual === undefined) return;
  if (!fits(usual)) addIssue(`default must be of type ${type}`);
  if (choices?.includes(usual) === false) addIssue('default must be one of the choices');
}) satisfies z.ZodType<TemplateParameter>;

const requestSchema = strictOptions({
  name: z.string().refine(isId, 'must be 1 to 120 of A-Z a-z 0-9 . _ -, the first a letter or digit'),
  description: z.string().max(1_000).default(''),
  operation: strictOptions({
    name: z.enum(['protect', 'verify', 'retain', 'collect', 'restore']),
    options: z
      .custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
      .default({}),
  }),
  parameters: z.record(z.string().regex(PARAMETER), parameterSchema).default({}),
});

/** A template from outside: `INVALID_OPTIONS` for one that nothing can be made from, `LIMIT_EXCEEDED` above 16 KiB as JSON. */
export function parseTemplate(where: string, request: unknown): JobTemplate {
  const { name, description, operation, parameters } = parseOptions(where, requestSchema, request);
  const text = encodeJson(where, { description, operation, parameters });
  if (Buffer.byteLength(text) > LARGEST_TEMPLATE) {
    throw new FafnirError('LIMIT_EXCEEDED', `${where}: a template is larger than ${LARGEST_TEMPLATE} bytes`);
  }
  // A copy, for the caller may change what was given.
  const kept = JSON.parse(text) as Pick<JobTemplate, 'description' | 'operation' | 'parameters'>;
  const template = { name, ...kept, version: versionOf(kept) };
  assertSound(where, template);
  return template;
}

/**
 * What a template comes to with these arguments; `INVALID_OPTIONS` for an argument that is missing, unknown or of a wrong
 * type, and for options that the operation does not take.
 */
export function fillTemplate(
  { name, operation, parameters }: JobTemplate,
  given: TemplateCall['arguments'],
): FilledTemplate {
  const where = `template ${name}`;
  const problems = [
    ...Object.keys(given).flatMap((one) => (Object.hasOwn(parameters, one) ? [] : [`${one} is unknown`])),
    ...Object.entries(parameters).flatMap(([one, parameter]) => problemOf(one, parameter, given)),
  ];
  if (problems.length > 0) {
    throw new FafnirError('INVALID_OPTIONS', `${where}: arguments: ${problems.join('; ')}`, {
      hint: `The template has ${Object.keys(parameters).join(', ') || 'no parameters'}.`,
    });
  }
  const argumentOf = (one: string): Json | undefined =>
    Object.hasOwn(given, one) ? given[one] : parameters[one]?.default;
  const options = filled(operation.options, argumentOf);
  return operation.name === 'restore'
    ? { name: 'restore', options: parseRestoreOptions(options, where) }
    : parsePlanOperation(where, { name: operation.name, options });
}

function problemOf(
  name: string,
  { type, choices, default: usual }: TemplateParameter,
  given: TemplateCall['arguments'],
): readonly string[] {
  const value = Object.hasOwn(given, name) ? given[name] : usual;
  if (value === undefined) return [`${name} is missing`];
  if (!TYPES[type].safeParse(value).success) return [`${name} must be of type ${type}`];
  if (choices?.includes(value) === false) return [`${name} must be one of ${choices.join(', ')}`];
  return [];
}

function filled(options: JsonObject, argumentOf: (name: string) => Json | undefined): JsonObject {
  const replace = (_key: string, value: unknown): unknown => {
    const name = placeholderIn(value);
    return name === undefined ? value : argumentOf(name);
  };
  return JSON.parse(JSON.stringify(options), replace) as JsonObject;
}

function placeholderIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, '$parameter')) return undefined;
  const { $parameter: name, ...others } = value as { readonly $parameter: unknown };
  return typeof name === 'string' && Object.keys(others).length === 0 ? name : undefined;
}

function assertSound(where: string, template: JobTemplate): void {
  const { operation, parameters } = template;
  const used = new Set<string>();
  filled(operation.options, (name) => {
    used.add(name);
    return null;
  });
  const problems = [
    ...[...used].flatMap((name) => (Object.hasOwn(parameters, name) ? [] : [`${name} is no parameter`])),
    ...Object.keys(parameters).flatMap((name) => (used.has(name) ? [] : [`parameter ${name} is not used`])),
  ];
  if (problems.length > 0) throw new FafnirError('INVALID_OPTIONS', `${where}: ${problems.join('; ')}`);
  // Where all that is open has something that would be taken, the options are tried with it.
  const tried = Object.entries(parameters).map(
    ([name, one]) => [name, one.default ?? one.choices?.[0]] as const,
  );
  if (tried.every(([, value]) => value !== undefined)) {
    fillTemplate(template, Object.fromEntries(tried) as TemplateCall['arguments']);
  }
}

const versionOf = ({ operation, parameters }: Pick<JobTemplate, 'operation' | 'parameters'>): string =>
  createHash('sha256')
    .update(JSON.stringify([operation.name, operation.options, parameters]))
    .digest('hex')
    .slice(0, 16);
