import type {
  DeclaredDependency,
  Json,
  JsonObject,
  PlanRecord,
  ResourceKey,
  ResourceRule,
  ResourceSelector,
  RetentionPolicy,
  RetentionRules,
  SnapshotPolicy,
  SnapshotPolicyWish,
} from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { encodeJson } from '../core/json-text.ts';
import { damaged, decodeJson, isObject } from './records.ts';

/** A plan as stores keep it. */
export type KeptPlan = Omit<
  PlanRecord,
  'resources' | 'exclude' | 'dependencies' | 'incomplete' | 'onFailure' | 'policy' | 'retention'
> & {
  /** The selectors of the roots as JSON. */
  readonly resources: string;
  /** The selectors of what stays out as JSON. */
  readonly exclude: string;
  /** The declared dependencies as JSON. */
  readonly dependencies: string;
  /** Its word, checked when it is read. */
  readonly incomplete: string;
  /** Its word, checked when it is read. */
  readonly onFailure: string;
  /** Its wishes as JSON. */
  readonly policy: string;
  /** How long its checkpoints stay, as JSON: null where nobody said. */
  readonly retention: string;
};

/** A plan to keep: what the contract knows of it, and nothing else. */
export function keepPlan(plan: PlanRecord): KeptPlan {
  const dependencies = plan.dependencies.map(({ from, to }) => ({ from: keepKey(from), to: keepKey(to) }));
  return {
    id: plan.id,
    tenant: plan.tenant,
    name: plan.name,
    provider: plan.provider,
    resources: encodeJson(fieldOf(plan, 'resources'), plan.resources.map(keepSelector)),
    exclude: encodeJson(fieldOf(plan, 'exclude'), plan.exclude.map(keepSelector)),
    dependencies: encodeJson(fieldOf(plan, 'dependencies'), dependencies),
    incomplete: plan.incomplete,
    onFailure: plan.onFailure,
    policy: encodeJson(fieldOf(plan, 'policy'), keepWish(plan.policy)),
    retention: encodeJson(fieldOf(plan, 'retention'), plan.retention ? keepRetention(plan.retention) : null),
    createdAt: plan.createdAt,
  };
}

/** A kept plan as callers see it, their own copy; `CORRUPT` where what is kept cannot be one. */
export function planRecord(kept: KeptPlan): PlanRecord {
  const { id, tenant, name, provider, incomplete, onFailure, createdAt } = kept;
  const listOf = <Item extends Json>(
    field: 'resources' | 'exclude' | 'dependencies',
    isItem: (value: Json) => value is Item,
  ): readonly Item[] => {
    const items = decodeJson(fieldOf(kept, field), kept[field]);
    if (Array.isArray(items) && items.every(isItem)) return items;
    throw damaged(fieldOf(kept, field));
  };
  // A damaged word is not guessed: each choice would protect something else.
  if (incomplete !== 'refuse' && incomplete !== 'allow') throw damaged(fieldOf(kept, 'incomplete'));
  if (onFailure !== 'fail' && onFailure !== 'continue') throw damaged(fieldOf(kept, 'onFailure'));
  const policy = decodeJson(fieldOf(kept, 'policy'), kept.policy);
  if (!isWish(policy)) throw damaged(fieldOf(kept, 'policy'));
  return {
    id,
    tenant,
    name,
    provider,
    resources: listOf('resources', isResourceSelector),
    exclude: listOf('exclude', isResourceSelector),
    dependencies: listOf('dependencies', isDeclaredDependency),
    incomplete,
    onFailure,
    policy,
    ...retentionIn(kept),
    createdAt,
  };
}

/** The tenant has a plan of this name or id. */
export function planExists(plan: PlanRecord): FafnirError {
  return new FafnirError(
    'ALREADY_EXISTS',
    `tenant ${plan.tenant} has a plan named ${JSON.stringify(plan.name)} or with id ${plan.id} already`,
  );
}

const fieldOf = ({ id }: Pick<PlanRecord, 'id'>, field: keyof PlanRecord): string =>
  `the field ${field} of plan ${id}`;

const keepKey = ({ type, id }: ResourceKey): ResourceKey => ({ type, id });

function keepSelector(selector: ResourceSelector): JsonObject {
  if ('id' in selector) return keepKey(selector);
  const { type, tags, name, attributes } = selector;
  return { type, tags, name, attributes };
}

