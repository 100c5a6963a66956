import * as z from 'zod';
import type { JobTemplateRecord, JsonObject, PlanOperation, TemplateCall } from '../core/contracts/index.ts';
import { encodeJson } from '../core/json-text.ts';
import { damaged } from './records.ts';

/** A template as stores keep it. */
export type KeptTemplate = Pick<JobTemplateRecord, 'tenant' | 'name'> & {
  /** What it says, as JSON. */
  readonly asked: string;
};

type Asked = Omit<JobTemplateRecord, 'tenant' | 'name'>;

const jsonObject = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
const argument = z.union([z.string(), z.number(), z.boolean()]);
const parameter = z.strictObject({
  type: z.enum(['text', 'number', 'boolean']),
  description: z.string().exactOptional(),
  default: argument.exactOptional(),
  choices: z.array(argument).exactOptional(),
});

/** What is to be done with a plan, as it is kept. */
export const planOperationSchema: z.ZodType<PlanOperation> = z.strictObject({
  name: z.enum(['protect', 'verify', 'retain', 'collect']),
  options: jsonObject,
});
const templateOperationSchema = z.union([
  planOperationSchema,
  z.strictObject({ name: z.literal('restore'), options: jsonObject }),
]) satisfies z.ZodType<JobTemplateRecord['operation']>;
/** Arguments as they are kept. */
export const argumentsSchema: z.ZodType<TemplateCall['arguments']> = z.record(z.string(), argument);

const askedSchema = z.strictObject({
  description: z.string(),
  operation: templateOperationSchema,
  parameters: z.record(z.string(), parameter),
  version: z.string(),
  actor: z.string(),
  storedAt: z.number(),
}) satisfies z.ZodType<Asked>;

/** A template to keep: what the contract knows of it, and nothing else. */
export function keepTemplate(template: JobTemplateRecord): KeptTemplate {
  const { tenant, name, description, operation, parameters, version, actor, storedAt } = template;
  const asked: Asked = {
    description,
    operation: { name: operation.name, options: operation.options },
    parameters,
    version,
    actor,
    storedAt,
  };
  return { tenant, name, asked: encodeJson(`template ${name}`, asked) };
}

/** Whether what is kept under a template's name says the same as the template; what is damaged does not. */
export function saysTheSame(known: KeptTemplate, template: JobTemplateRecord): boolean {
  try {
    const { actor, storedAt } = templateRecord(known);
    return keepTemplate({ ...template, actor, storedAt }).asked === known.asked;
  } catch {
    return false;
  }
}

/** A kept template as callers see it, their own copy; `CORRUPT` where what is kept cannot be one. */
export function templateRecord({ tenant, name, asked }: KeptTemplate): JobTemplateRecord {
  try {
    return { tenant, name, ...askedSchema.parse(JSON.parse(asked)) };
  } catch (cause) {
    throw damaged(`template ${name}`, cause);
  }
}
