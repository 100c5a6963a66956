import type { TenantId } from './identity.ts';
import type { JsonObject } from './json.ts';

/** What is to be done with a plan. */
export type PlanOperation = {
  /** The operation. */
  readonly name: 'protect' | 'verify' | 'retain' | 'collect';
  /** What the call of that operation would say beside the plan. */
  readonly options: JsonObject;
};

/** What is to be done with a checkpoint, which is chosen when it is done. */
export type CheckpointOperation = {
  /** The operation. */
  readonly name: 'restore';
  /** What the call of that operation would say beside the checkpoint. */
  readonly options: JsonObject;
};

/** What can be given for a parameter. */
export type TemplateArgument = string | number | boolean;

/** What a template leaves to whoever uses it. */
export type TemplateParameter = {
  /** What an argument must be; a number is finite. */
  readonly type: 'text' | 'number' | 'boolean';
  /** For people. */
  readonly description?: string;
  /** What is taken where no argument is given. Left out, one must be given. */
  readonly default?: TemplateArgument;
  /** The only arguments that are taken. Left out, any of the type. */
  readonly choices?: readonly TemplateArgument[];
};

/** Work that is asked for again, with what differs each time left open. */
export type JobTemplate = {
  /** Unique within the tenant; in the form of an id. */
  readonly name: string;
  /** For people; may be empty. */
  readonly description: string;
  /** What is done; an object `{ "$parameter": NAME }` in its options stands for the argument of that name. */
  readonly operation: PlanOperation | CheckpointOperation;
  /** What is left open, by name. */
  readonly parameters: Readonly<Record<string, TemplateParameter>>;
  /** Tells what the template says from what it said before: 16 characters of a-f 0-9, equal where operation and parameters are. */
  readonly version: string;
};

/** Which template a job was made from. */
export type JobTemplateReference = Pick<JobTemplate, 'name' | 'version'>;

/** A template and what is given for its parameters. */
export type TemplateCall = {
  /** The template's name; what it says is looked up when the work is begun. */
  readonly template: string;
  /** By the names of parameters. */
  readonly arguments: Readonly<Record<string, TemplateArgument>>;
};

/** A tenant's template. */
export type JobTemplateRecord = JobTemplate & {
  /** Whose template. */
  readonly tenant: TenantId;
  /** Who stored it. */
  readonly actor: string;
  /** When it was stored, milliseconds since 1970 UTC. */
  readonly storedAt: number;
};