const keepWish = ({
  archive,
  keep,
  background,
  consistency,
  onInconsistency,
  lock,
}: SnapshotPolicyWish): JsonObject => ({ archive, keep, background, consistency, onInconsistency, lock });

const COPY_KINDS = ['array', 'archive', 'external'] as const;
const RETENTION_COUNTS = [
  'last',
  'spacing',
  'within',
  'hourly',
  'daily',
  'weekly',
  'monthly',
  'yearly',
] as const;

const keepRules = (rules: RetentionRules): JsonObject =>
  Object.fromEntries(RETENTION_COUNTS.map((field) => [field, rules[field]]));

function keepRetention(retention: RetentionPolicy): JsonObject {
  const { proof, least, timeZone } = retention;
  const rules = COPY_KINDS.map((kind) => [kind, retention[kind] && keepRules(retention[kind])]);
  return { ...Object.fromEntries(rules), proof, least, timeZone };
}

// What is not understood could keep more, or less: neither is guessed.
function retentionIn(kept: Pick<KeptPlan, 'id' | 'retention'>): Pick<PlanRecord, 'retention'> {
  const retention = decodeJson(fieldOf(kept, 'retention'), kept.retention);
  if (retention === null) return {};
  if (isRetention(retention)) return { retention };
  throw damaged(fieldOf(kept, 'retention'));
}

function isRetention(value: Json): value is RetentionPolicy & JsonObject {
  if (!isObject(value)) return false;
  const { proof, least, timeZone, array, archive, external, ...others } = value;
  return (
    Object.keys(others).length === 0 &&
    (proof === undefined || isOneOf(proof, ['stored', 'read-back', 'source-compared', 'restored'])) &&
    (least === undefined || isCount(least)) &&
    (timeZone === undefined || isText(timeZone)) &&
    [array, archive, external].every((rules) => rules === undefined || isRules(rules))
  );
}

const isCount = (value: Json | undefined): boolean => Number.isSafeInteger(value) && Number(value) >= 0;

const isRules = (value: Json): boolean =>
  isObject(value) &&
  Object.entries(value).every(
    ([field, count]) => RETENTION_COUNTS.some((known) => known === field) && isCount(count),
  );

const isText = (value: Json | undefined): value is string => typeof value === 'string';

// Nothing may be there that is not understood: a condition that is passed over would choose more.
function isResourceSelector(value: Json): value is ResourceSelector {
  return isObject(value) && (isResourceKey(value) || isResourceRule(value));
}

function isResourceKey(value: Json | undefined): value is ResourceKey {
  return isObject(value) && isText(value.type) && isText(value.id) && Object.keys(value).length === 2;
}

function isResourceRule({ type, tags, name, attributes, ...others }: JsonObject): boolean {
  return (
    Object.keys(others).length === 0 &&
    [type, tags, name, attributes].some((condition) => condition !== undefined) &&
    (type === undefined || isText(type)) &&
    (tags === undefined || isTagConditions(tags)) &&
    (name === undefined || isText(name)) &&
    (attributes === undefined || isObject(attributes))
  );
}

function isTagConditions(value: Json): value is NonNullable<ResourceRule['tags']> {
  return isObject(value) && Object.values(value).every((tag) => tag === null || isText(tag));
}

function isDeclaredDependency(value: Json): value is DeclaredDependency {
  return (
    isObject(value) && isResourceKey(value.from) && isResourceKey(value.to) && Object.keys(value).length === 2
  );
}

const POLICY_FIELDS: Readonly<Record<keyof SnapshotPolicy, (value: Json | undefined) => boolean>> = {
  archive: (value) => typeof value === 'boolean',
  keep: (value) => value === 'all' || isCount(value),
  background: (value) => typeof value === 'boolean',
  consistency: (value) => isOneOf(value, ['none', 'crash', 'group', 'application']),
  onInconsistency: (value) => isOneOf(value, ['refuse', 'degrade']),
  lock: (value) => isCount(value),
};

const isOneOf = (value: Json | undefined, words: readonly string[]): boolean =>
  isText(value) && words.includes(value);

function isWish(value: Json): value is SnapshotPolicyWish {
  return (
    isObject(value) &&
    Object.entries(value).every(([field, asked]) => isPolicyField(field) && POLICY_FIELDS[field](asked))
  );
}

const isPolicyField = (field: string): field is keyof SnapshotPolicy => Object.hasOwn(POLICY_FIELDS, field);
