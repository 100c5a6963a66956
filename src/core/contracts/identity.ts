import type { JsonObject } from './json.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Whose data it is. Everything that is stored begins with it. */
export type TenantId = Branded<'TenantId'>;
/** Names a plan within a tenant. */
export type PlanId = Branded<'PlanId'>;
/** Names a checkpoint within a tenant; ids sort by the time they were made. */
export type CheckpointId = Branded<'CheckpointId'>;
/** Names a job; ids sort by the time they were made. */
export type JobId = Branded<'JobId'>;
/** Names a schedule within a tenant; ids sort by the time they were made. */
export type ScheduleId = Branded<'ScheduleId'>;

/** The identity of a resource: never a name, never an id alone. */
export type ResourceKey = {
  /** The type that its Protectable declares, such as `Local::Volume`. */
  readonly type: string;
  /** The id that its own system gave it, unique within the type. */
  readonly id: string;
};

/** A resource as discovery found it. */
export type Resource = ResourceKey & {
  /** What its owner calls it; need not be unique. */
  readonly name: string;
  /** Labels that its owner gave it, for selection: at most 256, names of 1 to 256 characters, values of at most 1,024. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Facts for selection and display; the restorable description is captured apart. */
  readonly attributes: JsonObject;
};
