import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import type { Resource, ResourceKey, ResourceRule, ResourceSelector } from '../contracts/index.ts';
import { parseOptions, strictOptions } from '../options.ts';

const DEEPEST = 32;

const text = z.string().min(1).max(1_024);

/** A resource's identity, from outside. */
export const resourceKey: z.ZodType<ResourceKey> = strictOptions({ type: text, id: text });

// Record schemas drop the one name __proto__ without a word, and a condition less would choose more.
const isSound = (value: unknown, depth = 0): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (depth < DEEPEST &&
    !Object.hasOwn(value, '__proto__') &&
    Object.values(value).every((item) => isSound(item, depth + 1)));

const byName = z.custom<object>(
  (value) => typeof value === 'object' && value !== null && isSound(value),
  `must be an object, at most ${DEEPEST} levels deep, without a member __proto__`,
);

const ruleSchema = strictOptions({
  type: text.exactOptional(),
  tags: byName.pipe(z.record(text, z.string().max(1_024).nullable())).exactOptional(),
  name: z.string().max(1_024).exactOptional(),
  attributes: byName.pipe(z.record(z.string(), z.json())).exactOptional(),
}).refine(
  ({ type, name, tags = {}, attributes = {} }) =>
    type !== undefined ||
    name !== undefined ||
    Object.keys(tags).length > 0 ||
    Object.keys(attributes).length > 0,
  'a rule needs at least one condition: type, tags, name or attributes',
) satisfies z.ZodType<ResourceRule>;

/** Whether a selector names one resource, rather than say what chosen resources are like. */
export const isKey = (selector: ResourceSelector): selector is ResourceKey => 'id' in selector;

/** A selector, from outside. The messages are those of the form that was meant: a union would give both. */
export const resourceSelector: z.ZodType<ResourceSelector> = z
  .unknown()
  .transform((value, context): ResourceSelector => {
    const named = typeof value === 'object' && value !== null && 'id' in value;
    const { data, error } = named ? resourceKey.safeParse(value) : ruleSchema.safeParse(value);
    if (data !== undefined) return data;
    for (const { path, message } of error.issues) context.addIssue({ code: 'custom', path, message });
    return z.NEVER;
  });

/** A selector that came from outside, checked; `where` names the function for the message. */
export function parseSelector(where: string, value: unknown): ResourceSelector {
  return parseOptions(where, resourceSelector, value);
}

/** A rule as a test of one resource; `INVALID_OPTIONS` for a rule without a condition. */
export function matcherOf(rule: ResourceRule): (resource: Resource) => boolean {
  const { type, tags = {}, name, attributes = {} } = parseOptions('a resource rule', ruleSchema, rule);
  const matchesName = name === undefined ? () => true : patternOf(name);
  return (resource) =>
    (type === undefined || resource.type === type) &&
    matchesName(resource.name) &&
    Object.entries(tags).every(([tag, value]) => hasTag(resource, tag, value)) &&
    Object.entries(attributes).every(
      ([attribute, value]) =>
        Object.hasOwn(resource.attributes, attribute) &&
        isDeepStrictEqual(resource.attributes[attribute], value),
    );
}

/** Selectors as a test whether any of them chooses a resource. */
export function anyMatcherOf(selectors: readonly ResourceSelector[]): (resource: Resource) => boolean {
  const ids = new Map<string, Set<string>>();
  for (const { type, id } of selectors.filter(isKey)) ids.set(type, (ids.get(type) ?? new Set()).add(id));
  const rules = selectors.flatMap((selector) => (isKey(selector) ? [] : [matcherOf(selector)]));
  return (resource) =>
    ids.get(resource.type)?.has(resource.id) === true || rules.some((matches) => matches(resource));
}

function hasTag({ tags }: Resource, tag: string, value: string | null): boolean {
  return tags !== undefined && Object.hasOwn(tags, tag) && (value === null || tags[tag] === value);
}

// Each part is looked for once, behind the one before it: a pattern cannot make that take longer than its length times
// that of the name, as an expression that goes back and tries again could.
function patternOf(pattern: string): (name: string) => boolean {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return (name) => name === pattern;
  return (name) => {
    if (!name.startsWith(first)) return false;
    let at = first.length;
    for (const part of others) {
      const found = name.indexOf(part, at);
      if (found === -1) return false;
      at = found + part.length;
    }
    return name.length - at >= last.length && name.endsWith(last);
  };
}
